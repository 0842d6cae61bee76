"""What optimizers decided, and why: frozen records, kept in ``optimizer.history``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from afnio._text import shorten
from afnio.optim._fields import checked
from afnio.optim.gates import Decision
from afnio.optim.proposers import changed_lines

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Change", "StepRecord", "decision_table"]

_PART: Final = re.compile(r"part of candidate (\d+)")

_COLUMNS: Final = ("step", "optimizer", "no.", "kept", "score", "change", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One parameter's part in a candidate."""

    parameter: int
    """Its number, counted over all parameter groups."""
    role: str
    before: Any
    after: Any
    """The proposed value; None if no proposal was fit for use."""
    feedback: tuple[str, ...] = ()
    """What the proposal answers to, long texts cut."""
    failures: int = 0
    """Failing samples among the evidence."""
    successes: int = 0
    """Successful samples among the evidence."""
    attempts: int = 0
    """Model calls that the proposal took."""
    note: str = ""
    """How the proposal came about."""

    def describe(self) -> str:
        """Say in a few words what would change: the lines that differ."""
        if self.after is None:
            return _line(f"{self.role}: no usable rewrite")
        if isinstance(self.after, str) and isinstance(self.before, str):
            changed = changed_lines(self.before, self.after) or "no change"
            return _line(f"{self.role}: {changed}")
        if isinstance(self.after, str):
            return _line(f"{self.role}: {shorten(self.after)!r}")
        return _line(f"{self.role}: {len(self.after)} rows")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StepRecord:
    """One candidate: what it would change, how it scored, what became of it.

    Examples:
        >>> StepRecord(step=1, optimizer="TGD", changes=(), accepted=True, reason="new")
        <StepRecord step 1, TGD no. 0: kept; new>
    """

    step: int
    """Which call of ``step`` it was, from 1."""
    optimizer: str
    candidate: int = 0
    """Its number within the step."""
    changes: tuple[Change, ...]
    accepted: bool
    reason: str
    decision: Decision | None = None
    """What the gate said; None without one, or if the candidate did not reach it."""
    parent_scores: tuple[float, ...] = ()
    """Of the values before, on the same samples; none if there was no comparison."""
    candidate_scores: tuple[float, ...] = ()
    """Per sample; the samples that the decision rests on."""
    rationale: str = ""
    """What a judge said in comparison with the parent, if one was asked."""

    @property
    def part_of(self) -> int | None:
        """The accepted candidate of its step that its change is in, if it is."""
        return part_of(self.reason)

    @property
    def has_gained(self) -> bool:
        """Whether it was accepted with a higher mean score than its parent."""
        return self.accepted and (self.decision is None or self.decision.difference > 0)

    def describe(self) -> str:
        """Say on one line what was tried, how it scored, and what became of it."""
        verdict = "kept" if self.accepted else "not kept"
        verdict = verdict if self.part_of is None else f"in candidate {self.part_of}"
        found = self.comparison()
        parts = [
            f"step {self.step}, {self.optimizer} no. {self.candidate}: {verdict}",
            *([found] if found else []),
            _line(self.reason),
            *(change.describe() for change in self.changes),
        ]
        return "; ".join(parts)

    def comparison(self) -> str:
        """Return mean scores, their difference with its interval, and the samples.

        Empty if the candidate was not evaluated.
        """
        if not self.candidate_scores:
            return ""
        mine = f"{fmean(self.candidate_scores):.3f}"
        samples = f"n={len(self.candidate_scores)}"
        if self.decision is None or not self.parent_scores:
            return f"{mine}, {samples}"
        low, high = self.decision.interval
        difference = f"{self.decision.difference:+.3f} [{low:+.3f}, {high:+.3f}]"
        if self.decision.n != len(self.candidate_scores):
            difference += f" on the first {self.decision.n}"
        return f"{fmean(self.parent_scores):.3f} -> {mine}, {difference}, {samples}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepRecord:
        """Return the record that `to_dict` wrote.

        Raises:
            InputValueError: A field is of the wrong kind.
        """
        decision = data["decision"]
        found = cls(
            step=data["step"],
            optimizer=data["optimizer"],
            candidate=data["candidate"],
            changes=tuple(
                Change(**{**item, "feedback": tuple(item["feedback"])})
                for item in data["changes"]
            ),
            accepted=data["accepted"],
            reason=data["reason"],
            decision=decision
            and Decision(**{**decision, "interval": tuple(decision["interval"])}),
            parent_scores=tuple(data["parent_scores"]),
            candidate_scores=tuple(data["candidate_scores"]),
            rationale=data.get("rationale", ""),
        )
        return checked(found, "history")


def part_of(reason: str) -> int | None:
    """Return the candidate that a record's reason says its change is in, if any.

    Examples:
        >>> part_of("part of candidate 4"), part_of("too small a gain")
        (4, None)
    """
    found = _PART.fullmatch(reason)
    return None if found is None else int(found[1])


def _line(text: str) -> str:
    """Return any text on one line that a terminal shows as it is, cut if long."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shorten(shown, 200)


def decision_table(history: Iterable[StepRecord], title: str | None = None) -> Table:
    """Return the decisions of an optimizer as a table for `rich`, one on each line.

    Args:
        history: Such as ``optimizer.history``.
        title: What stands above it.

    Examples:
        >>> record = StepRecord(
        ...     step=1, optimizer="TGD", changes=(), accepted=True, reason="no gate"
        ... )
        >>> decision_table([record]).row_count
        1
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=None if title is None else Text(title), header_style="bold")
    for name in _COLUMNS:
        wraps = name in ("score", "change", "reason")
        table.add_column(
            name, overflow="fold" if wraps else "ellipsis", no_wrap=not wraps
        )
    for record in history:
        style = "green" if record.accepted else ""
        table.add_row(*(Text(cell) for cell in _cells(record)), style=style)
    return table


def _cells(record: StepRecord) -> Sequence[str]:
    return (
        str(record.step),
        record.optimizer,
        str(record.candidate),
        "yes" if record.accepted else _not_kept(record),
        record.comparison(),
        "; ".join(change.describe() for change in record.changes),
        _line("; ".join(text for text in (record.reason, record.rationale) if text)),
    )


def _not_kept(record: StepRecord) -> str:
    return "no" if record.part_of is None else f"in {record.part_of}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
