"""Checking a checkpoint before a fit takes anything from it.

The file may have been edited, or written by another program; a fit that began with half
of it would be worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from afnio._text import describe, shorten
from afnio.errors import AfnioError, FileFormatError
from afnio.optim._restore import DamagedStateError
from afnio.trainer._random import is_random_state


class Kind(NamedTuple):
    """What a field has to be: in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]
    is_optional: bool = False
    """Whether older checkpoints may lack it."""


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_beginning(value: Any) -> bool:
    is_whole = isinstance(value, Mapping) and "loader" in value
    return is_whole and is_random_state(value.get("random"))


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _is_a(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, Mapping) and isinstance(item.get("metrics"), Mapping)
        for item in value
    )


def _are_seconds(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_number, value.values()))


_COUNT: Final = Kind("a whole number of 0 or more", _is_count)
_SECONDS: Final = Kind("a number of 0 or more", _is_number)
_OBJECT: Final = Kind("an object", _is_a(Mapping))
_ANYTHING: Final = Kind("anything", lambda _: True)
_SCORE: Final = Kind("a number or null", _or_none(_is_a(int, float)))

_OUTER: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "epoch": _COUNT,
        "batch": Kind("a whole number of 0 or more, or null", _or_none(_is_count)),
        "agent_state_dict": _OBJECT,
        "optimizer_state_dict": Kind("an object, or a list", _is_a(Mapping, list)),
        "trainer": _OBJECT,
    }
)
_TRAINER: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "step": _COUNT,
        "seconds": _SECONDS,
        "stages": Kind("seconds by stage", _are_seconds, is_optional=True),
        "spend": _OBJECT,
        "initial_values": _OBJECT,
        "began": Kind("the loader's state and random numbers", _is_beginning),
        "fetched": _COUNT,
        "is_cut": Kind("true or false", _is_a(bool)),
        "random": Kind("a state of random numbers", is_random_state),
        "val_loader": _ANYTHING,
        "meter": _OBJECT,
        "history": Kind("a list of records", _are_records),
        "logged_metrics": _OBJECT,
        "best_score": _SCORE,
        "stop_reason": Kind("text", _is_a(str)),
        "test_looks": _COUNT,
        "run": Kind("text or null", _or_none(_is_a(str)), is_optional=True),
        "fit": _COUNT._replace(is_optional=True),
        "asked": _COUNT._replace(is_optional=True),
        "budget": Kind("an object or null", _or_none(_is_a(Mapping))),
        "callbacks": _OBJECT,
    }
)


def check_checkpoint(file: Path, checkpoint: Any) -> None:
    """Raise unless ``checkpoint`` has the form of what a Trainer writes.

    Raises:
        FileFormatError: It has not; all fields that are wrong are named.
    """
    if not isinstance(checkpoint, Mapping) or not _OUTER.keys() <= checkpoint.keys():
        there = checkpoint.keys() if isinstance(checkpoint, Mapping) else ()
        raise FileFormatError(
            f"{file} is not a checkpoint of a Trainer: it lacks "
            f"{', '.join(sorted(_OUTER.keys() - set(there)))}."
        )
    wrong = [*_wrong(checkpoint, _OUTER)]
    wrong = wrong or [*_wrong(checkpoint["trainer"], _TRAINER, "trainer.")]
    if wrong:
        raise FileFormatError(
            f"{file} is damaged, or was edited: {'; '.join(wrong)}. Go on from another "
            "checkpoint, or start a new fit."
        )


def _wrong(
    data: Mapping[str, Any], kinds: Mapping[str, Kind], where: str = ""
) -> Iterator[str]:
    for name, kind in kinds.items():
        if name not in data:
            if not kind.is_optional:
                yield f"{where}{name} is missing"
        elif not kind.fits(data[name]):
            yield f"{where}{name} is {_shown(data[name])}, expected {kind.words}"


def _shown(value: Any) -> str:
    is_short = value is None or isinstance(value, (bool, int, float, str))
    return shorten(repr(value)) if is_short else describe(value)


@contextmanager
def taking(file: Path, part: str) -> Iterator[None]:
    """Name the part of a checkpoint that cannot be taken over.

    Raises:
        FileFormatError: What is inside the block failed on its contents.
    """
    try:
        yield
    except DamagedStateError as error:
        raise FileFormatError(
            f"{file}: {part} cannot be taken over: {error.problem} Go on from another "
            "checkpoint, or start a new fit."
        ) from error
    except AfnioError:
        raise
    except (ArithmeticError, AssertionError, AttributeError) as error:
        raise _damaged(file, part, error) from error
    except (LookupError, TypeError, ValueError) as error:
        raise _damaged(file, part, error) from error


def _damaged(file: Path, part: str, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{file}: {part} cannot be taken over ({type(error).__name__}: "
        f"{shorten(error)}). It is damaged or was edited, or the program is another "
        "one; go on from another checkpoint, or start a new fit."
    )
