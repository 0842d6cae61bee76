"""How an evaluation reads samples and calls programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypedDict

from afnio._text import closest, describe
from afnio.errors import InputTypeError, InputValueError
from afnio.evaluation._result import SampleResult

CONCURRENCY: Final = 64
"""Samples under way at once, unless told otherwise."""


class OptionsGiven(TypedDict, total=False):
    """The options of `evaluate`; see `Options`."""

    target: str | None
    fields: Sequence[str] | None
    arguments: Mapping[str, Any]
    concurrency: int
    name: str | None
    on_sample: Callable[[SampleResult], object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How samples are read and programs called.

    Raises:
        InputTypeError: An option is of the wrong kind.
        InputValueError: ``concurrency`` is below 1.
    """

    target: str | None = "target"
    """The field of the right answer; None if there is none."""

    fields: Sequence[str] | None = None
    """The fields that are inputs; by default all but the target."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Passed to the program with every call, such as a model client."""

    concurrency: int = CONCURRENCY
    """Samples under way at once. Plain functions still run one at a time and step aside
    while they wait for an afnio value; one that waits for anything else should be
    ``async def``."""

    name: str | None = None
    """What the evaluation is called; by default as the program."""

    on_sample: Callable[[SampleResult], object] | None = None
    """Called with every result, in order, as soon as it and those before it are there;
    for progress bars."""

    def __post_init__(self) -> None:
        chosen = self.fields
        is_list = isinstance(chosen, (list, tuple))
        self._check("target", "a field's name or None", (str, type(None)))
        self._check("name", "text or None", (str, type(None)))
        self._check("arguments", "a dict", Mapping)
        self._check("concurrency", "an int", int)
        if chosen is not None and not (
            is_list and all(isinstance(name, str) for name in chosen)
        ):
            raise _wrong("fields", chosen, "a list of fields' names")
        if self.on_sample is not None and not callable(self.on_sample):
            raise _wrong("on_sample", self.on_sample, "a function or None")
        if self.concurrency < 1:
            raise InputValueError(
                f"concurrency is {self.concurrency}; expected 1 or more."
            )

    def _check(self, name: str, words: str, kind: Any) -> None:
        value = getattr(self, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _wrong(name, value, words)


def _wrong(name: str, value: Any, words: str) -> InputTypeError:
    return InputTypeError(f"{name} is {describe(value)}; expected {words}.")


def options_from(given: OptionsGiven) -> Options:
    """Return the options that were given by name.

    Raises:
        InputTypeError: There is no option of that name, or it is of the wrong kind.
    """
    known = [item.name for item in fields(Options)]
    for name in given:
        if name not in known:
            raise InputTypeError(
                f"evaluate has no option {name!r}; {closest(name, known)}"
            )
    return Options(**given)
