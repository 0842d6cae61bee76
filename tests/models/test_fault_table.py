"""What each fault gives, as a table: ``pytest tests/models/test_fault_table.py -v``.

The server and the table are those of ``python -m benchmarks.models --faults``.
"""

import threading

import pytest

from afnio._dispatch import gather, run_sync
from afnio.models import RetryPolicy
from afnio.models.anthropic import Anthropic
from benchmarks._faults import (
    FAULTS,
    OPENAI_ONLY,
    TABLE,
    Server,
    commit,
    make_client,
)

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.filterwarnings("ignore:.*could not be reached; trying again"),
]


@pytest.fixture
def server():
    """Start a server, and stop it."""
    started = Server()
    yield started
    started.close()


@pytest.fixture
def client(server):
    """Make a patient client of the server, and close it."""
    made = make_client(server)
    yield made
    made.close()


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_fault(row, server, client):
    """One fault costs attempts and nothing else; a lasting one is a named error."""
    assert commit(server, client, row.fault) == row
    usage = client.get_usage_by_role()["forward"]["m"]
    assert usage["calls"] + usage["failed_calls"] == 2


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.fault not in OPENAI_ONLY], ids=str
)
def test_fault_of_anthropic(row, server):
    """What does not depend on a provider's words is the same for both."""
    client = make_client(server, Anthropic)
    assert commit(server, client, row.fault) == row
    client.close()


def test_every_fault_is_in_the_table():
    """No fault is forgotten."""
    assert [row.fault for row in TABLE] == list(FAULTS)


def test_reply_delivered_twice_answers_nobody_else(server, client, ask):
    """What is left over on a connection is never taken for the next answer."""
    server.faults = lambda number: "delivered twice" if number % 2 else None
    for number in range(6):
        text = client.chat(ask(f"question {number}"))
        assert text in ("Hello", f"question {number}")


FAILING = ["500", "429", "reset", "truncated JSON", "null content", "body cut off"]


def test_nothing_is_lost_or_counted_twice_when_a_tenth_fails(server, client, ask):
    """Every question gets its own answer; all that a server bills is counted.

    That is what it answers, its replies without content included. With the documented
    two retries one call in a thousand would still fail for good.
    """
    client._retry = RetryPolicy(base_s=0.002, max_retries=5)
    seen = []

    def fault(number):
        seen.append(FAILING[number // 10 % len(FAILING)] if number % 10 == 0 else None)
        return seen[-1]

    server.faults = fault

    async def go():
        return await gather(client.achat(ask(str(number))) for number in range(200))

    assert run_sync(go()) == [str(number) for number in range(200)]
    assert 200 < server.seen.total() < 240
    usage = client.get_usage_by_role()["forward"]["m"]
    assert (usage["calls"], usage["failed_calls"]) == (200, 0)
    billed = 200 + seen.count("null content")
    assert usage["total_tokens"] == billed * 28
    assert client.get_usage()["cost"]["amount"] == pytest.approx(billed * 28e-6)


def test_server_that_restarts_in_mid_run_loses_nothing(server, client, ask):
    """Calls that a restart cut off, or that found nobody there, are made again."""
    client._retry = RetryPolicy(base_s=0.05, max_retries=8)
    server.faults = lambda number: "hang" if 40 < number <= 48 else None
    gone = threading.Event()

    def restart():
        while server.seen.total() < 45:
            gone.wait(0.005)
        server.stop()
        gone.wait(0.2)
        server.start()

    async def go():
        return await gather(client.achat(ask(str(number))) for number in range(80))

    restarting = threading.Thread(target=restart)
    restarting.start()
    try:
        assert run_sync(go()) == [str(number) for number in range(80)]
    finally:
        restarting.join()
    assert client.get_usage_by_role()["forward"]["m"]["calls"] == 80
