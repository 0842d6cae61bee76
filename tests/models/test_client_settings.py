"""Settings of clients: what cannot be meant is refused where it is written."""

import logging
import warnings
from base64 import b64encode

import openai
import pytest

from afnio.errors import InputTypeError, InputValueError
from afnio.models import RetryPolicy
from afnio.models._client_settings import is_self_hosted, without_credentials
from afnio.models.anthropic import Anthropic
from afnio.models.openai import OpenAI
from afnio.models.testing import RecordedModel, ScriptedModel


@pytest.mark.parametrize("client", [OpenAI, Anthropic])
@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"api_key": 3}, InputTypeError, "api_key of .* is int; expected str"),
        ({"model": 3}, InputTypeError, "model of .* is int"),
        ({"max_retries": "3"}, InputTypeError, "max_retries of .* is str"),
        ({"max_retries": True}, InputTypeError, "bool"),
        ({"retry": 3}, InputTypeError, "expected RetryPolicy"),
        ({"limits": 3}, InputTypeError, "expected Limits"),
        ({"base_url": "localhost:8000"}, InputValueError, "http://"),
        ({"default_headers": "x"}, InputTypeError, "Mapping"),
        ({"temprature": 0.3}, InputTypeError, "Arguments of calls"),
        ({"organisation": "x"}, InputTypeError, "organization"),
    ],
)
def test_wrong_settings_are_named(client, settings, error, said):
    """The constructor names the setting, what it got and what it expected."""
    with pytest.raises(error, match=said):
        client(**{"api_key": "sk-test-0123456789", **settings})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ScriptedModel("a", latency_s="1"), "latency_s is str"),
        (lambda: ScriptedModel(3), "replies is int"),
        (lambda: RecordedModel(3), "path is int"),
        (lambda: RecordedModel("a.json", record_from=3), "record_from is int"),
    ],
)
def test_wrong_arguments_of_doubles_are_named(make, said):
    """Test doubles refuse what they cannot use, too."""
    with pytest.raises(InputTypeError, match=said):
        make()


@pytest.mark.loopback
@pytest.mark.parametrize("client", [OpenAI, Anthropic])
def test_model_of_a_call_is_a_name(client, httpserver, ask):
    """A model that is no text is refused before anything is sent."""
    made = client(base_url=httpserver.url_for("/v1"))
    with pytest.raises(InputTypeError, match="model is int"):
        made.chat(ask(), model=3)
    made.close()
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://[::1]:8000", True),
        ("http://192.168.1.4/v1", True),
        ("http://localhost:11434/v1", True),
        ("http://vllm:8000/v1", True),
        ("http://gpu.lan/v1", True),
        ("https://api.openai.com/v1", False),
        ("https://openrouter.ai/api/v1", False),
        ("https://8.8.8.8/v1", False),
    ],
)
def test_self_hosted_servers_are_recognized(url, own):
    """Addresses that lead to a machine of one's own have no price list."""
    assert is_self_hosted(url) is own


@pytest.mark.loopback
def test_unknown_models_of_one_s_own_server_cost_nothing_quietly(
    httpserver, ask, chat_body
):
    """Nobody is warned that a model on localhost has no price."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(chat_body())
    client = OpenAI(base_url=httpserver.url_for("/v1"), model="my-fine-tune")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert client.chat(ask()) == "Hello"
    assert client.get_usage()["cost"]["amount"] == 0
    client.close()


@pytest.mark.loopback
def test_credentials_in_an_address_stay_there(httpserver, ask):
    """User and password of a base_url are in no setting, key or error."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(
        {"error": {"message": "no"}}, status=400
    )
    url = httpserver.url_for("/v1").replace("http://", "http://me:hush@")
    client = OpenAI(base_url=url, model="m", retry=RetryPolicy(max_retries=0))
    with pytest.raises(RuntimeError) as caught:
        client.chat(ask())
    client.close()
    shown = f"{client!r} {client.get_config()} {client.identity} {client.endpoint}"
    assert "hush" not in shown + str(caught.value)
    assert without_credentials("https://a/b?c=d@e") == "https://a/b?c=***"


@pytest.mark.loopback
def test_log_of_the_http_library_shows_no_password(httpserver, chat_body, caplog):
    """User and password of an address are sent, instead of the key, but not logged."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(chat_body())
    url = httpserver.url_for("/v1").replace("//", "//me%40home:p%2Fw-secret@")
    client = OpenAI(
        api_key="k", base_url=url, model="m", default_headers={"authorization": "x"}
    )
    with caplog.at_level(logging.DEBUG):
        assert client.chat([{"role": "user", "content": "Hi"}]) == "Hello"
    client.close()
    login = b64encode(b"me@home:p/w-secret").decode()
    sent = httpserver.log[-1][0].headers
    assert sent.getlist("Authorization") == [f"Basic {login}"]
    assert "HTTP Request: POST http://localhost" in caplog.text
    for secret in ("me%40home", "w-secret", login):
        assert secret not in caplog.text


@pytest.mark.loopback
def test_http_client_may_be_what_makes_one(httpserver, chat_body):
    """A client that was closed opens another one; a ready-made one is lost with it."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(chat_body())
    made = []

    def make():
        made.append(openai.DefaultAsyncHttpxClient())
        return made[-1]

    client = OpenAI(
        api_key="k", base_url=httpserver.url_for("/v1"), model="m", http_client=make
    )
    for _ in range(2):
        assert client.chat([{"role": "user", "content": "Hi"}]) == "Hello"
        client.close()
    assert [http.is_closed for http in made] == [True, True]


@pytest.mark.parametrize("kind", [openai.DefaultHttpxClient, object])
def test_blocking_http_clients_are_refused(kind):
    """A class is looked at as well as an object of it."""
    for given in (kind, kind()):
        with pytest.raises(InputTypeError, match=f"{kind.__name__}; expected an Async"):
            OpenAI(api_key="k", http_client=given)
