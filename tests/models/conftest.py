"""Every test of models starts without keys in the environment."""

import pytest


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC"):
        for kind in ("API_KEY", "BASE_URL", "AUTH_TOKEN"):
            monkeypatch.delenv(f"{name}_{kind}", raising=False)


@pytest.fixture
def ask():
    """Build the shortest conversation."""

    def messages(text: str = "Hi") -> list[dict[str, str]]:
        return [{"role": "user", "content": text}]

    return messages
