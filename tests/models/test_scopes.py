"""Blocks that say what holds for every call inside: deadlines and roles."""

import pytest

import afnio
from afnio._dispatch import gather, run_sync
from afnio.cognitive import functional as F
from afnio.errors import InputTypeError, InputValueError, ModelTimeoutError
from afnio.models import call_role, deadline
from afnio.models.testing import ScriptedModel


def test_deadline_of_a_block_ends_calls(ask):
    """A call that outlives the block's deadline raises, and is cancelled."""
    client = ScriptedModel("late", latency_s=30)
    with deadline(0.01), pytest.raises(ModelTimeoutError, match="deadline") as caught:
        client.chat(ask())
    assert caught.value.retryable is False


def test_nested_deadlines_hold_the_earlier_end(ask):
    """An inner block cannot lengthen the outer one's time."""
    client = ScriptedModel("late", latency_s=30)
    with deadline(0.01), deadline(100), pytest.raises(ModelTimeoutError):
        client.chat(ask())
    with pytest.raises(InputValueError, match="deadline"):
        deadline(0)


def test_call_role_renames_forward_calls_only(ask):
    """Inside the block forward calls count as tests; critics keep their role."""
    client = ScriptedModel("ok")
    with call_role("test"):
        client.chat(ask("a"))
        client.chat(ask("b"), role="critic")
        with call_role("warmup"):
            client.chat(ask("c"))
        client.chat(ask("d"))
    client.chat(ask("e"))
    roles = [request.role for request in client.requests]
    assert roles == ["test", "critic", "warmup", "test", "forward"]


def test_call_role_reaches_operations_read_later(ask):
    """An operation counts under the role of the block it was called in."""
    client = ScriptedModel("ok")
    turns = [{"role": "user", "content": [afnio.Variable("Hi", "question")]}]
    with call_role("test"):
        reply = F.chat_completion(client, turns, inputs={})
    assert reply.data == "ok"
    assert client.requests[0].role == "test"


def test_call_role_is_not_seen_by_calls_beside_the_block(ask):
    """Two tasks at once, one in a block: each has its own role."""
    client = ScriptedModel("ok")

    async def inside():
        with call_role("test"):
            return await client.agenerate(ask("inside"))

    async def go():
        await gather([inside(), client.agenerate(ask("beside"))])

    run_sync(go())
    assert sorted(request.role for request in client.requests) == ["forward", "test"]


def test_role_must_be_a_word():
    """An empty role, or none at all, is refused."""
    with pytest.raises(InputValueError, match="role is empty"):
        call_role("")
    with pytest.raises(InputTypeError, match="role is NoneType"):
        call_role(None)
