"""``afnio models``: providers, keys and prices."""

from __future__ import annotations

import json
from pathlib import Path

from cli_helpers import cli


def test_providers_and_whether_their_keys_are_set(monkeypatch):
    """The key itself is never shown."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    result = cli("models")
    assert "OPENAI_API_KEY is set" in result.stdout
    assert "ANTHROPIC_API_KEY is not set" in result.stdout
    assert "secret" not in result.stdout
    found = json.loads(cli("models", "--json").stdout)["providers"]
    assert [line["provider"] for line in found] == ["anthropic", "local", "openai"]
    assert found[2]["key_set"]
    assert found[1]["key_set"] is None


def test_prices_of_models():
    """Per million tokens; unknown is not zero."""
    words = ("openai/gpt-4o", "openai/nobody-knows", "local/default")
    found = json.loads(cli("models", *words, "--json").stdout)["prices"]
    assert found[0]["input"] > 0
    assert found[1]["input"] is None
    assert found[2]["output"] == 0
    text = cli("models", *words).stdout
    assert "openai/nobody-knows: no price is known" in text


def test_names_that_are_no_paths_are_refused():
    """With the form that is expected."""
    result = cli("models", "gpt-4o")
    assert (result.exit_code, "provider/model" in result.stderr) == (2, True)


def test_providers_of_ones_own_are_listed():
    """After the function that registers them was called."""
    Path("own.py").write_text(
        "from afnio.models import register_provider\n"
        "def add():\n"
        "    register_provider('mine', 'my_module:MyModel')\n"
    )
    result = cli("models", "--load", "own.py:add")
    assert "mine          my_module:MyModel" in result.stdout
