"""SampleClosure: a program and the samples to score it on, ready for ``step``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.optim._checks import require_int

__all__ = ["SampleClosure"]


class SampleClosure:
    """A closure that evaluates in blocks, and on training samples too if it has any.

    Any function that evaluates the program is a closure. This one also tells an
    optimizer what it needs to save calls: it can be stopped after a few samples, and it
    says what its scores depend on, so that they are kept from step to step. With
    ``train``, optimizers look at training samples themselves, and the loop is just
    ``opt.step(closure)``.

    Args:
        evaluate: Called with a list of samples; runs the program on them and returns
            ``(score, explanation)``, or whatever else a closure may return, with one
            score per sample, in order.
        val: The samples that decide.
        parameters: All Variables that the results depend on, such as
            ``agent.parameters()``.
        train: The samples to learn from.
        block: Validation samples per block, about.

    Attributes:
        blocks: How many blocks there are.
        parameters: As given, as a list.
        train_size: How many training samples there are.
        key: Tells these validation samples from others.

    Raises:
        InputTypeError: ``evaluate`` cannot be called, or something is no sequence.
        InputValueError: There are no validation samples.

    Examples:
        >>> from afnio import Variable
        >>> word = Variable("yes", "answer", requires_grad=True)
        >>> closure = SampleClosure(
        ...     lambda samples: [float(word.data == s) for s in samples],
        ...     val=["yes", "no", "yes"],
        ...     parameters=[word],
        ...     block=2,
        ... )
        >>> closure(), closure.blocks, closure(1)
        ([1.0, 0.0, 1.0], 2, [0.0, 1.0])
    """

    def __init__(
        self,
        evaluate: Callable[[list[Any]], Any],
        val: Sequence[Any],
        *,
        parameters: Iterable[Variable],
        train: Sequence[Any] = (),
        block: int = 8,
    ) -> None:
        if not callable(evaluate):
            raise InputTypeError(
                f"evaluate must be a function, got {type(evaluate).__name__}."
            )
        self._evaluate = evaluate
        self._val = _samples("val", val)
        self._train = _samples("train", train)
        if not self._val:
            raise InputValueError("val is empty; candidates are compared on samples.")
        self.parameters = _variables(parameters)
        self.blocks = -(-len(self._val) // require_int("block", block, 1))
        self.train_size = len(self._train)
        payload = json.dumps(self._val, default=_plain, sort_keys=True)
        self.key = hashlib.sha256(payload.encode()).hexdigest()[:16]

    def __call__(self, block: int | None = None) -> Any:
        """Evaluate all validation samples, or those of one block, from 0."""
        size = len(self._val)
        start, end = 0, size
        if block is not None:
            start, end = (size * (block + k) // self.blocks for k in (0, 1))
        return self._evaluate(self._val[start:end])

    def train(self, numbers: Sequence[int]) -> Any:
        """Evaluate the training samples with these numbers."""
        return self._evaluate([self._train[number] for number in numbers])


def _variables(value: Any) -> list[Variable]:
    single = isinstance(value, (str, Variable)) or not isinstance(value, Iterable)
    found = [value] if single else list(value)
    wrong = [item for item in found if not isinstance(item, Variable)]
    if single or wrong:
        item = wrong[0] if wrong else value
        raise InputTypeError(
            "parameters must be a list of Variables, such as agent.parameters(); got "
            f"{type(item).__name__}: {shorten(item)}."
        )
    return found


def _samples(name: str, value: Any) -> list[Any]:
    try:
        if not isinstance(value, (str, bytes)):
            return [value[number] for number in range(len(value))]
    except (TypeError, KeyError):
        pass
    raise InputTypeError(
        f"{name} must be a list of samples, got {type(value).__name__}: "
        f"{shorten(value)}."
    )


def _plain(value: Any) -> Any:
    """Return something of a sample that is the same in another process."""
    if isinstance(value, Variable):
        return value.data
    shown = repr(value)
    return type(value).__qualname__ if " at 0x" in shown else shown
