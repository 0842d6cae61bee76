"""A server that announces a strict quota in its headers has nothing to refuse.

Time is virtual: it jumps to the end of a wait as soon as nothing is under way.
"""

import asyncio
import json
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from werkzeug import Response

from afnio._dispatch import gather, run_sync
from afnio.models import RetryPolicy, _limits, _sdk
from afnio.models._loop_local import LoopLocal
from afnio.models.anthropic import Anthropic
from afnio.models.openai import OpenAI

Limiter = _limits.Limiter  # tests put another in its place

MESSAGE = {
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "output_tokens": 5},
}


class Clock:
    """Tells the time of limiters and of servers; nobody really waits."""

    def __init__(self):
        self.jumped_s = 0.0

    def __call__(self):
        return time.monotonic() + self.jumped_s

    def limiter(self, limits):
        """Make a limiter that lives by this clock."""

        def later(delay, wake):
            loop, due = asyncio.get_running_loop(), self() + delay

            def jump():
                if made.active:
                    loop.call_later(0.001, jump)
                    return
                self.jumped_s += max(0.0, due - self())
                wake()

            loop.call_soon(jump)

        made = Limiter(limits, clock=self, later=later)
        return made


@pytest.fixture
def clock(monkeypatch):
    """Put a virtual clock in the place of the system's."""
    clock = Clock()
    monkeypatch.setattr(_limits, "Limiter", clock.limiter)
    monkeypatch.setattr(_limits, "_endpoints", LoopLocal(dict))
    monkeypatch.setattr(_sdk, "time", SimpleNamespace(monotonic=clock))
    return clock


class StrictServer:
    """Answers ``limit`` requests in each window, for each key; 429 beyond."""

    def __init__(self, clock, body, limit, width_s, headers):
        self.clock = clock
        self.body = body
        self.limit = limit
        self.width_s = width_s
        self.headers = headers
        self.refused = 0
        self._windows = {}
        self._lock = threading.Lock()

    def __call__(self, request):
        """Count, and say what is left."""
        key = request.headers.get("authorization") or request.headers.get("x-api-key")
        with self._lock:
            now = self.clock()
            opened, used = self._windows.get(key, (now, 0))
            if now >= opened + self.width_s:
                opened, used = now, 0
            is_refused = used >= self.limit
            self.refused += is_refused
            used += not is_refused
            self._windows[key] = opened, used
            reset_s = opened + self.width_s - now
        headers = self.headers(self.limit, self.limit - used, reset_s)
        status, body = (429, {"error": {}}) if is_refused else (200, self.body)
        return Response(
            json.dumps(body), status, headers, content_type="application/json"
        )


def openai_headers(limit, remaining, reset_s):
    """Say what is left as OpenAI does."""
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": f"{reset_s * 1000:.0f}ms",
    }


def anthropic_headers(limit, remaining, reset_s):
    """Say what is left as Anthropic does."""
    reset = datetime.fromtimestamp(time.time() + reset_s, UTC)
    return {
        "anthropic-ratelimit-requests-limit": str(limit),
        "anthropic-ratelimit-requests-remaining": str(remaining),
        "anthropic-ratelimit-requests-reset": reset.isoformat(),
    }


def ask_all(client, questions):
    """Ask once, then everything at once."""
    client.chat([{"role": "user", "content": "first"}])

    async def everything():
        return await gather(
            client.achat([{"role": "user", "content": str(n)}])
            for n in range(questions)
        )

    return run_sync(everything())


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("kind", "path", "headers"),
    [
        (OpenAI, "/chat/completions", openai_headers),
        (Anthropic, "/v1/messages", anthropic_headers),
    ],
)
def test_strict_quota_is_never_run_into(
    httpserver, chat_body, clock, kind, path, headers
):
    """Thirty calls against eight per window: none is refused, and none is lost."""
    body = chat_body() if kind is OpenAI else MESSAGE
    server = StrictServer(clock, body, limit=8, width_s=20.0, headers=headers)
    httpserver.expect_request(path).respond_with_handler(server)
    client = kind(api_key="key-one", base_url=httpserver.url_for(""), model="m")
    assert ask_all(client, 30) == ["Hello"] * 30
    assert server.refused == 0
    assert clock.jumped_s > 3 * 19  # 31 calls are four windows
    client.close()


@pytest.mark.loopback
def test_each_key_has_limits_of_its_own(httpserver, chat_body, clock):
    """A key that has used everything up does not hold up another one."""
    server = StrictServer(
        clock, chat_body(), limit=1, width_s=60.0, headers=openai_headers
    )
    httpserver.expect_request("/chat/completions").respond_with_handler(server)
    url, no_retries = httpserver.url_for(""), RetryPolicy(max_retries=0)
    for key in ("key-one", "key-two"):
        client = OpenAI(api_key=key, base_url=url, model="m", retry=no_retries)
        assert client.chat([{"role": "user", "content": "Hi"}]) == "Hello"
        client.close()
    assert clock.jumped_s == 0


@pytest.mark.loopback
def test_headers_of_a_refusal_count_too(httpserver, chat_body, clock):
    """A 429 that says when all is back is followed by no other."""
    server = StrictServer(
        clock, chat_body(), limit=2, width_s=20.0, headers=openai_headers
    )
    httpserver.expect_request("/chat/completions").respond_with_handler(server)
    url, retry = httpserver.url_for(""), RetryPolicy(base_s=0.0001)
    other = OpenAI(api_key="k", base_url=url, model="other", retry=retry)
    client = OpenAI(api_key="k", base_url=url, model="m", retry=retry)
    for text in ("a", "b"):  # use up what the key has, as another program would
        other.chat([{"role": "user", "content": text}])
    assert client.chat([{"role": "user", "content": "Hi"}]) == "Hello"
    assert server.refused == 1
    client.close()
    other.close()
