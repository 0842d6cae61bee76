"""The words of the call path. Snapshot-tested; user text is always fenced."""

from __future__ import annotations

from typing import Final

REPLY_REPAIR: Final = """\
That reply cannot be used, because it does not fit the format asked for:
{reason}
Answer the request before it again: one JSON value that fits this schema, and nothing \
before or after it.
{schema}"""
