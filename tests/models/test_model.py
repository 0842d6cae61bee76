"""Base classes: what every client does, and clients that users write."""

import copy
import pickle
import threading

import pytest

from afnio._dispatch import run_sync
from afnio.errors import InputTypeError, InputValueError
from afnio.models import (
    BaseModel,
    ChatCompletionModel,
    EmbeddingModel,
    TextCompletionModel,
    UnknownPriceWarning,
    Usage,
)
from afnio.models.openai import OpenAI
from afnio.models.testing import ScriptedModel

TOKENS = {
    "prompt_tokens": 1000,
    "completion_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 200},
}


@pytest.fixture
def client():
    """Build a client with a key."""
    return OpenAI(api_key="sk-test")


def test_fresh_usage_is_zero(client):
    """ML01: nothing is counted before the first call."""
    assert client.get_usage() == Usage().document()


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4o-2024-11-20"])
def test_usage_is_priced_by_model(client, name):
    """ML02, ML03: a name and its dated alias cost the same."""
    client.update_usage(TOKENS, model_name=name)
    assert client.get_usage()["cost"]["amount"] == pytest.approx(0.00235)


def test_unknown_model_costs_nothing_and_warns(client):
    """ML04: an unknown price leaves the cost as it was, with a warning."""
    with pytest.warns(UnknownPriceWarning, match="'mystery'"):
        client.update_usage(TOKENS, model_name="mystery")
    assert client.get_usage()["cost"]["amount"] == 0
    assert client.get_usage()["prompt_tokens"] == 1000


def test_none_in_usage_counts_as_zero(client):
    """ML05: None fields and details are zeros."""
    client.update_usage(
        {"prompt_tokens": None, "prompt_tokens_details": None}, model_name="gpt-4o"
    )
    assert client.get_usage() == Usage().document()


def test_cost_is_restored_without_a_model(client):
    """ML06: without a model name, the cost is what the usage says."""
    client.update_usage(TOKENS, model_name="gpt-4o")
    client.update_usage({"cost": {"amount": 9.0}})
    assert client.get_usage()["cost"]["amount"] == 9.0
    client.update_usage(TOKENS)
    assert client.get_usage()["cost"]["amount"] == 9.0
    assert client.get_usage()["prompt_tokens"] == 2000


def test_clear_zeroes_everything(client):
    """ML07: nested numbers too."""
    client.update_usage(TOKENS, model_name="gpt-4o")
    client.clear_usage()
    assert client.get_usage() == Usage().document()
    assert client.get_usage_by_role() == {}


def test_more_than_one_choice_is_refused(client, ask):
    """ML08: n=2 is a ValueError, before anything is sent."""
    with pytest.raises(ValueError, match="n=2"):
        client.chat(messages=ask(), model="gpt-4o", n=2)


def test_deepcopy_describes(client):
    """ML10: a copy is a descriptor, without a key."""
    described = copy.deepcopy({"client": client})["client"]
    assert described == {
        "class_type": "OpenAI",
        "provider": "openai",
        "usage": Usage().document(),
    }


def test_returned_usage_is_a_copy(client):
    """ML11: writing to the returned usage changes nothing."""
    usage = client.get_usage()
    usage["prompt_tokens_details"]["cached_tokens"] = 99
    usage["cost"]["amount"] = 99.0
    assert client.get_usage() == Usage().document()


def test_null_cached_price_falls_back(client):
    """ML13: cached tokens without a price of their own cost as input."""
    client.update_usage(
        {
            "prompt_tokens": 1_000_000,
            "prompt_tokens_details": {"cached_tokens": 500_000},
        },
        model_name="gpt-4o-2024-05-13",
    )
    assert client.get_usage()["cost"]["amount"] == 5.0


def test_initial_usage_is_kept_but_not_its_cost():
    """A client starts with the tokens given, and a cost of zero."""
    client = BaseModel("mine", {"a": 1}, {**TOKENS, "cost": {"amount": 5.0}})
    assert client.get_usage()["prompt_tokens"] == 1000
    assert client.get_usage()["cost"]["amount"] == 0
    client.get_config()["a"] = 2
    assert client.get_config() == {"a": 1}
    assert client.get_provider() == "mine"


def test_clients_cannot_be_pickled(client):
    """Pickling is a TypeError that says why."""
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(client)


def test_model_ids_are_unique():
    """Each client object has a name of its own."""
    assert ScriptedModel().model_id != ScriptedModel().model_id


class OnlyAsync(ChatCompletionModel):
    """A user's client that forgets super().__init__()."""

    def __init__(self):
        self.seen = []

    async def achat(self, messages, **args):
        self.seen.append((messages, args))
        return "from achat"


class OnlySync(ChatCompletionModel):
    def chat(self, messages, **args):
        return f"from {threading.current_thread().name}"


def test_user_s_async_client_works(ask):
    """Overriding achat alone is enough, with one warning about the price."""
    client = OnlyAsync()
    with pytest.warns(UnknownPriceWarning):
        reply = run_sync(client.agenerate(ask(), temperature=1))
    assert reply.text == client.chat(ask("again")) == "from achat"
    assert client.seen[0] == (ask(), {"temperature": 1})
    assert client.get_usage_by_role()["forward"][""]["calls"] == 1


def test_user_s_blocking_client_runs_on_a_thread(ask):
    """Overriding chat alone is enough; it never runs on the event loop."""
    client = OnlySync()
    client.set_price("", input=0, output=0)
    assert run_sync(client.agenerate(ask())).text != "from afnio-loop"


def test_client_without_any_method_says_what_to_override(ask):
    """A bare subclass raises NotImplementedError naming the choices."""
    client = type("Bare", (ChatCompletionModel,), {})()
    client.set_price("", input=0, output=0)
    with pytest.raises(NotImplementedError, match="_send, achat or chat"):
        client.chat(ask())


@pytest.mark.parametrize("kind", [TextCompletionModel, EmbeddingModel])
def test_abstract_kinds_are_not_implemented(kind):
    """The abstract bodies of the other kinds raise NotImplementedError."""
    client = kind()
    with pytest.raises(NotImplementedError):
        client.complete("x") if kind is TextCompletionModel else client.embed(["x"])


@pytest.mark.parametrize(
    "wrong", ["Hi", {"role": "user"}, [3], [{"content": "x"}], None]
)
def test_messages_of_the_wrong_kind_are_refused(wrong):
    """What is no list of messages is a TypeError at the call."""
    with pytest.raises(InputTypeError):
        ScriptedModel("x").chat(wrong)


def test_empty_conversation_is_refused():
    """A conversation needs a message."""
    with pytest.raises(InputValueError, match="empty"):
        ScriptedModel("x").chat([])


def test_later_changes_of_messages_do_not_reach_the_call(ask):
    """A request keeps the messages as they were when it was made."""
    client, messages = ScriptedModel("x"), ask("before")
    client.chat(messages)
    messages[0]["content"] = "after"
    assert client.requests[0].messages[0]["content"] == "before"


def test_sdk_markers_for_absent_arguments_are_dropped(ask):
    """NOT_GIVEN and Omit never reach a provider or a key."""
    import openai

    client = ScriptedModel("x")
    client.chat(ask(), temperature=openai.NOT_GIVEN, seed=openai.omit, top_p=1)
    assert client.requests[0].args == {"top_p": 1}


# -- misspelled arguments and roles ---------------------------------------------------


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ({"temprature": 0}, "did you mean 'temperature'"),
        ({"max_token": 5}, "did you mean 'max_tokens'"),
        ({"respons_format": {}}, "did you mean 'response_format'"),
        ({"temperature": "hot"}, "temperature is str: 'hot'; expected a number"),
        ({"top_p": True}, "top_p is bool"),
        ({"model": ScriptedModel()}, "model is a ScriptedModel"),
    ],
)
def test_a_misspelled_argument_is_refused_by_every_client(args, word):
    """A scripted model would take it, and a provider refuse it later."""
    model = ScriptedModel("x")
    with pytest.raises(InputTypeError, match=word):
        model.chat([{"role": "user", "content": "Hi"}], **args)
    assert not model.requests


def test_arguments_of_one_server_pass():
    """Only what is nearly a known name is refused."""
    args = {"top_k": 3, "mode": "fast", "voice": "low", "temperature": None, "min_p": 0}
    assert ScriptedModel("x").chat([{"role": "user", "content": "Hi"}], **args) == "x"


@pytest.mark.parametrize(
    ("role", "error", "word"),
    [
        ("usr", InputValueError, r"messages\[0\] has the role 'usr'; .*'user'"),
        ("User", InputValueError, "'user'"),
        ("asistant", InputValueError, "'assistant'"),
        ("human", InputValueError, "'user'"),
        (3, InputTypeError, r"the role of messages\[0\] is int"),
    ],
)
def test_a_misspelled_role_is_refused(role, error, word):
    """Roles of which a template of one's own may know pass."""
    ask = [{"role": role, "content": "Hi"}]
    with pytest.raises(error, match=word):
        ScriptedModel("x").chat(ask)
    ask[0]["role"] = "narrator"
    assert ScriptedModel("x").chat(ask) == "x"
