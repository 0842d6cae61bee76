"""Replies that lie or cannot be read: what is believed of them, and who pays."""

import json

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from afnio.errors import BudgetError, InputTypeError, InputValueError, ServerError
from afnio.models import Budget, OpenAI, Reply, RetryPolicy, Usage
from afnio.models.testing import ScriptedModel

pytestmark = pytest.mark.loopback

ASK = [{"role": "user", "content": "Hi"}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


@pytest.fixture
def server():
    """Run a server that answers whatever it is told to."""
    with HTTPServer(host="127.0.0.1") as running:
        yield running


@pytest.fixture
def client(server):
    """Return a client that tries three times and costs a dollar a million tokens."""
    found = OpenAI(
        api_key="sk-test",
        base_url=server.url_for("/v1"),
        model="m",
        retry=RetryPolicy(max_retries=2, base_s=0.001),
    )
    found.set_price("m", input=1, output=1)
    return found


def answer(server, content="hi", usage=USAGE, finish="stop", **message):
    """Let the server answer with one choice; return the document."""
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    serve(server, {"choices": [choice], "usage": usage, "model": "m"})


def serve(server, *documents):
    """Let the server answer with documents in turn, and stay with the last."""
    bodies = [d if isinstance(d, str) else json.dumps(d) for d in documents]

    def handle(_request):
        body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        return Response(body, content_type="application/json")

    server.clear()
    server.expect_request("/v1/chat/completions").respond_with_handler(handle)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -(10**6), "completion_tokens": -(10**6)},
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": -12},
        {"prompt_tokens": "abc", "total_tokens": 12},
        {"prompt_tokens": 10**40},
        {"prompt_tokens": float("inf")},
        {"prompt_tokens": float("nan")},
        {"prompt_tokens": 1.5},
        {"prompt_tokens_details": 5},
        "abc",
        [1],
    ],
    ids=repr,
)
def test_usage_that_cannot_be_is_estimated(server, client, usage):
    """The reply is kept, and costs what is plausible; a budget is never refilled."""
    answer(server, usage=usage)
    with Budget(tokens=10_000, usd=0.01) as budget:
        assert client.chat(ASK) == "hi"
    assert 0 < budget.spent["tokens"] < 100
    assert client.get_usage()["total_tokens"] == budget.spent["tokens"]
    assert client.get_usage_by_role()["forward"]["m"]["estimated_calls"] == 1


def test_usage_below_zero_of_any_client_is_estimated():
    """Also a client that a user wrote cannot refill a budget."""
    model = ScriptedModel(Reply("ok", usage=Usage(input_tokens=-500)))
    with Budget(tokens=1000) as budget:
        model.chat(ASK)
    assert budget.spent["tokens"] > 0


def test_usage_of_users_must_be_numbers():
    """Who gives usage is told what is wrong with it."""
    with pytest.raises(InputValueError, match="'abc' is no number of tokens"):
        ScriptedModel("x").update_usage({"prompt_tokens": "abc"})


@pytest.mark.parametrize(
    "message",
    [
        {"content": {"a": 1}},
        {"content": 12345},
        {"content": ["a"]},
        {"refusal": 5},
        {"finish": {"x": 1}},
        {"content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        {"content": None, "tool_calls": [5]},
        {"content": None, "tool_calls": "abc"},
    ],
    ids=repr,
)
def test_what_is_no_text_is_a_malformed_reply(server, client, message):
    """It is asked for again, then refused by name, and every attempt is paid for."""
    answer(server, **message)
    with (
        Budget(tokens=10_000) as budget,
        pytest.raises(ServerError, match="malformed reply"),
    ):
        client.chat(ASK)
    assert budget.spent["tokens"] == 3 * 12
    assert client.get_usage()["total_tokens"] == 3 * 12
    assert client.get_usage_by_role()["forward"]["m"]["failed_calls"] == 1


def test_deeply_nested_body_is_a_malformed_reply(server, client):
    """Python's own limit is no error of the caller; the prompt may have been billed."""
    serve(server, '{"choices":' + "[" * 100_000 + "]" * 100_000 + "}")
    with Budget(tokens=10_000) as budget, pytest.raises(ServerError, match="not JSON"):
        client.chat(ASK)
    assert budget.spent["tokens"] > 0


def test_reply_after_malformed_ones_costs_them_all(server, client):
    """Usage of a call is that of all its attempts."""
    bad = {"choices": [], "usage": USAGE}
    good = {"choices": [{"message": {"content": "hi"}}], "usage": USAGE}
    serve(server, bad, bad, good)
    with Budget(tokens=10_000, usd=1) as budget:
        assert client.chat(ASK) == "hi"
    assert (budget.spent["tokens"], client.get_usage()["total_tokens"]) == (36, 36)
    assert budget.spent["usd"] == pytest.approx(36e-6)


def test_malformed_reply_is_asked_for_again_only_within_the_budget(server, client):
    """What a lying server bills stays below the limit."""
    serve(server, {"choices": [], "usage": {**USAGE, "total_tokens": 150}})
    spent = []
    with Budget(tokens=400) as budget:
        for _ in range(20):
            with pytest.raises((ServerError, BudgetError)):
                client.chat(ASK, max_tokens=100)
            spent.append(budget.spent["tokens"])
    assert spent[-1] <= 400
    assert spent[-1] >= 150
    assert budget._reserved.tokens == 0


@pytest.mark.parametrize("value", [-1, -5000])
def test_no_limit_at_all_is_refused_under_a_budget(value):
    """Servers read -1 as: as many as you like. Without a budget it is passed on."""
    model = ScriptedModel("x")
    with Budget(tokens=500), pytest.raises(InputValueError, match="no limit at all"):
        model.chat(ASK, max_tokens=value)
    assert model.requests == []
    assert model.chat(ASK, max_tokens=value) == "x"


@pytest.mark.parametrize(
    "args",
    [
        {"max_tokens": 5, "extra_body": {"max_tokens": 10**6}},
        {"max_tokens": 5, "extra_body": {"n_predict": 10**6}},
        {"max_tokens": 100, "best_of": 50},
    ],
    ids=repr,
)
def test_limits_in_the_body_count(args):
    """What is sent besides the arguments is reserved as well."""
    with Budget(tokens=1000), pytest.raises(BudgetError):
        ScriptedModel("x").chat(ASK, **args)


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        ({"max_tokens": "abc"}, InputTypeError),
        ({"extra_body": {"max_tokens": "abc"}}, InputTypeError),
        ({"extra_body": 5}, InputTypeError),
        ({"extra_headers": "a: b"}, InputTypeError),
        ({"extra_body": {"n": 50}}, InputValueError),
    ],
    ids=repr,
)
def test_arguments_that_cannot_be_meant_are_refused(args, kind):
    """With and without a budget, before anything is sent."""
    model = ScriptedModel("x")
    with pytest.raises(kind):
        model.chat(ASK, **args)
    assert model.requests == []
