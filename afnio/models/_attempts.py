"""The attempts of one call: how many, and what those that came to nothing have cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from afnio.errors import ModelTimeoutError, ServerError
from afnio.models._messages import Reply, Request
from afnio.models._usage import Usage

if TYPE_CHECKING:
    from afnio.models._base import BaseModel

Send = Callable[[Request], Awaitable[Reply]]


class Attempts:
    """Sends a request, and counts what a provider may bill although nothing came of it.

    Args:
        client: Whose prices hold.
        send: Makes one attempt.

    Attributes:
        sent: Attempts so far.
        lost: Those that timed out, were cancelled under way, or brought a reply that
            cannot be read and names no usage.
        billed: What other replies that cannot be read say they have cost.
        may_go_on: Whether there is room for another attempt after such a reply, told
            what it has cost.
    """

    __slots__ = ("_client", "_send", "billed", "lost", "may_go_on", "sent")

    def __init__(self, client: BaseModel, send: Send) -> None:
        self._client = client
        self._send = send
        self.sent = 0
        self.lost = 0
        self.billed: Usage | None = None
        self.may_go_on: Callable[[Usage], bool] | None = None

    async def __call__(self, request: Request) -> Reply:
        """Make one attempt."""
        self.sent += 1
        try:
            return await self._send(request)
        except (ModelTimeoutError, asyncio.CancelledError):
            self.lost += 1
            raise
        except ServerError as error:
            if isinstance(error.usage, Usage):
                self._bill(error, error.usage, request)
            raise

    def _bill(self, error: ServerError, usage: Usage, request: Request) -> None:
        if not usage.total_tokens:
            self.lost += 1
            return
        name = request.model or self._client.model
        cost = self._client._prices.cost(usage, name)
        usage = usage.priced(cost or Decimal(0))
        self.billed = usage if self.billed is None else self.billed + usage
        if self.may_go_on is not None and not self.may_go_on(usage):
            error.retryable = False
            error.add_note("the budget has no room for another attempt")
