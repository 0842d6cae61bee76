"""Names for samples, so that two looks can be paired, and what became of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from afnio._text import cut_middle
from afnio._variable import Variable
from afnio.autodiff.evidence import Evidence

_DIGITS: Final = 16

TEXT_LIMIT: Final = 400
"""Characters kept of an input, an output or a target."""

Outcome = dict[str, Any]
"""One sample: ``key, input, output, target, score, success``."""


class SampleScores:
    """Per-sample scores of one pass over some batches, and whose they are.

    A sample is known by its contents; so passes in another order, or in other batches,
    can be paired too.

    Args:
        outcomes: How many samples to keep inputs and outputs of.

    """

    def __init__(self, outcomes: int = 0) -> None:
        self._scores: list[float] = []
        self._keys: list[str] | None = []
        self._room = outcomes
        self._rows: list[tuple[str, Any, Evidence]] = []

    def __len__(self) -> int:
        return len(self._scores)

    def add(
        self,
        batch: Any,
        size: int,
        scores: Sequence[float],
        evidence: Sequence[Evidence] = (),
    ) -> None:
        """Note the scores of a batch of ``size`` samples, and what they rest on."""
        self._scores += scores
        keys = sample_keys(batch, size) if len(scores) == size else None
        if keys is None:
            self._keys = None
            self._rows.clear()
            return
        if self._keys is not None:
            self._keys += keys
            if len(evidence) == size:
                room = max(0, self._room - len(self._rows))
                self._rows += (
                    (key, _sample(batch, number, size), each)
                    for number, (key, each) in enumerate(
                        zip(keys[:room], evidence[:room], strict=True)
                    )
                )

    @property
    def outcomes(self) -> list[Outcome]:
        """Samples in the order they came; none if they have no stable form.

        Their inputs lack the field, or the place, that holds the target in all of them:
        in a single one, another may be equal to it by chance.
        """
        places = [_places(sample, each.target) for _, sample, each in self._rows]
        targets = set.intersection(*places) if places else set()
        return [_outcome(*row, targets) for row in self._rows]

    def sorted(self) -> tuple[tuple[float, ...], str]:
        """Return scores in an order that depends on the samples alone, and their name.

        The name is the same for the same samples, and empty if they have none.
        """
        if not self._keys:
            return tuple(self._scores), ""
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        name = name_of(self._keys)
        return tuple(self._scores[number] for number in order), name


def name_of(keys: Sequence[str]) -> str:
    """Return the name of a set of samples, whatever their order."""
    return _digest("".join(sorted(keys)))


def _outcome(key: str, sample: Any, each: Evidence, targets: set[Any]) -> Outcome:
    return {
        "key": key,
        "input": short(_without(sample, targets)),
        "output": short(each.output),
        "target": short(each.target),
        "score": each.score,
        "success": each.success,
    }


def short(value: Any) -> str:
    """Return a value as text, its middle cut out if it is long."""
    if not isinstance(value, str):
        value = "" if value is None else json.dumps(value, ensure_ascii=False)
    return cut_middle(value, TEXT_LIMIT)


def _parts(sample: Any) -> dict[Any, Any]:
    """Return what a sample is made of, by field or by place."""
    if isinstance(sample, Mapping):
        return dict(sample)
    return dict(enumerate(sample)) if isinstance(sample, list) else {}


def _places(sample: Any, target: Any) -> set[Any]:
    """Return where in a sample its target may stand."""
    return {place for place, part in _parts(sample).items() if part == target}


def _without(sample: Any, places: set[Any]) -> Any:
    """Leave some fields or places out of a sample, unless nothing would be left."""
    left = {k: part for k, part in _parts(sample).items() if k not in places}
    if not left:
        return sample
    if len(left) == 1:
        return next(iter(left.values()))
    return left if isinstance(sample, Mapping) else [*left.values()]


def sample_keys(batch: Any, size: int) -> list[str] | None:
    """Return a digest of each sample's contents; None if they have no stable form.

    Lists of ``size`` items, at any depth, hold one item per sample; everything else
    belongs to all of them.
    """
    try:
        return [
            _digest(json.dumps(_sample(batch, number, size), sort_keys=True))
            for number in range(size)
        ]
    except TypeError:
        return None


def _sample(value: Any, number: int, size: int) -> Any:
    if isinstance(value, Variable):
        value = value.data
    if isinstance(value, Mapping):
        return {str(key): _sample(each, number, size) for key, each in value.items()}
    if isinstance(value, list) and len(value) == size:
        return _plain(value[number])
    if isinstance(value, (list, tuple)):
        return [_sample(each, number, size) for each in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Variable):
        return _plain(value.data)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    kinds = type(value).__mro__[:-1]
    if not any("__repr__" in vars(kind) for kind in kinds):
        raise TypeError("an address is no name")
    return repr(value)


def _digest(text: str) -> str:
    payload = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(payload).hexdigest()[:_DIGITS]
