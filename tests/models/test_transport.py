"""The connection pool: connections are reused, closed when stale, never shared."""

import asyncio
from itertools import count
from types import SimpleNamespace

import pytest

from afnio._dispatch import run_sync
from afnio.models._transport import Pool, quicken

ORIGIN = SimpleNamespace(scheme=b"http", host=b"a", port=80)
REQUEST = SimpleNamespace(url=SimpleNamespace(origin=ORIGIN))


class Connection:
    """Stands for a connection of the HTTP library."""

    def __init__(self):
        self.requests = 0
        self.expired = self.closed = self.broken = False

    async def handle_async_request(self, _request):
        self.requests += 1
        if self.broken:
            raise OSError("reset")
        return SimpleNamespace(stream=self)

    async def aclose(self):
        self.closed = self.expired

    def has_expired(self):
        return self.expired

    def is_idle(self):
        return not self.closed


@pytest.fixture
def made():
    """Connections in the order in which the pool made them."""
    return []


@pytest.fixture
def pool(made):
    """Build a pool of connections that only count."""

    def create(_origin):
        made.append(Connection())
        return made[-1]

    return Pool(create, clock=count(step=60).__next__)


async def ask(pool):
    """Send a request and read its response."""
    response = await pool.handle_async_request(REQUEST)
    await response.stream.aclose()
    await response.stream.aclose()  # twice does no harm


def test_connection_used_last_is_used_again(pool, made):
    """Two requests at once need two connections, the next ones need none more."""

    async def go():
        first = await pool.handle_async_request(REQUEST)
        await ask(pool)
        await first.stream.aclose()
        await ask(pool)
        await ask(pool)

    asyncio.run(go())
    assert [connection.requests for connection in made] == [3, 1]


def test_stale_connections_are_closed(pool, made):
    """What the server has closed is not used again, also at the far end of the line."""

    async def go():
        first, second = [await pool.handle_async_request(REQUEST) for _ in range(2)]
        await first.stream.aclose()
        await second.stream.aclose()
        made[0].expired = True
        await ask(pool)
        assert made[0].closed
        assert made[1].requests == 2
        made[1].expired = True
        await ask(pool)

    asyncio.run(go())
    assert made[1].closed
    assert [connection.requests for connection in made] == [1, 2, 1]


def test_unused_connections_are_looked_at_now_and_then(made):
    """Within a second, only the connection to be used is asked whether it stands."""
    now = [0.0]

    def create(_origin):
        made.append(Connection())
        return made[-1]

    pool = Pool(create, clock=lambda: now[0])

    async def go():
        first, second = [await pool.handle_async_request(REQUEST) for _ in range(2)]
        await first.stream.aclose()
        await second.stream.aclose()
        made[0].expired = True
        await ask(pool)
        assert not made[0].closed
        now[0] = 1.0
        await ask(pool)
        assert made[0].closed

    asyncio.run(go())


def test_broken_connection_does_not_come_back(pool, made):
    """A connection whose request failed is forgotten."""

    async def go():
        await ask(pool)
        made[0].broken = True
        with pytest.raises(OSError, match="reset"):
            await ask(pool)
        await ask(pool)

    asyncio.run(go())
    assert [connection.requests for connection in made] == [2, 1]


def test_closing_the_pool_closes_what_is_idle(pool, made):
    """A closed pool has no connections; used again, it makes new ones."""

    async def go():
        await ask(pool)
        made[0].expired = True
        await pool.aclose()
        assert made[0].closed
        await ask(pool)

    asyncio.run(go())
    assert len(made) == 2


def test_unknown_clients_are_left_alone():
    """A client without the parts we know, or with HTTP/2, keeps its own pool."""
    quicken(None)
    quicken(object())
    pool = SimpleNamespace(create_connection=Connection, _http2=True)
    client = SimpleNamespace(_transport=SimpleNamespace(_pool=pool))
    quicken(client)
    assert client._transport._pool is pool


@pytest.mark.loopback
def test_the_installed_sdk_uses_the_pool(httpserver, make_openai, ask, chat_body):
    """The SDK of this environment has the parts that the pool is put between."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(chat_body())
    client = make_openai()

    async def go():
        await client.agenerate(ask())
        return (await client._sdk())._client._transport._pool

    assert isinstance(run_sync(go()), Pool)


def test_what_is_busy_when_the_pool_closes_closes_with_its_response():
    """Nobody would ever close it otherwise."""
    pool, closed = Pool(lambda _: Closing()), []

    class Closing(Connection):
        async def aclose(self):
            closed.append(self)

    async def go():
        response = await pool.handle_async_request(REQUEST)
        await pool.aclose()
        assert closed == []
        await response.stream.aclose()

    asyncio.run(go())
    assert len(set(closed)) == 1
