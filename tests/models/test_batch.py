"""Batch APIs of both providers, through their SDKs, against a server on loopback."""

import asyncio
import json
import re
import threading
import time
from itertools import count

import pytest
from werkzeug import Response

from afnio._dispatch import cancel_pending, gather, run_sync, spawn
from afnio._variable import Variable
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.errors import (
    BadRequestError,
    BudgetError,
    FileFormatError,
    InputTypeError,
    InputValueError,
    ModelTimeoutError,
)
from afnio.models import BatchWarning, Budget, Limits, ReplyCache, batch, use_cache
from afnio.models import RetryPolicy as Policy
from afnio.models.anthropic import Anthropic
from afnio.models.openai import OpenAI
from afnio.models.testing import ScriptedModel

pytestmark = pytest.mark.loopback
FAST = {"linger_s": 0.02, "poll_s": 0.01}


class Provider:
    """What the servers of both providers share.

    Attributes:
        batches: Requests of each batch submitted, by its name.
        running: Looks at a batch before it ends.
        broken: Questions that a batch does not answer.
        refused: Questions that are not answered directly either.
        direct: Questions asked one by one.
    """

    def __init__(self, httpserver):
        self.batches, self.tokens, self.running = {}, {}, 0
        self.broken, self.refused, self.direct = set(), set(), []
        self.lost_answers = 0
        self.numbers = count(1)
        self.server = httpserver
        self.looked = threading.Event()

    def route(self, pattern, method, handler):
        """Answer requests of one kind."""
        self.server.expect_request(
            re.compile(pattern), method=method
        ).respond_with_handler(handler)

    def look(self):
        """Tell whether a batch has ended."""
        self.looked.set()
        self.running -= 1
        return self.running < 0

    def created(self, document):
        """Answer a submission, or hang up after it has arrived."""
        if self.lost_answers:
            self.lost_answers -= 1
            return Response("oops", 500)
        return Response(json.dumps(document), content_type="application/json")


def as_json(document, status=200):
    """Build a response."""
    return Response(json.dumps(document), status, content_type="application/json")


class OpenAIServer(Provider):
    """OpenAI's files and batches."""

    path = "/v1"
    name = "openai"

    def __init__(self, httpserver):
        super().__init__(httpserver)
        self.files = {}
        self.route(r"/v1/files$", "POST", self.upload)
        self.route(r"/v1/files/.*/content", "GET", self.content)
        self.route(r"/v1/batches$", "POST", self.create)
        self.route(r"/v1/batches$", "GET", self.list)
        self.route(r"/v1/batches/", "GET", self.retrieve)
        self.route(r"/v1/chat/completions", "POST", self.ask)

    def client(self, url, **settings):
        return OpenAI(base_url=url + "/v1", model="gpt-4o", **settings)

    def upload(self, request):
        assert request.form["purpose"] == "batch"
        name = f"file-{next(self.numbers)}"
        self.files[name] = request.files["file"].read().decode()
        return as_json(
            {
                "id": name,
                "object": "file",
                "purpose": "batch",
                "bytes": 1,
                "created_at": 1,
                "filename": "x",
                "status": "processed",
            }
        )

    def create(self, request):
        name, body = f"batch-{next(self.numbers)}", request.json
        lines = [json.loads(x) for x in self.files[body["input_file_id"]].splitlines()]
        assert {x["url"] for x in lines} == {body["endpoint"]}
        self.batches[name] = {x["custom_id"]: x["body"] for x in lines}
        self.tokens[name] = body["metadata"]
        return self.created(self.document(name, "validating"))

    def document(self, name, status):
        return {
            "id": name,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": int(time.time()),
            "input_file_id": "f",
            "metadata": self.tokens[name],
            "status": status,
            "output_file_id": name if status == "completed" else None,
        }

    def list(self, _request):
        data = [self.document(name, "in_progress") for name in self.batches]
        return as_json({"object": "list", "data": data, "has_more": False})

    def retrieve(self, request):
        name = request.path.split("/")[-1]
        if name not in self.batches:
            return as_json({"error": {"message": "no such batch"}}, 404)
        return as_json(self.document(name, self.ended()))

    def ended(self):
        return "completed" if self.look() else "in_progress"

    def content(self, request):
        name = request.path.split("/")[-2]
        lines = [self.line(item, body) for item, body in self.batches[name].items()]
        return Response("\n".join(map(json.dumps, lines)))

    def line(self, item, body):
        text = body["messages"][-1]["content"]
        fails = text in self.broken
        response = {
            "status_code": 500 if fails else 200,
            "request_id": "r1",
            "body": {} if fails else self.completion(text.upper()),
        }
        return {"custom_id": item, "response": response, "error": None}

    def completion(self, text):
        said = {"role": "assistant", "content": text}
        return {
            "id": "c1",
            "model": "gpt-4o",
            "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 1000,
                "completion_tokens": 0,
                "total_tokens": 1000,
            },
        }

    def ask(self, request):
        text = request.json["messages"][-1]["content"]
        self.direct.append(text)
        if text in self.refused:
            return as_json({"error": {"message": "bad"}}, 400)
        return as_json(self.completion(text.upper()))


class AnthropicServer(Provider):
    """Anthropic's message batches."""

    path = ""
    name = "anthropic"

    def __init__(self, httpserver):
        super().__init__(httpserver)
        self.route(r"/v1/messages/batches$", "POST", self.create)
        self.route(r"/v1/messages/batches$", "GET", self.list)
        self.route(r"/v1/messages/batches/.*/results", "GET", self.results)
        self.route(r"/v1/messages/batches/[^/]*$", "GET", self.retrieve)
        self.route(r"/v1/messages$", "POST", self.ask)

    def client(self, url, **settings):
        return Anthropic(base_url=url, model="claude-sonnet-4-5", **settings)

    def create(self, request):
        name = f"msgbatch_{next(self.numbers)}"
        self.batches[name] = {
            item["custom_id"]: item["params"] for item in request.json["requests"]
        }
        return self.created(self.document(name, "in_progress"))

    def document(self, name, status):
        counts = dict.fromkeys(["succeeded", "errored", "canceled", "expired"], 0)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {
            "id": name,
            "type": "message_batch",
            "created_at": now,
            "expires_at": now,
            "ended_at": None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "processing_status": status,
            "request_counts": {**counts, "processing": len(self.batches[name])},
            "results_url": self.server.url_for(f"/v1/messages/batches/{name}/results"),
        }

    def list(self, _request):
        data = [self.document(name, "in_progress") for name in self.batches]
        return as_json(
            {"data": data, "has_more": False, "first_id": None, "last_id": None}
        )

    def retrieve(self, request):
        name = request.path.split("/")[-1]
        if name not in self.batches:
            return as_json({"error": {"message": "no such batch"}}, 404)
        return as_json(self.document(name, "ended" if self.look() else "in_progress"))

    def results(self, request):
        name = request.path.split("/")[-2]
        lines = [self.line(item, body) for item, body in self.batches[name].items()]
        return Response("\n".join(map(json.dumps, lines)))

    def line(self, item, body):
        text = body["messages"][-1]["content"]
        if text in self.broken:
            return {"custom_id": item, "result": {"type": "expired"}}
        message = self.message(text.upper())
        return {
            "custom_id": item,
            "result": {"type": "succeeded", "message": message},
        }

    def message(self, text):
        return {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1000, "output_tokens": 0},
        }

    def ask(self, request):
        text = request.json["messages"][-1]["content"]
        self.direct.append(text)
        if text in self.refused:
            return as_json({"error": {"message": "bad"}}, 400)
        return as_json(self.message(text.upper()))


@pytest.fixture(params=[OpenAIServer, AnthropicServer])
def provider(request, httpserver):
    """Serve one provider's batch API, then the other's."""
    return request.param(httpserver)


@pytest.fixture
def make(httpserver, provider):
    """Make clients of it, and close them."""
    made = []

    def build(**settings):
        settings.setdefault("retry", Policy(base_s=0.0001))
        made.append(provider.client(httpserver.url_for("").rstrip("/"), **settings))
        return made[-1]

    yield build
    for client in made:
        client.close()


def ask_all(client, texts, **args):
    """Ask several questions at once."""

    async def go():
        return await gather(
            client.agenerate([{"role": "user", "content": text}], **args)
            for text in texts
        )

    return run_sync(go())


def test_calls_become_one_batch_at_half_the_price(provider, make, tmp_path):
    """What is asked together is submitted together, counted and paid as a batch."""
    provider.running = 2
    client = make()
    with batch(tmp_path / "b", **FAST) as batched:
        replies = ask_all(client, ["a", "b", "c"], temperature=0.5, max_tokens=9)
    assert [reply.text for reply in replies] == ["A", "B", "C"]
    assert all(reply.batched and not reply.cached for reply in replies)
    assert (batched.answered, batched.direct, provider.direct) == (3, 0, [])
    (bodies,) = provider.batches.values()
    assert [body["messages"][-1]["content"] for body in bodies.values()] == list("abc")
    assert all(body["temperature"] == 0.5 for body in bodies.values())
    full = make()
    ask_all(full, ["a", "b", "c"])
    assert client.get_usage()["total_tokens"] == 3000
    half = full.get_usage()["cost"]["amount"] / 2
    assert client.get_usage()["cost"]["amount"] == pytest.approx(half)
    assert half > 0


def test_calls_that_depend_on_others_make_the_next_batch(provider, make, tmp_path):
    """Two stages are two batches, whoever finishes first."""
    client = make()

    async def chain(text):
        first = await client.achat([{"role": "user", "content": text}])
        return await client.achat([{"role": "user", "content": first + "!"}])

    async def go():
        return await gather(chain(text) for text in "ab")

    with batch(tmp_path / "b", **FAST):
        assert run_sync(go()) == ["A!", "B!"]
    assert [len(bodies) for bodies in provider.batches.values()] == [2, 2]


def test_unanswered_items_are_asked_one_by_one(provider, make, tmp_path):
    """Errors and expired items fall back; the others keep their batch."""
    provider.broken = {"b"}
    client = make()
    with batch(tmp_path / "b", **FAST) as batched:
        replies = ask_all(client, ["a", "b", "c"])
    assert [reply.text for reply in replies] == ["A", "B", "C"]
    assert [reply.batched for reply in replies] == [True, False, True]
    assert provider.direct == ["b"]
    assert (batched.answered, batched.direct) == (2, 1)
    assert client.get_usage_by_role()["forward"][client.model]["calls"] == 3


def test_interrupted_run_resumes_without_paying_twice(provider, make, tmp_path):
    """After Ctrl-C, a new process with the same file waits for the same batch."""
    provider.running = 10**9
    first = make()
    with batch(tmp_path / "b", **FAST):
        waiting = [
            spawn(first.achat([{"role": "user", "content": text}])) for text in "ab"
        ]
        assert provider.looked.wait(60)
    cancel_pending()
    for deferred in waiting:
        with pytest.raises(RuntimeError):
            deferred.result()
    provider.running = 1
    again = make()
    with batch(tmp_path / "b", **FAST):
        replies = ask_all(again, ["a", "b"])
    assert [reply.text for reply in replies] == ["A", "B"]
    assert (len(provider.batches), provider.direct) == (1, [])
    assert again.get_usage()["total_tokens"] == 2000
    with batch(tmp_path / "b", **FAST):  # what was answered stays answered, for nothing
        replies = ask_all(free := make(), ["a", "b"])
    assert [reply.text for reply in replies] == ["A", "B"]
    assert all(reply.cached for reply in replies)
    assert len(provider.batches) == 1
    assert free.get_usage()["total_tokens"] == 0


def test_part_of_a_batch_can_be_asked_for_later(provider, make, tmp_path):
    """Replies that nobody waited for are kept, and counted when they are taken."""
    provider.running = 10**9
    with batch(tmp_path / "b", **FAST, wait_s=0), pytest.raises(ModelTimeoutError):
        ask_all(make(), ["a", "b"])
    provider.running = 0
    with batch(tmp_path / "b", **FAST):
        ask_all(client := make(), ["a"])
        assert client.get_usage()["total_tokens"] == 1000
        ask_all(client, ["b"])
        assert client.get_usage()["total_tokens"] == 2000
        run_sync(asyncio.sleep(0.05))  # until it is noted, which comes earlier
        ask_all(client, ["a", "b"])
    assert client.get_usage()["total_tokens"] == 2000
    assert (len(provider.batches), provider.direct) == (1, [])


def test_submission_whose_answer_was_lost_is_found(provider, make, tmp_path):
    """A server that fails after it took the batch does not get it twice."""
    provider.lost_answers = 1
    with batch(tmp_path / "b", **FAST):
        replies = ask_all(make(), ["a", "b"])
    assert [reply.text for reply in replies] == ["A", "B"]
    assert (len(provider.batches), provider.direct) == (1, [])


def test_death_while_submitting_is_found_out(provider, make, tmp_path):
    """A run killed between submission and answer finds its batch by its token."""
    provider.lost_answers = 1
    dead = make(retry=Policy(max_retries=0))
    with (
        batch(tmp_path / "b", **FAST) as batched,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(batched._store, "finish", lambda *_a, **_k: None)  # killed
        with pytest.warns(BatchWarning, match="submitted"):
            ask_all(dead, ["a", "b"])
    provider.direct.clear()
    with batch(tmp_path / "b", **FAST):
        replies = ask_all(make(), ["a", "b"])
    assert [reply.text for reply in replies] == ["A", "B"]
    assert (len(provider.batches), provider.direct) == (1, [])


def test_batch_that_never_arrived_is_asked_directly(provider, make, tmp_path):
    """If the provider has no batch with our token, its calls are made anew."""
    dead = make()
    with (
        batch(tmp_path / "b", **FAST) as batched,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(provider, "created", lambda _d: Response("no", 400))
        patch.setattr(batched._store, "finish", lambda *_a, **_k: None)
        with pytest.warns(BatchWarning):
            ask_all(dead, ["a"])
    provider.batches.clear()
    provider.direct.clear()
    with batch(tmp_path / "b", **FAST):
        assert ask_all(make(), ["a"])[0].text == "A"
    assert (provider.batches, provider.direct) == ({}, ["a"])


def test_lost_batch_is_asked_directly(provider, make, tmp_path):
    """A batch that the provider has deleted does not stop a run."""
    provider.running = 10**9
    with batch(tmp_path / "b", **FAST, wait_s=0), pytest.raises(ModelTimeoutError):
        ask_all(make(), ["a"])
    provider.batches.clear()
    with batch(tmp_path / "b", **FAST), pytest.warns(BatchWarning, match="is gone"):
        assert ask_all(make(), ["a"])[0].text == "A"


def test_server_without_batches_is_asked_directly(httpserver, tmp_path):
    """One's own server often has no batch API: one warning, and every answer."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(
        OpenAIServer.completion(None, "Hello")
    )
    httpserver.expect_request("/v1/files").respond_with_json({}, status=404)
    client = OpenAI(base_url=httpserver.url_for("/v1"), model="gpt-4o")
    with batch(tmp_path / "b", **FAST) as batched:
        with pytest.warns(BatchWarning, match="full price"):
            replies = ask_all(client, ["a", "b"])
        ask_all(client, ["c"])
    assert [reply.text for reply in replies] == ["Hello", "Hello"]
    assert (batched.answered, batched.direct) == (0, 3)
    assert sum("files" in request.path for request, _ in httpserver.log) == 1
    client.close()


def test_batch_that_fails_as_a_whole_is_asked_directly(httpserver, tmp_path):
    """A batch that the provider refuses after submission says why, once."""
    provider = OpenAIServer(httpserver)
    provider.ended = lambda: "failed"
    client = provider.client(httpserver.url_for("").rstrip("/"))
    with batch(tmp_path / "b", **FAST), pytest.warns(BatchWarning, match="failed"):
        assert ask_all(client, ["a"])[0].text == "A"
    client.close()


def test_wrong_call_harms_no_other(provider, make, tmp_path):
    """A call that cannot be put in the provider's words fails alone."""
    client = make()

    async def go():
        bad = client.achat([{"role": "user", "content": "x"}], model="")
        good = client.achat([{"role": "user", "content": "a"}])
        with pytest.raises(InputValueError, match="model"):
            await bad
        return await good

    with batch(tmp_path / "b", **FAST):
        assert run_sync(go()) == "A"


def test_calls_with_headers_streams_and_others_are_direct(provider, make, tmp_path):
    """What a batch cannot carry goes past it."""
    client = make()
    with batch(tmp_path / "b", **FAST):
        ask_all(client, ["a"], extra_headers={"x-a": "1"})
        assert ScriptedModel("Hi").chat([{"role": "user", "content": "?"}]) == "Hi"
    assert provider.direct == ["a"]
    assert provider.batches == {}


def test_batches_have_a_greatest_size(provider, make, tmp_path):
    """More calls than fit make several batches."""
    with batch(tmp_path / "b", **FAST, max_calls=2):
        replies = ask_all(make(), list("abcde"))
    assert [reply.text for reply in replies] == list("ABCDE")
    assert sorted(len(b) for b in provider.batches.values()) == [1, 2, 2]


def test_batch_waits_in_no_slot(provider, make, tmp_path):
    """Many more calls than the endpoint bears at once fit in one batch."""
    with batch(tmp_path / "b", **FAST):
        ask_all(make(limits=Limits(concurrency=1)), list("abcdefgh"))
    assert [len(bodies) for bodies in provider.batches.values()] == [8]


def test_budget_and_cache_hold(provider, make, tmp_path):
    """Batches are reserved and settled as other calls are, and fill the cache."""
    client = make()
    with (
        use_cache(ReplyCache(tmp_path / "cache")),
        Budget(usd=1, calls=2) as budget,
        batch(tmp_path / "b", **FAST),
    ):
        ask_all(client, ["a", "b"], max_tokens=10)
        ask_all(client, ["a", "b"], max_tokens=10)
        with pytest.raises(BudgetError):
            ask_all(client, ["c"])
    assert budget.spent["calls"] == 2
    assert budget.spent["usd"] == pytest.approx(client.get_usage()["cost"]["amount"])
    assert len(provider.batches) == 1


def test_typed_replies_are_parsed(provider, make, tmp_path):
    """A reply from a batch is parsed, and repaired in the next batch."""
    with batch(tmp_path / "b", **FAST):
        (reply,) = ask_all(make(), ["3"], response_format={"type": "json_object"})
    assert reply.parsed == 3


@pytest.mark.parametrize(
    ("args", "error", "said"),
    [
        ({"path": 3}, InputTypeError, "path is int"),
        ({"path": "x", "linger_s": "1"}, InputTypeError, "linger_s is str"),
        ({"path": "x", "poll_s": -1}, InputValueError, "poll_s is -1"),
        ({"path": "x", "max_calls": 0}, InputValueError, "1 or more"),
    ],
)
def test_wrong_arguments_are_named(args, error, said):
    """The constructor refuses what it cannot use."""
    with pytest.raises(error, match=said):
        batch(**args)


def test_foreign_file_is_refused(provider, make, tmp_path):
    """A file of another kind is left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("mine " * 1000)
    with batch(path, **FAST), pytest.raises(FileFormatError, match=r"notes\.txt"):
        ask_all(make(), ["a"])
    assert path.read_text() == "mine " * 1000


def test_file_holds_no_key_and_no_question(provider, make, tmp_path):
    """What is on file are digests and replies."""
    secret = "sk-test-0123456789abcdef"
    with batch(tmp_path / "b", **FAST):
        ask_all(make(api_key=secret), ["a very private question"])
    data = (tmp_path / "b").read_bytes()
    assert secret.encode() not in data
    assert b"private question" not in data


def test_refused_question_is_an_error(provider, make, tmp_path):
    """A question that the provider refuses in a batch is refused directly, as ours."""
    provider.broken = provider.refused = {"a"}
    with batch(tmp_path / "b", **FAST), pytest.raises(BadRequestError, match="bad"):
        ask_all(make(), ["a"])


def test_a_program_is_evaluated_in_a_batch_per_stage(provider, make, tmp_path):
    """Plain code over many samples makes one batch for each dependent call."""
    client = make()
    task = Variable("{text}", "task")
    messages = [{"role": "user", "content": [task]}]
    with batch(tmp_path / "b", **FAST):
        first = [
            ChatCompletion.apply(client, messages, inputs={"text": text})
            for text in "abcdef"
        ]
        second = [
            ChatCompletion.apply(client, messages, inputs={"text": f"x{number}"})
            for number in range(6)
        ]
        third = [
            ChatCompletion.apply(client, messages, inputs={"text": answer + "!"})
            for answer in first
        ]
    assert [answer.data for answer in third] == [f"{x}!" for x in "ABCDEF"]
    assert second[5].data == "X5"
    assert [len(bodies) for bodies in provider.batches.values()] == [12, 6]
