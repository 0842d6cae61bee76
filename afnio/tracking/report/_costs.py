"""What the run's model calls have used, by role."""

from __future__ import annotations

from dataclasses import dataclass, replace

from afnio.tracking.summary import RoleUsage, Summary

WORDS = {
    "forward": "the program itself",
    "judge": "evaluators that ask a model",
    "critic": "critiques in the backward pass",
    "optimizer": "rewrites",
    "test": "looks at the test set",
    "(unknown)": "clients that do not tell roles apart",
}
"""What the roles are for."""


@dataclass(frozen=True, slots=True)
class Role:
    """One row of the table of costs."""

    name: str
    about: str
    use: RoleUsage
    share: float
    """Of all calls, in percent."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The table of costs."""

    roles: tuple[Role, ...]
    total: RoleUsage
    is_timed: bool

    @property
    def calls(self) -> int:
        """All calls that were answered or have failed."""
        return _calls(self.total)


def costs_of(summary: Summary) -> Costs | None:
    """Return what was used by role; None if nothing was."""
    used = {role: use for role, use in summary.usage.items() if _is_used(use)}
    if not used:
        return None
    total = sum(used.values(), RoleUsage())
    every = max(1, _calls(total))
    roles = tuple(
        Role(name, WORDS.get(name, ""), use, round(100 * _calls(use) / every, 1))
        for name, use in used.items()
    )
    is_timed = total.seconds > 0
    return Costs(roles, replace(total, seconds=0.0), is_timed)


def _calls(use: RoleUsage) -> int:
    return use.calls + use.cached_calls + use.failed_calls


def _is_used(use: RoleUsage) -> bool:
    return bool(_calls(use) or use.cost_usd)
