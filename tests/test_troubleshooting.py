"""Each entry of the troubleshooting page raises the message in its heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from afnio.errors import AfnioError

PAGE = Path(__file__).parent.parent / "docs/troubleshooting.md"
ENTRY = re.compile(r"^### `(.+?)`$.*?^```py\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENTRIES = ENTRY.findall(PAGE.read_text("utf-8"))


def test_every_heading_has_code():
    """No entry is skipped because its form is another."""
    assert len(ENTRIES) == PAGE.read_text("utf-8").count("\n### ")


@pytest.mark.parametrize(("message", "code"), ENTRIES, ids=[e[0] for e in ENTRIES])
def test_code_raises_the_message(message, code, tmp_path, monkeypatch):
    """The code of an entry ends in an afnio error with the words of the heading."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    words = ".*".join(re.escape(part) for part in message.split("…"))
    with pytest.raises(AfnioError, match=f"(?is){words}"):
        exec(compile(code, message, "exec"), {"__name__": "__main__"})
