"""Observers of the call path: what they are told, when, and what they cannot break."""

import contextvars
import logging
import threading

import pytest

from afnio._dispatch import gather, run_sync
from afnio.errors import (
    BadRequestError,
    BudgetError,
    InputTypeError,
    RateLimitError,
    StateError,
)
from afnio.models import (
    Budget,
    CallEvent,
    ReplyCache,
    RetryPolicy,
    Usage,
    call_role,
    observe,
    use_cache,
)
from afnio.models.testing import ScriptedModel

QUICK = RetryPolicy(base_s=0.0001)


def test_an_answered_call_is_told_with_all_its_facts(ask):
    """Role, model, request, reply, usage, attempts and times are there at once."""
    client = ScriptedModel([RateLimitError("slow down"), "Rome"])
    client._retry = QUICK
    seen: list[CallEvent] = []
    with observe(seen.append), call_role("test"):
        client.chat(ask("Capital?"), temperature=0)
    (event,) = seen
    assert (event.role, event.model, event.provider) == ("test", "scripted", "scripted")
    assert event.request.messages[0]["content"] == "Capital?"
    assert event.request.args == {"temperature": 0}
    assert (event.reply.text, event.error, event.cached) == ("Rome", None, False)
    assert (event.usage.input_tokens, event.attempts) == (2, 2)
    assert event.seconds > 0
    assert event.started_at_s > 1_600_000_000
    assert "Capital" not in repr(event)


def test_a_failed_call_is_told_with_its_error(ask):
    """There is no reply and no usage then."""
    seen: list[CallEvent] = []
    with observe(seen.append), pytest.raises(BadRequestError):
        ScriptedModel([BadRequestError("no")]).chat(ask())
    assert isinstance(seen[0].error, BadRequestError)
    assert (seen[0].reply, seen[0].usage, seen[0].attempts) == (None, Usage(), 1)


def test_a_cached_reply_is_told_as_such(ask, tmp_path):
    """It cost nothing and took no attempt."""
    seen: list[CallEvent] = []
    with use_cache(ReplyCache(tmp_path / "c.sqlite")), observe(seen.append):
        for _ in range(2):
            ScriptedModel("x").chat(ask())
    assert [(e.cached, e.attempts) for e in seen] == [(False, 1), (True, 0)]
    assert seen[1].usage == Usage()


def test_calls_that_were_never_made_are_no_events(ask):
    """Neither what a budget refused, nor who shared a reply in flight."""
    client, seen = ScriptedModel("x", latency_s=0.001), []
    with observe(seen.append):
        with Budget(calls=0), pytest.raises(BudgetError):
            client.chat(ask())
        run_sync(gather(client.agenerate(ask()) for _ in range(3)))
    assert len(seen) == len(client.requests) == 1


def test_streams_are_observed_too(ask):
    """A streamed reply is one call."""
    seen = []
    with observe(seen.append):
        assert list(ScriptedModel("a b").stream(ask())) == ["a", " b"]
    assert [event.reply.text for event in seen] == ["a b"]


def test_alone_it_watches_every_thread_until_it_is_removed(ask):
    """A block watches its own calls; without one, the process is watched."""
    client, seen, inner = ScriptedModel("x"), [], []
    watching = observe(seen.append)
    try:
        with observe(inner.append):
            client.chat(ask())
            thread = threading.Thread(target=client.chat, args=(ask(),))
            thread.start()
            thread.join()
    finally:
        watching.remove()
    watching.remove()
    client.chat(ask())
    assert (len(seen), len(inner)) == (2, 1)


def test_an_observer_that_fails_breaks_nothing_and_is_logged_once(ask, caplog):
    """Replies arrive, other observers are told, and the log has one traceback."""
    seen = []

    def broken(_event):
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR), observe(broken), observe(seen.append):
        client = ScriptedModel("x")
        assert [client.chat(ask()) for _ in range(3)] == ["x"] * 3
    assert len(seen) == 3
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


def test_the_callback_runs_in_the_context_of_the_caller(ask):
    """So a tracer finds the span that was open where the call was made."""
    span, found = contextvars.ContextVar("span"), []
    with observe(lambda _event: found.append(span.get())):
        span.set("outer")
        ScriptedModel("x").chat(ask())
    assert found == ["outer"]


def test_misuse_is_refused():
    """What cannot be called is refused, and so is entering one observer twice."""
    with pytest.raises(InputTypeError, match="callback is int"):
        observe(3)
    with observe(print) as watching, pytest.raises(StateError), watching:
        pass
