"""How a scripted optimizer model answers TGD: it reads the tag the request asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_TAGS = re.compile(r"^<([\w-]+)>$", re.MULTILINE)


def obey(messages: Sequence[Mapping[str, Any]], text: str) -> str:
    """Return ``text`` between the last pair of tags that the last message shows."""
    tag = _TAGS.findall(str(messages[-1]["content"]))[-1]
    return f"<{tag}>\n{text}\n</{tag}>"
