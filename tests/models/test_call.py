"""The one call path: sharing calls in flight, deadlines, retries, counting, logging."""

import asyncio
import logging
import threading

import pytest

from afnio._dispatch import gather, run_sync
from afnio.errors import (
    BadRequestError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
)
from afnio.models import ChatCompletionModel, Limits, Reply, RetryPolicy
from afnio.models.testing import ScriptedModel

QUICK = RetryPolicy(base_s=0.0001)


def test_equal_calls_in_flight_are_made_and_counted_once(ask):
    """Equal questions at once cost one call; another sample index costs its own."""
    client = ScriptedModel(["one", "two"], latency_s=0.001)

    async def go():
        return await gather(
            client.agenerate(ask(), sample_index=index) for index in (0, 0, 1, 0)
        )

    texts = [reply.text for reply in run_sync(go())]

    assert texts == ["one", "one", "two", "one"]
    assert len(client.requests) == 2
    assert client.get_usage_by_role()["forward"]["scripted"]["calls"] == 2


def test_equal_calls_one_after_the_other_are_both_made(ask):
    """Only calls in flight are shared; without a cache nothing is remembered."""
    client = ScriptedModel(["one", "two"])
    assert [client.chat(ask()), client.chat(ask())] == ["one", "two"]


def test_error_in_flight_reaches_everyone_who_waits(ask):
    """All who share a failing call get its error."""
    client = ScriptedModel([BadRequestError("no")], latency_s=0.001)

    async def go():
        return await asyncio.gather(
            *(client.agenerate(ask()) for _ in range(3)), return_exceptions=True
        )

    assert [type(e) for e in run_sync(go())] == [BadRequestError] * 3
    assert len(client.requests) == 1


def test_waiter_takes_over_when_the_caller_in_front_is_cancelled(ask):
    """Cancelling who makes a shared call does not cancel who waits for it."""
    client = ScriptedModel(["first", "second"], latency_s=0.01)

    async def go():
        front = asyncio.ensure_future(client.agenerate(ask()))
        await asyncio.sleep(0)
        behind = asyncio.ensure_future(client.agenerate(ask()))
        await asyncio.sleep(0)
        front.cancel()
        reply = await behind
        with pytest.raises(asyncio.CancelledError):
            await front
        return reply

    assert run_sync(go()).text == "second"


def test_cancelled_waiter_leaves_the_call_alone(ask):
    """Cancelling who waits does not cancel who makes the call."""
    client = ScriptedModel(["first"], latency_s=0.01)

    async def go():
        front = asyncio.ensure_future(client.agenerate(ask()))
        await asyncio.sleep(0)
        behind = asyncio.ensure_future(client.agenerate(ask()))
        await asyncio.sleep(0)
        behind.cancel()
        return await front

    assert run_sync(go()).text == "first"


def test_retryable_errors_are_retried_and_counted_once(ask):
    """Two failures and a success are one call in the usage."""
    client = ScriptedModel([ServerError("a"), RateLimitError("b"), "fine"])
    client._retry = QUICK
    assert client.chat(ask()) == "fine"
    assert len(client.requests) == 3
    tally = client.get_usage_by_role()["forward"]["scripted"]
    assert (tally["calls"], tally["failed_calls"]) == (1, 0)


def test_failed_calls_are_counted_and_name_the_model(ask):
    """A call that failed for good is in the usage, and the error says which model."""
    client = ScriptedModel([BadRequestError("no")], model="m")
    with pytest.raises(BadRequestError) as caught:
        client.chat(ask())
    assert caught.value.model == "m"
    assert client.get_usage_by_role()["forward"]["m"]["failed_calls"] == 1


def test_deadline_of_the_client_includes_retries(ask):
    """Retries and waits count against the client's deadline."""
    client = ScriptedModel([ServerError("a")] * 50)
    client._retry = RetryPolicy(max_retries=49, base_s=30, deadline_s=0.02)
    with pytest.raises(ModelTimeoutError):
        client.chat(ask())
    assert len(client.requests) == 1


def test_limits_hold_for_a_user_s_client(ask):
    """A client written by a user is limited too."""
    running, peak = [0], [0]

    class Mine(ChatCompletionModel):
        _limits = Limits(concurrency=2)

        async def achat(self, messages, **args):
            running[0] += 1
            peak[0] = max(peak[0], running[0])
            await asyncio.sleep(0)
            running[0] -= 1
            return "ok"

    client = Mine()
    client.set_price("", input=0, output=0)

    async def go():
        await gather(client.agenerate(ask(str(n))) for n in range(9))

    run_sync(go())
    assert peak == [2]


def test_calls_from_another_event_loop_hop_to_ours(ask):
    """A call awaited on the user's own loop runs on afnio's."""
    threads = []

    async def answer(messages, **args):
        threads.append(threading.current_thread())
        return "ok"

    client = ScriptedModel(answer)

    async def mine():
        return await gather(client.achat(ask(str(n))) for n in range(3))

    assert asyncio.run(mine()) == ["ok"] * 3
    assert threading.current_thread() not in threads


def test_log_tells_numbers_and_no_contents(ask, caplog):
    """The log has role, model, tokens and time, but never what was said."""
    client = ScriptedModel("a secret answer")
    with caplog.at_level(logging.DEBUG, logger="afnio.models"):
        client.chat(ask("a secret question"), role="critic")
    assert "critic scripted: 5 + 4 tokens, $0.000000" in caplog.text
    assert "secret" not in caplog.text


def test_reply_carries_what_it_cost(ask):
    """The cost in a reply follows the client's price."""
    client = ScriptedModel("four", model="m")
    client.set_price("m", input=1_000_000, output=2_000_000)
    reply = run_sync(client.agenerate(ask("1234")))
    assert reply.usage.cost_usd == 3
    assert client.get_usage()["cost"] == {"amount": 3.0, "currency": "USD"}
    assert isinstance(reply, Reply)
