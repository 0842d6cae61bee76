"""Summary: what a training run has brought, changed and cost, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import fmean
from typing import TYPE_CHECKING, Any

from afnio.tracking._diff import diff_lines, row_counts
from afnio.tracking._summary_text import Line, summary_lines

if TYPE_CHECKING:
    from rich.text import Text

__all__ = [
    "DecisionLine",
    "Difference",
    "ExampleChange",
    "ParameterChange",
    "RoleUsage",
    "Summary",
    "TestLook",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLook:
    """One look at the test set."""

    __test__ = False  # for pytest: not a test

    score: float
    """Mean over the samples, or the ``loss`` metric where samples have no scores."""
    samples: int
    step: int
    """Training steps done before it."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval of the score."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    scores: tuple[float, ...] = ()
    """One per sample, in an order that depends on the samples alone."""
    sample_set: str = ""
    """Equal for looks at the same samples; empty if that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A paired comparison of two looks at the same samples."""

    mean: float
    """Last minus first."""
    interval: tuple[float, float]
    """95 % confidence interval of the mean."""
    higher: int
    """Samples whose score rose."""
    lower: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterChange:
    """A trainable parameter, before the first fit and now."""

    name: str
    role: str
    before: Any
    after: Any

    @property
    def diff(self) -> list[str]:
        """The lines of a unified diff, uncut; empty if nothing changed."""
        return diff_lines(self.before, self.after)

    @property
    def rows(self) -> tuple[int, int] | None:
        """Rows added and removed; None for texts."""
        return row_counts(self.before, self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """One candidate, and what became of it."""

    optimizer: str
    step: int
    candidate: int
    accepted: bool
    reason: str
    roles: tuple[str, ...] = ()
    """Roles of the parameters it would change."""

    @property
    def part_of(self) -> int | None:
        """The accepted candidate of its step that its change is in, if it is."""
        from afnio.optim.records import part_of

        return part_of(self.reason)

    @property
    def is_final(self) -> bool:
        """Whether it is a search's last comparison, which changes nothing new."""
        return self.accepted and not self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleChange:
    """A test sample whose score has changed between the first look and the last."""

    input: str
    target: str
    before: str
    """The answer at the first look."""
    after: str
    """The answer at the last look."""
    score_before: float
    score_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUsage:
    """What the model calls of one role have used; add two to total them."""

    calls: int = 0
    """Calls that were paid for."""
    cached_calls: int = 0
    """Calls that a cache answered."""
    failed_calls: int = 0
    """Calls that failed for good."""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    """Wall-clock seconds with a call under way, added over models; 0 where clients do
    not tell them."""
    cost_usd: float = 0.0

    def __add__(self, other: RoleUsage) -> RoleUsage:
        return RoleUsage(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in _AMOUNTS}
        )

    def __sub__(self, other: RoleUsage) -> RoleUsage:
        return RoleUsage(
            **{f.name: getattr(self, f.name) - getattr(other, f.name) for f in _AMOUNTS}
        )


_AMOUNTS = fields(RoleUsage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a Trainer did: scores, changes, decisions, costs and files.

    ``print(summary)`` shows it as plain text, ``rich.print(summary)`` in colour.
    """

    looks: tuple[TestLook, ...] = ()
    """All looks at the test set; the first is "before", the last "after"."""
    examples: tuple[ExampleChange, ...] = ()
    """Of the samples that changed most: one that got better, one that got worse."""
    parameters: tuple[ParameterChange, ...] = ()
    decisions: tuple[DecisionLine, ...] = ()
    usage: Mapping[str, RoleUsage] = field(default_factory=dict)
    """By role: forward, judge, critic, optimizer, test."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock seconds by stage: fit, validate, test, predict."""
    epochs: int = 0
    steps: int = 0
    monitor: str = ""
    best_score: float | None = None
    """The best value of the monitored metric."""
    best_mean: float | None = None
    """What it comes to per sample, where that is known."""
    stop_reason: str = ""
    """Why the fit ended early, or empty."""
    higher_is_better: bool = True
    best_path: str | None = None
    last_path: str | None = None
    run_path: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def difference(self) -> Difference | None:
        """Last look minus first, if both were at the same samples."""
        if len(self.looks) < 2:  # noqa: PLR2004 - a pair
            return None
        return compare(self.looks[0], self.looks[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data; nothing is cut."""
        found = self.difference
        result: dict[str, Any] = _plain(asdict(self))
        result["difference"] = None if found is None else _plain(asdict(found))
        result["parameters"] = [
            {**_plain(asdict(each)), "diff": each.diff} for each in self.parameters
        ]
        return result

    def _lines(self) -> Iterator[Line]:
        return summary_lines(self)

    def __str__(self) -> str:
        return "\n".join(line.text for line in self._lines())

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Text]:
        from rich.text import Text

        del console, options
        for line in self._lines():
            yield Text(line.text, style=line.style)


def compare(first: TestLook, last: TestLook) -> Difference | None:
    """Return the paired difference of two looks; None if they cannot be paired."""
    from afnio.optim.gates import Always

    paired = first.sample_set and first.sample_set == last.sample_set
    if not paired or len(first.scores) != len(last.scores) or not first.scores:
        return None
    found = Always().decide(first.scores, last.scores)
    return Difference(
        mean=found.difference,
        interval=found.interval,
        higher=found.wins,
        lower=found.losses,
        samples=found.n,
    )


def examples_from(
    first: Sequence[Mapping[str, Any]],
    last: Sequence[Mapping[str, Any]],
    *,
    higher_is_better: bool,
) -> tuple[ExampleChange, ...]:
    """Return the sample that got better most, and the one that got worse most.

    Args:
        first: Outcomes of the first look: ``key, input, output, target, score``.
        last: Those of the last look.
        higher_is_better: Whether high scores are good.
    """
    sign = 1 if higher_is_better else -1
    before = {row["key"]: row for row in first}
    pairs = [(before[row["key"]], row) for row in last if row["key"] in before]

    def gain(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> float:
        return sign * (float(pair[1]["score"]) - float(pair[0]["score"]))

    def length(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> int:
        return sum(len(str(row.get("output"))) for row in pair)

    best = max(pairs, key=lambda pair: (gain(pair), -length(pair)), default=None)
    worst = min(pairs, key=lambda pair: (gain(pair), length(pair)), default=None)
    chosen = [best] if best and gain(best) > 0 else []
    chosen += [worst] if worst and gain(worst) < 0 else []
    return tuple(
        ExampleChange(
            input=str(old.get("input", "")),
            target=str(old.get("target", "")),
            before=str(old["output"]),
            after=str(new["output"]),
            score_before=float(old["score"]),
            score_after=float(new["score"]),
        )
        for old, new in chosen
    )


def best_mean(
    epochs: Iterable[Mapping[str, Any]], monitor: str, best: float | None
) -> float | None:
    """Return the mean score of a sample in the epoch with the best monitored metric.

    None where that is not known, or the metric is no score.

    Args:
        epochs: The records of epochs.
        monitor: The metric.
        best: Its best value.
    """
    for record in epochs:
        metrics = record.get("metrics") or {}
        scored = "val_loss" if "val_loss" in metrics else "train_loss"
        mean = record.get("mean_score")
        if monitor == scored and metrics.get(monitor) == best:
            return mean if isinstance(mean, (int, float)) else None
    return None


def look_from(record: Mapping[str, Any]) -> TestLook:
    """Return the look that the record of a test tells about."""
    scores = tuple(record.get("scores") or ())
    metrics = dict(record.get("metrics") or {})
    interval = record.get("interval")
    return TestLook(
        score=fmean(scores) if scores else metrics.get("test_loss", float("nan")),
        samples=record.get("samples", 0),
        step=record.get("step", 0),
        interval=None if interval is None else (interval[0], interval[1]),
        metrics=metrics,
        scores=scores,
        sample_set=record.get("sample_set", ""),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
