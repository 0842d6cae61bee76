"""A model that answers from a recording: a readable file, made with a real one."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from afnio._files import write_atomic
from afnio.errors import FileFormatError, InputTypeError, ReplayMissError
from afnio.models._codec import decode_reply, encode_reply
from afnio.models._keys import canonical, differences, nearest, request_key
from afnio.models._limits import Limits
from afnio.models._messages import Reply, Request
from afnio.models._prices import FREE, PriceBook
from afnio.models._unicode import escaped
from afnio.models.model import ChatCompletionModel

_FORMAT: Final = "afnio.recording"
_VERSION: Final = 1


class Double(ChatCompletionModel):
    """A stand-in: free, unlimited, and asked with just what the caller passed."""

    _limits: Limits | None = None

    def __init__(self, provider: str, config: Mapping[str, Any], model: str) -> None:
        super().__init__(provider, config)
        self.model = model
        self._prices = PriceBook(default=FREE)

    def _arguments(self, args: Mapping[str, Any]) -> dict[str, Any]:
        given = super()._arguments(args)
        if "model" not in args:
            given.pop("model", None)
        return given


class RecordedModel(Double):
    """A model that answers from a readable JSON file, made with a real model once.

    Args:
        path: The recording.
        record_from: The model to ask for what is not on file yet; its answers are added
            at once. Without it, a question that is not on file is an error. Its
            limits, prices and retries apply; usage is counted here.

    Raises:
        FileFormatError: The file is not a recording, or is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        record_from: ChatCompletionModel | None = None,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise InputTypeError(
                f"path is {type(path).__name__}; expected the path of a recording."
            )
        if record_from is not None and not isinstance(record_from, ChatCompletionModel):
            raise InputTypeError(
                f"record_from is {type(record_from).__name__}; expected a client, such "
                "as OpenAI()."
            )
        super().__init__("recorded", {"path": str(path)}, "recorded")
        self.path = Path(path)
        self._source = record_from
        if record_from is not None:
            self.model = record_from.model
            self._limits = record_from._limits
            self._prices = record_from._prices
            self._retry = record_from._retry
        self._lock = threading.Lock()
        self._entries = _read(self.path)

    @property
    def endpoint(self) -> str | None:
        """The recorded model's."""
        return None if self._source is None else self._source.endpoint

    async def _send(self, request: Request) -> Reply:
        key = request_key({}, request)
        if key is None:
            raise InputTypeError("an argument has no JSON form; it cannot be recorded.")
        if (entry := self._entries.get(key.document)) is not None:
            return decode_reply(entry, cached=False)
        if self._source is None:
            raise self._miss(key.document)
        args = self._source._arguments(request.args)
        reply = await self._source._send(replace(request, args=args))
        self._add(key.document, reply)
        return reply

    def _miss(self, document: str) -> ReplayMissError:
        closest = nearest(document, self._entries)
        found = differences(document, closest) if closest else ["it is empty"]
        lines = "".join(f"\n    {line}" for line in found[:6])
        return ReplayMissError(
            f"{self.path} has no recording of this call; the nearest differs in:"
            f"{lines}\n  fix: record it with RecordedModel(path, record_from=model)."
        )

    def _add(self, document: str, reply: Reply) -> None:
        with self._lock:
            self._entries[document] = encode_reply(reply)
            entries = [
                {"request": json.loads(request), "reply": reply}
                for request, reply in self._entries.items()
            ]
            data = {"format": _FORMAT, "version": _VERSION, "entries": entries}
            text = escaped(json.dumps(data, indent=1, ensure_ascii=False)) + "\n"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path, text.encode())


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT or data["version"] > _VERSION:
            raise ValueError("another format")  # noqa: TRY301 - one message for all
        entries = {canonical(e["request"]): e["reply"] for e in data["entries"]}
        for reply in entries.values():
            decode_reply(reply, cached=False)
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{path} is not a recording this afnio can read, or is damaged."
        ) from error
    return entries
