"""Sample-weighted means, and the records a Trainer's history is made of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import fsum
from statistics import fmean, stdev
from typing import Any, Final, cast

from afnio._state.encode import fragment
from afnio._state.text import Fragment
from afnio.optim._statistics import wilson

_Z: Final = 1.959963984540054
"""The normal quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened: a training step, an epoch, a validation or a test."""

    kind: str
    """``step``, ``epoch``, ``validate`` or ``test``."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Means over the samples; a step's are those of its own batches."""
    samples: int = 0
    epoch: int | None = None
    """From 1; None outside of fit."""
    batch: int | None = None
    """The last batch of a step, from 0."""
    step: int = 0
    """Training steps so far."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval of the mean score, where samples have scores: of a test
    or validation, and of an epoch's validation."""
    mean_score: float | None = None
    """Mean score of a sample where each has one; ``metrics`` have what evaluators make
    of a batch, by default the sum."""
    scores: tuple[float, ...] = ()
    """Of a test or validation: one per sample, in an order of the samples alone."""
    sample_set: str = ""
    """Equal for tests on the same samples; empty if that is not known."""
    _saved: Fragment | None = field(default=None, init=False, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON; what is empty is left out."""
        values = {item.name: getattr(self, item.name) for item in _FIELDS}
        values["metrics"] = dict(self.metrics)
        for name in ("interval", "scores"):
            values[name] = values[name] and list(values[name])
        return {n: v for n, v in values.items() if v is not None and v not in ("", ())}

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(self.to_dict())

    def saved(self) -> Fragment:
        """Return it as checkpoints hold it; made once, as a record never changes."""
        if self._saved is None:
            object.__setattr__(self, "_saved", fragment(self.to_dict()))
        return cast("Fragment", self._saved)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Return the record that `to_json` wrote."""
        return cls.from_dict(json.loads(line))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Return the record that `to_dict` wrote."""
        interval = data.get("interval")
        low_high = None if interval is None else (interval[0], interval[1])
        scores = tuple(data.get("scores", ()))
        return cls(**{**data, "interval": low_high, "scores": scores})


_FIELDS: Final = [item for item in fields(Record) if item.init]


class Meter:
    """Running means of metrics, weighted by samples.

    Lists are averaged over what is not None in them; text and None are left out.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._scores: list[float] = [0.0, 0.0]
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}

    def add(
        self, metrics: Mapping[str, Any], samples: int, scores: Sequence[float] = ()
    ) -> None:
        """Count the metrics of a batch of ``samples`` samples, and their scores."""
        self.samples += samples
        self._scores = [self._scores[0] + fsum(scores), self._scores[1] + len(scores)]
        for name, value in metrics.items():
            if numbers := list(_numbers(value)):
                share = len(numbers) if isinstance(value, list) else samples
                self._sums[name] = self._sums.get(name, 0.0) + fmean(numbers) * share
                self._weights[name] = self._weights.get(name, 0) + share

    def means(self, prefix: str = "") -> dict[str, float]:
        """Return the mean of every metric, by ``prefix`` and name."""
        return {
            f"{prefix}{name}": total / self._weights[name]
            for name, total in self._sums.items()
        }

    @property
    def mean_score(self) -> float | None:
        """The mean score of a sample, whatever evaluators make of a batch.

        None unless every sample has one.
        """
        total, count = self._scores
        return total / count if count and count == self.samples else None

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far, as JSON data."""
        return {
            "samples": self.samples,
            "scores": list(self._scores),
            "sums": dict(self._sums),
            "weights": dict(self._weights),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.samples = state["samples"]
        self._scores = list(state.get("scores", (0.0, 0.0)))
        self._sums = dict(state["sums"])
        self._weights = dict(state["weights"])


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (bool, int, float)):
        yield float(value)


def interval_of(scores: Sequence[float]) -> tuple[float, float] | None:
    """Return a 95 % confidence interval of the mean score, None for fewer than two.

    Scores that are all 0 or 1 get Wilson's interval; others a normal one.
    """
    n = len(scores)
    if n < 2:  # noqa: PLR2004 - one score has no spread
        return None
    if set(scores) <= {0.0, 1.0}:
        return wilson(sum(scores), n)
    mean, reach = fmean(scores), _Z * stdev(scores) / math.sqrt(n)
    return mean - reach, mean + reach
