"""What the model calls of an evaluation have used, by role."""

from __future__ import annotations

from afnio.models import CallEvent
from afnio.tracking.summary import RoleUsage


class Meter:
    """Counts the calls that it is told of.

    Attributes:
        usage: The sums so far, by role.
    """

    def __init__(self) -> None:
        self.usage: dict[str, RoleUsage] = {}

    def __call__(self, event: CallEvent) -> None:
        """Count one call."""
        used, cached = event.usage, event.cached
        more = RoleUsage(
            calls=int(event.reply is not None and not cached),
            cached_calls=int(cached),
            failed_calls=int(event.reply is None),
            input_tokens=0 if cached else used.input_tokens,
            output_tokens=0 if cached else used.output_tokens,
            cost_usd=0.0 if cached else float(used.cost_usd),
        )
        self.usage[event.role] = self.usage.get(event.role, RoleUsage()) + more
