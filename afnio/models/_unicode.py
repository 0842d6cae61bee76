"""Text that no file or request holds: halves of surrogate pairs, of cut-off replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def encodable(value: Any) -> Any:
    r"""Return JSON data with what UTF-8 has no form for written as text.

    Examples:
        >>> encodable({"q": ["smile \ud83d"]})
        {'q': ['smile \\ud83d']}
    """
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {encodable(name): encodable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable(item) for item in value]
    return value


def escaped(text: str) -> str:
    r"""Return JSON ``text`` that UTF-8 can hold; it says the same.

    Examples:
        >>> escaped('"smile \ud83d"') == r'"smile \ud83d"'
        True
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
