"""Anthropic's Message Batches API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from afnio.errors import ModelError
from afnio.models._answers import Answer
from afnio.models._batch_jobs import Body, Status
from afnio.models._faults import malformed
from afnio.models._messages import Reply, Request
from afnio.models._unicode import encodable

if TYPE_CHECKING:
    from afnio.models.anthropic import Anthropic

_SEARCHED: Final = 1000
"""Newest batches among which one of ours is searched."""

_CLOCKS_DIFFER_S: Final = 300.0


class AnthropicBatches:
    """The batch API of one client; see `afnio.models._batch_jobs.BatchApi`."""

    def __init__(self, client: Anthropic) -> None:
        self._client = client

    def body(self, request: Request) -> Body:
        """Return the request in Anthropic's words."""
        body: Body = encodable(self._client._body(request))
        return body

    async def submit(self, token: str, bodies: Mapping[str, Body]) -> str:  # noqa: ARG002
        """Submit the requests; item names carry the token."""
        requests = [
            {"custom_id": name, "params": body} for name, body in bodies.items()
        ]
        sdk = await self._client._sdk()
        made = await self._client._guarded(
            sdk.messages.batches.create(requests=requests), None
        )
        return str(made.id)

    async def find(
        self, token: str, size: int, since: float, known: set[str]
    ) -> str | None:
        """Return the batch whose items carry ``token``.

        What a batch holds can only be read when it has ended. One that runs is ours if
        it is as large and as old; should it be another's, it answers nothing of ours.
        """
        sdk = await self._client._sdk()

        async def search() -> str | None:
            seen = 0
            async for made in sdk.messages.batches.list(limit=100):
                seen += 1
                is_older = made.created_at.timestamp() < since - _CLOCKS_DIFFER_S
                if is_older or seen >= _SEARCHED:
                    break
                if made.id in known or _size(made) != size:
                    continue
                if made.processing_status != "ended":
                    return str(made.id)
                async for item in await sdk.messages.batches.results(made.id):
                    if item.custom_id.startswith(token):
                        return str(made.id)
                    break
            return None

        return await self._client._guarded(search(), None)

    async def status(self, job: str) -> Status:
        """Return how far a batch is."""
        sdk = await self._client._sdk()
        made = await self._client._guarded(sdk.messages.batches.retrieve(job), None)
        return Status(is_ended=made.processing_status == "ended")

    async def replies(self, job: str) -> Mapping[str, Reply]:
        """Return the replies; those that are errors or cannot be read are left out."""
        sdk = await self._client._sdk()

        async def download() -> dict[str, Reply]:
            items = await sdk.messages.batches.results(job)
            try:
                return {
                    item.custom_id: reply
                    async for item in items
                    if (reply := self._read(item)) is not None
                }
            except ValueError as error:
                raise malformed(f"the batch {job}", str(error)) from error

        return await self._client._guarded(download(), None)

    def _read(self, item: Any) -> Reply | None:
        if item.result.type != "succeeded":
            return None
        answer = Answer(item.result.message.to_dict(mode="json"), None)
        try:
            return self._client._batch_reply(answer)
        except ModelError:
            return None


def _size(made: Any) -> int:
    counts = made.request_counts
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    return sum(getattr(counts, name) for name in names)
