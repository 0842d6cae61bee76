"""Tasks made by rule from a seed: no file, no download, as many questions as wanted."""

from __future__ import annotations

import hashlib
import random
from typing import Final

from afnio._text import closest
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.utils._dataset import Dataset
from afnio.utils.datasets._local import choose
from afnio.utils.datasets._rules import MAKERS, Maker

_SPLITS: Final = ("train", "val", "test")
_TRIES: Final = 1_000
"""Draws in a row that give nothing new before the task is said to be exhausted."""


class GeneratedTask(Dataset[tuple[Variable, Variable]]):
    """Questions with one right answer, made by rule from a seed.

    A sample is ``(question, answer)``, both Variables, made anew each time. The same
    arguments give the same questions on every machine. No question occurs twice, and
    which split a question belongs to is decided by its text: whatever the seeds and
    sizes, nothing of a test split is in any training split.

    The data says how well a program follows rules. It does not stand in for real text.

    Args:
        task: One of `GeneratedTask.TASKS`, such as ``"object_counting"``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: How many questions.
        seed: Which questions.
        difficulty: From 1 on: longer questions, more steps.

    Raises:
        InputValueError: No such task or split; ``size`` or ``difficulty`` is not
            positive; or the rules do not give so many different questions.
        InputTypeError: A number is not an int.

    Examples:
        >>> task = GeneratedTask("object_counting", "train", size=2, seed=0)
        >>> question, answer = task[0]
        >>> question.data.startswith("I see "), answer.data.isdigit()
        (True, True)
    """

    TASKS: Final = tuple(MAKERS)

    def __init__(
        self,
        task: str,
        split: str = "train",
        size: int = 100,
        seed: int = 0,
        difficulty: int = 1,
    ) -> None:
        if task not in MAKERS:
            raise InputValueError(
                f"there is no task {task!r}; {closest(str(task), self.TASKS)}"
            )
        for name, value in (("size", size), ("difficulty", difficulty)):
            _check_positive(name, value)
        self.task = task
        self.split = choose("split", split, _SPLITS)
        self.seed = seed
        self.difficulty = difficulty
        self._samples = _make(MAKERS[task], self.split, size, seed, difficulty)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Variable, Variable]:
        if not 0 <= index < len(self):
            raise IndexError(
                f"{self!r} has positions 0 to {len(self) - 1}, got {index}"
            )
        question, answer = self._samples[index]
        return Variable(question, "input question"), Variable(answer, "expected answer")

    def __repr__(self) -> str:
        return (
            f"GeneratedTask({self.task!r}, {self.split!r}, size={len(self)}, "
            f"seed={self.seed!r}, difficulty={self.difficulty})"
        )


def _check_positive(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputTypeError(f"{name} must be an int, got {value!r}.")
    if value < 1:
        raise InputValueError(f"{name} must be at least 1, got {value}.")


def _make(
    maker: Maker, split: str, size: int, seed: int, difficulty: int
) -> list[tuple[str, str]]:
    rng = random.Random(f"{maker.__name__}/{split}/{seed}/{difficulty}")
    found: dict[str, str] = {}
    idle = 0
    while len(found) < size:
        question, answer = maker(rng, difficulty)
        if question in found or _split_of(question) != split:
            idle += 1
            if idle == _TRIES:
                raise InputValueError(
                    f"{maker.__name__} at difficulty {difficulty} gave only "
                    f"{len(found)} different questions for {split}, not {size}; ask "
                    "for fewer, or for a higher difficulty."
                )
            continue
        idle = 0
        found[question] = answer
    return list(found.items())


def _split_of(question: str) -> str:
    """Return the split that a question belongs to, by its text alone."""
    return _SPLITS[hashlib.sha256(question.encode()).digest()[0] % len(_SPLITS)]
