"""OpenAI's Batch API: a file of requests goes up, a file of replies comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from afnio._text import shorten
from afnio.errors import ModelError
from afnio.models._answers import Answer, read
from afnio.models._batch_jobs import Body, Status
from afnio.models._messages import Reply, Request
from afnio.models._unicode import encodable

if TYPE_CHECKING:
    from afnio.models.openai import OpenAI

_URL: Final = "/v1/chat/completions"
_TOKEN: Final = "afnio_batch"  # noqa: S105 - a name of ours, no password
_GONE: Final = frozenset({"failed", "expired", "cancelled"})
_SUCCESS: Final = 200
_SEARCHED: Final = 1000
"""Newest batches among which one of ours is searched."""

_CLOCKS_DIFFER_S: Final = 300.0


class OpenAIBatches:
    """The batch API of one client; see `afnio.models._batch_jobs.BatchApi`."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def body(self, request: Request) -> Body:
        """Return the request in OpenAI's words."""
        body: Body = encodable(self._client._body(request))
        return body

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:
        """Upload the requests, and submit them."""
        lines = (
            {"custom_id": name, "method": "POST", "url": _URL, "body": body}
            for name, body in bodies.items()
        )
        text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
        sdk = await self._client._sdk()

        async def upload() -> str:
            file = await sdk.files.create(
                file=(f"{token}.jsonl", text.encode()), purpose="batch"
            )
            made = await sdk.batches.create(
                input_file_id=file.id,
                endpoint=_URL,
                completion_window="24h",
                metadata={_TOKEN: token},
            )
            return str(made.id)

        return await self._client._guarded(upload(), None)

    async def find(
        self,
        token: str,
        size: int,  # noqa: ARG002 - other providers need it
        since: float,
        known: set[str],  # noqa: ARG002 - the same
    ) -> str | None:
        """Return the batch that was submitted with ``token``."""
        sdk = await self._client._sdk()

        async def search() -> str | None:
            seen = 0
            async for made in sdk.batches.list(limit=100):
                seen += 1
                if (made.metadata or {}).get(_TOKEN) == token:
                    return str(made.id)
                if made.created_at < since - _CLOCKS_DIFFER_S or seen >= _SEARCHED:
                    break
            return None

        return await self._client._guarded(search(), None)

    async def status(self, job: str) -> Status:
        """Return how far a batch is; one that expired may have answered some."""
        sdk = await self._client._sdk()
        made = await self._client._guarded(sdk.batches.retrieve(job), None)
        if made.status == "completed":
            return Status(is_ended=True)
        if made.status not in _GONE:
            return Status(is_ended=False)
        if made.output_file_id:
            return Status(is_ended=True)
        return Status(is_ended=True, problem=_problem(made))

    async def replies(self, job: str) -> Mapping[str, Reply]:
        """Return the replies; those that are errors or cannot be read are left out."""
        sdk = await self._client._sdk()

        async def download() -> str:
            made = await sdk.batches.retrieve(job)
            if not made.output_file_id:
                return ""
            return str((await sdk.files.content(made.output_file_id)).text)

        text = await self._client._guarded(download(), None)
        return dict(self._read(text))

    def _read(self, text: str) -> Iterator[tuple[str, Reply]]:
        for line in text.splitlines():
            try:
                item = json.loads(line)
            except ValueError:
                continue
            response = read(item, "response")
            body = read(response, "body")
            name = read(item, "custom_id")
            if read(response, "status_code") != _SUCCESS or not isinstance(body, dict):
                continue
            answer = Answer(body, read(response, "request_id"))
            try:
                yield str(name), self._client._batch_reply(answer)
            except ModelError:
                continue


def _problem(made: Any) -> str:
    errors = getattr(made.errors, "data", None) or []
    said = "; ".join(str(error.message) for error in errors)
    return f"{made.status} ({shorten(said or 'no reason given', 120)})."
