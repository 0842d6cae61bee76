"""What may be secret among the arguments of calls stands in no file."""

import pytest

import afnio
import afnio.cognitive as cog
from afnio import Variable
from afnio.errors import AfnioError, InputValueError
from afnio.models import OpenAI, ReplyCache, use_cache
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD

SECRETS = {
    "extra_headers": {"Authorization": "Bearer HUSH1"},
    "extra_query": {"token": "HUSH2"},
    "extra_body": {"api_key": "HUSH3", "options": {"deep": ["HUSH4"]}},
}


def chat(**args):
    """Return a module that asks with ``args``."""
    question = Variable("{t}", role="question")
    return cog.ChatCompletion(
        ScriptedModel("x"), [{"role": "user", "content": [question]}], **args
    )


def optimizer(**args):
    """Return an optimizer that asks with ``args``."""
    param = cog.Parameter("a", role="r", requires_grad=True)
    return TGD([param], model_client=ScriptedModel("x"), **args)


@pytest.mark.parametrize("make", [chat, optimizer])
def test_states_hold_names_only(make, tmp_path):
    """A state goes into every checkpoint."""
    state = make(temperature=0.5, **SECRETS).state_dict()
    assert "HUSH" not in repr(state)
    assert "Authorization" in repr(state)
    afnio.save(state, tmp_path / "state.afnio")
    clients = {"model_client": ScriptedModel("x")}
    same = make(temperature=0.1, **SECRETS)
    same.load_state_dict(afnio.load(tmp_path / "state.afnio"), model_clients=clients)
    args = (
        getattr(same, "completion_args", None)
        or same.param_groups[0]["completion_args"]
    )
    assert args == {"temperature": 0.5, **SECRETS}


@pytest.mark.parametrize("make", [chat, optimizer])
def test_what_is_not_given_again_is_named(make):
    """Nothing is sent without the header that a program was configured with."""
    state = make(**SECRETS).state_dict()
    with pytest.raises(AfnioError, match=r"extra_headers \(Authorization\)"):
        make().load_state_dict(state, model_clients={"model_client": ScriptedModel()})


def test_caches_hold_digests(tmp_path):
    """Different values are still different calls."""
    ask, path = [{"role": "user", "content": "Hi"}], tmp_path / "cache"
    with use_cache(ReplyCache(path)) as cache:
        ScriptedModel("a").chat(ask, **SECRETS)
        assert ScriptedModel("b").chat(ask, extra_body={"api_key": "other"}) == "b"
        assert ScriptedModel([]).chat(ask, **SECRETS) == "a"
        cache.close()
    assert all(b"HUSH" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["key", "api_key", "token", "code", "sig", "subscription-key"]
)
def test_query_of_an_address_is_shown_nowhere(name):
    """It stands in no error, no setting and no cache key; it still tells two apart."""
    url = "http://127.0.0.1:1/v1?{}={}"
    one, two = (
        OpenAI(api_key="k", base_url=url.format(name, value), model="m", max_retries=0)
        for value in ("abcd1234", "efgh5678")
    )
    with pytest.raises(AfnioError) as caught:
        one.chat([{"role": "user", "content": "Hi"}])
    shown = f"{caught.value!r} {one!r} {one.get_config()} {one.identity} {one.endpoint}"
    assert "abcd1234" not in shown
    assert one.identity != two.identity


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk-test-PASTED12345\u00a0", "not ASCII"),
        ("sk-test-PASTED12345\n", "line break"),
        ("", "is empty"),
    ],
)
def test_key_that_cannot_be_sent_is_refused_at_once(key, words, monkeypatch):
    """The key itself is not shown, whether given or found."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(AfnioError, match=words) as caught:
        OpenAI(api_key=key, model="m")
    assert "PASTED" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/v1",
        "http://[::1",
        "http://host/v1\r\n",
        "http://",
        "ftp://host",
        "host:8000",
    ],
)
def test_address_that_cannot_be_asked_is_refused_at_once(url):
    """A wrong port or host is found where it was written."""
    with pytest.raises(InputValueError, match="expected"):
        OpenAI(api_key="k", base_url=url, model="m")


def test_schemes_may_be_written_large():
    """Schemes have no case."""
    assert OpenAI(api_key="k", base_url="HTTP://host/v1/").endpoint


@pytest.mark.parametrize("settings", [{"timeout": []}, {"api_key": int}])
def test_settings_of_another_kind_are_refused(settings):
    """A timeout is seconds; a class is no source of keys."""
    with pytest.raises(TypeError, match="expected"):
        OpenAI(**{"api_key": "k", "model": "m", **settings})
