"""What tests of models share; every one starts without keys in the environment."""

import pytest

from afnio.models import RetryPolicy
from afnio.models.openai import OpenAI

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC"):
        for kind in ("API_KEY", "BASE_URL", "AUTH_TOKEN"):
            monkeypatch.delenv(f"{name}_{kind}", raising=False)


@pytest.fixture
def key() -> str:
    """Return the key of the clients that `make_openai` makes."""
    return KEY


@pytest.fixture
def ask():
    """Build the shortest conversation."""

    def messages(text: str = "Hi") -> list[dict[str, str]]:
        return [{"role": "user", "content": text}]

    return messages


@pytest.fixture
def chat_body():
    """Build a reply of OpenAI's chat API."""

    def build(content="Hello", finish="stop", **message):
        said = {"role": "assistant", "content": content, **message}
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o-2024-11-20",
            "choices": [{"index": 0, "finish_reason": finish, "message": said}],
            "usage": {
                "prompt_tokens": 1000,
                "completion_tokens": 10,
                "total_tokens": 1010,
                "prompt_tokens_details": {"cached_tokens": 200, "audio_tokens": None},
                "completion_tokens_details": None,
            },
        }

    return build


@pytest.fixture
def make_openai(httpserver):
    """Make clients of the loopback server, and close them."""
    clients = []

    def build(kind=OpenAI, **settings):
        settings.setdefault("retry", RetryPolicy(base_s=0.0001))
        url = httpserver.url_for("/v1")
        clients.append(kind(api_key=KEY, base_url=url, model="gpt-4o", **settings))
        return clients[-1]

    yield build
    for client in clients:
        client.close()


@pytest.fixture
def serve():
    """Start servers that hand each connection to a function; return their ports."""
    from tests.models.socket_helpers import serving  # needs trustme

    with serving() as start:
        yield start
