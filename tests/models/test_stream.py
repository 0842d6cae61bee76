"""Streams: pieces in order on any loop, budget and limits, errors, cancellation."""

import asyncio
import gc
import threading

import pytest

from afnio._dispatch import run_sync
from afnio.errors import (
    BudgetError,
    LoopError,
    ServerError,
    StateError,
)
from afnio.models import (
    Budget,
    ChatCompletionModel,
    Limits,
    Reply,
    ReplyCache,
    RetryPolicy,
    use_cache,
)
from afnio.models.testing import ScriptedModel


class Speaker(ChatCompletionModel):
    """Emits what it is told to, in pieces; exceptions are raised."""

    _retry = RetryPolicy(base_s=0.0001)

    def __init__(self, *attempts):
        super().__init__()
        self.set_price("", input=0, output=0)
        self.attempts = list(attempts)
        self.running = 0
        self.ended = threading.Event()

    async def _stream(self, request, emit):
        self.running += 1
        try:
            for piece in self.attempts.pop(0):
                if isinstance(piece, Exception):
                    raise piece
                if piece is None:
                    await asyncio.sleep(30)
                await asyncio.sleep(0)
                emit(piece)
        finally:
            self.ended.set()
        return Reply("whole")


def test_pieces_come_in_order_and_then_the_reply(ask):
    """A plain for loop gets the words; afterwards the reply is there in full."""
    stream = ScriptedModel("one two  three ").stream(ask())
    assert list(stream) == ["one", " two", "  three", " "]
    assert stream.reply.text == "one two  three "
    assert stream.reply.usage.output_tokens == 4
    assert list(stream) == []


def test_pieces_can_be_awaited_on_any_loop(ask):
    """The same works with async for, on the caller's own loop and on afnio's."""

    async def read():
        return [piece async for piece in ScriptedModel("a b").astream(ask())]

    assert asyncio.run(read()) == ["a", " b"]
    assert run_sync(read()) == ["a", " b"]


def test_blocking_iteration_on_the_loop_is_an_error(ask):
    """A plain for loop inside afnio's loop would wait for itself."""

    async def read():
        return list(ScriptedModel("a").stream(ask()))

    with pytest.raises(LoopError):
        run_sync(read())


def test_reply_before_the_end_is_an_error(ask):
    """Whoever asks for the reply too early is told to read on."""
    with (
        Speaker([None]).stream(ask()) as stream,
        pytest.raises(StateError, match="iterate"),
    ):
        stream.reply


def test_streams_are_counted_limited_and_budgeted_but_not_cached(ask, tmp_path):
    """Usage, budget and role apply; a cache is neither read nor written."""
    client = ScriptedModel("ok")
    with use_cache(ReplyCache(tmp_path / "c.sqlite")), Budget(calls=2) as budget:
        for _ in range(2):
            assert list(client.stream(ask(), role="judge")) == ["ok"]
        with pytest.raises(BudgetError):
            list(client.stream(ask()))
    assert budget.spent_by_role["judge"]["calls"] == 2
    assert client.get_usage_by_role()["judge"]["scripted"]["calls"] == 2


def test_limits_hold_for_streams(ask):
    """A second stream waits until the first has ended."""
    client = Speaker(["a", None], ["b"])
    client._limits = Limits(concurrency=1)
    first, second = client.stream(ask()), client.stream(ask())
    assert next(first) == "a"
    assert client.running == 1
    first.close()
    assert list(second) == ["b"]


def test_failure_before_the_first_piece_is_retried(ask):
    """Nothing was said yet, so another attempt does no harm."""
    client = Speaker([ServerError("down")], ["fine"])
    assert list(client.stream(ask())) == ["fine"]


def test_failure_in_mid_sentence_is_raised(ask):
    """What was said stands, and is not said twice."""
    client = Speaker(["Once", ServerError("down")], ["Once"])
    stream = client.stream(ask())
    assert next(stream) == "Once"
    with pytest.raises(ServerError, match="down"):
        next(stream)
    assert client.running == 1


def test_dropping_a_stream_cancels_the_call(ask):
    """Leaving the loop early stops what nobody reads any more."""
    client = Speaker(["a", None])
    for piece in client.stream(ask()):
        assert piece == "a"
        break
    gc.collect()
    assert client.ended.wait(30)


def test_leaving_the_block_cancels_the_call(ask):
    """So does the end of an async with."""
    client = Speaker(["a", None])

    async def read():
        async with client.astream(ask()) as stream:
            return await anext(stream)

    assert asyncio.run(read()) == "a"
    assert client.ended.wait(30)


def test_clients_that_cannot_stream_say_it_in_one_piece(ask):
    """A client written by a user needs nothing more."""

    class Mine(ChatCompletionModel):
        async def achat(self, messages, **args):
            return "all at once"

    client = Mine()
    client.set_price("", input=0, output=0)
    assert list(client.stream(ask())) == ["all at once"]
