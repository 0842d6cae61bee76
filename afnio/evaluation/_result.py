"""Evaluation: the scores of a program on some samples, as one value."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, Self

from afnio._files import write_atomic
from afnio._text import shorten
from afnio.errors import FileFormatError, MissingFileError
from afnio.tracking.store import read_json
from afnio.tracking.summary import RoleUsage
from afnio.trainer._metrics import interval_of

if TYPE_CHECKING:
    from afnio.evaluation._compare import Comparison

_FORMAT: Final = "afnio.evaluation"
_VERSION: Final = 1
_ERROR_LIMIT: Final = 500
_ERROR_LINES: Final = 10
"""Lines of an error that are kept after its first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """What became of one sample; it has a score, or an error."""

    index: int
    """Position in the data, from 0."""
    key: str
    """Equal for equal samples; pairs the results of two evaluations."""
    inputs: Any = None
    output: Any = None
    """The program's answer, as JSON data."""
    target: Any = None
    score: float | None = None
    """None exactly if there is an error."""
    explanation: str = ""
    """The evaluator's words."""
    error: str | None = None
    """Why there is no score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The results of all samples, in the order of the data. Higher scores are better.

    ``print(evaluation)`` shows it in short.
    """

    name: str
    samples: tuple[SampleResult, ...]
    usage: Mapping[str, RoleUsage] = field(default_factory=dict)
    """What model calls have used, by role."""
    seconds: float = 0.0
    """Wall-clock time."""

    @property
    def scores(self) -> tuple[float, ...]:
        """The scores there are, in order; samples with errors have none."""
        return tuple(each.score for each in self.samples if each.score is not None)

    @property
    def errors(self) -> tuple[SampleResult, ...]:
        """The samples that could not be scored."""
        return tuple(each for each in self.samples if each.error is not None)

    @property
    def mean(self) -> float | None:
        """The mean score; None if no sample has one."""
        return fmean(self.scores) if self.scores else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean score; None below two scores.

        Scores that are all 0 or 1 get Wilson's interval, others a normal one: as in a
        Trainer's records.
        """
        return interval_of(self.scores)

    @property
    def total(self) -> RoleUsage:
        """What all roles together have used."""
        return sum(self.usage.values(), RoleUsage())

    def error_counts(self) -> list[tuple[str, int]]:
        """Return the different errors and how often each occurred, most frequent first.

        Errors differ if their first lines do.
        """
        lines = Counter((each.error or "").partition("\n")[0] for each in self.errors)
        return lines.most_common()

    def compare(self, before: Evaluation) -> Comparison:
        """Compare this evaluation with an earlier one; see `compare`."""
        from afnio.evaluation._compare import compare

        return compare(before, self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "name": self.name,
            "score": self.mean,
            "interval": None if self.interval is None else list(self.interval),
            "scored": len(self.scores),
            "errors": len(self.errors),
            "seconds": round(self.seconds, 3),
            "usage": {role: asdict(used) for role, used in self.usage.items()},
            "samples": [asdict(each) for each in self.samples],
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a JSON file, completely or not at all; return the path."""
        target = Path(path)
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"
        # half a surrogate pair, which UTF-8 cannot hold, becomes a JSON escape
        write_atomic(target, text.encode("utf-8", "backslashreplace"))
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `save` wrote.

        Raises:
            MissingFileError: There is none.
            FileFormatError: It is something else, or damaged.
        """
        source = Path(path)
        if not source.is_file():
            raise MissingFileError(
                f"there is no evaluation at {source}; write one with "
                "Evaluation.save() or `afnio eval --out`."
            )
        data = read_json(source)
        if data.get("format") != _FORMAT or data.get("version", 0) > _VERSION:
            raise FileFormatError(f"{source} is not an evaluation this afnio can read.")
        try:
            samples = tuple(_sample(each) for each in data["samples"])
            return cls(
                name=str(data["name"]),
                samples=samples,
                usage={k: RoleUsage(**used) for k, used in data["usage"].items()},
                seconds=float(data["seconds"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(
                f"{source} is damaged: {type(error).__name__}: {shorten(error)}."
            ) from error

    def _lines(self) -> Iterator[str]:
        from afnio.evaluation._words import evaluation_lines

        return evaluation_lines(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())


_NAMES: Final = frozenset(item.name for item in fields(SampleResult))


def _sample(data: Mapping[str, Any]) -> SampleResult:
    known = {name: value for name, value in data.items() if name in _NAMES}
    sample = SampleResult(**known)
    is_number = isinstance(sample.score, (int, float))
    if is_number == (sample.error is not None) or not isinstance(sample.key, str):
        raise ValueError(f"sample {sample.index} needs either a score or an error")
    return sample


def error_text(error: BaseException) -> str:
    """Return an error's kind and message; long lines are cut, and so are long texts."""
    words = str(error).strip()
    head, *more = (shorten(line, _ERROR_LIMIT) for line in words.splitlines() or [""])
    words = "\n".join([head, *(f"  {line}" for line in more[:_ERROR_LINES] if line)])
    if isinstance(error, SystemExit):
        words = f"sys.exit({words}) was called"
    return f"{type(error).__name__}: {words}"
