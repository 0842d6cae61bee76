"""An optimizer's saved state, read and checked before anything is taken from it."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from afnio._text import closest, describe, shorten
from afnio._variable import Variable
from afnio.errors import AfnioError, InputTypeError, InputValueError
from afnio.optim._fields import alike
from afnio.optim._state import from_plain, restore_option, with_secrets
from afnio.optim.records import StepRecord

if TYPE_CHECKING:
    from afnio.optim.optimizer import Optimizer

_UNCHANGED: Final = "Nothing has changed."


class DamagedStateError(InputValueError):
    """A saved state holds what no optimizer of the kind has written.

    Args:
        problem: What is wrong, in a sentence.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"{problem} {_UNCHANGED}")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a saved state holds, fit to be taken over."""

    groups: list[dict[str, Any]]
    """The options of each group."""
    state: defaultdict[Variable, dict[str, Any]]
    history: list[StepRecord]
    steps: int
    search: Mapping[str, Any]


def restored(optimizer: Optimizer, saved: Any, clients: Mapping[str, Any]) -> Restored:
    """Return what ``optimizer`` can take over.

    Args:
        optimizer: Stays as it is.
        saved: What `Optimizer.state_dict` returned.
        clients: The client for each option that held one.

    Raises:
        InputTypeError: It is no dict.
        InputValueError: It lacks something, or a value is of the wrong kind.
    """
    if not isinstance(saved, Mapping):
        raise InputTypeError(
            "state_dict must be the dict that state_dict() returned, got "
            f"{type(saved).__name__}."
        )
    for key in ("param_groups", "state"):
        if key not in saved:
            raise InputValueError(
                f"state_dict has no {key!r}, so it is not what an optimizer's "
                "state_dict() returned."
            )
    groups = saved["param_groups"]
    with _reading("param_groups", passing=InputValueError):
        _check_sizes(optimizer, groups)
        options = [_options(optimizer, n, g, clients) for n, g in enumerate(groups)]
        ids = [str(number) for group in groups for number in group["params"]]
    with _reading("history"):
        history = [StepRecord.from_dict(item) for item in saved.get("history", ())]
    steps, search = saved.get("steps", 0), saved.get("search") or {}
    with _reading("steps"):
        alike(steps, 0, "steps")
    with _reading("search"):
        alike(search, {}, "search")
        alike(search, optimizer._search_state(), "search")
    return Restored(options, _state(optimizer, saved, ids), history, steps, search)


def _check_sizes(optimizer: Optimizer, saved: Iterable[Mapping[str, Any]]) -> None:
    theirs = [len(group["params"]) for group in saved]
    mine = [len(group["params"]) for group in optimizer.param_groups]
    if theirs != mine:
        raise InputValueError(
            "the saved optimizer does not fit: it has groups of "
            f"{theirs} parameters, this one of {mine}. Build the optimizer over "
            "the same parameters in the same groups."
        )


def _options(
    optimizer: Optimizer,
    number: int,
    saved: Mapping[str, Any],
    clients: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the options of a group, as this optimizer accepts them."""
    group = optimizer.param_groups[number]
    for name in saved:
        if name not in group:
            raise DamagedStateError(
                f"parameter group {number} was saved with an option {name!r}, which "
                f"{type(optimizer).__name__} does not have; {closest(name, group)}"
            )
    options = {
        name: with_secrets(name, restore_option(name, value, number, clients), group)
        for name, value in saved.items()
        if name != "params"
    }
    try:
        optimizer._check_group({**group, **options})
    except AfnioError as error:
        raise DamagedStateError(
            f"parameter group {number} of the saved optimizer: {error}"
        ) from error
    return options


def _state(
    optimizer: Optimizer, saved: Mapping[str, Any], ids: list[str]
) -> defaultdict[Variable, dict[str, Any]]:
    """Return what is kept of each parameter."""
    places = dict(zip(ids, optimizer._params(), strict=True))
    found: defaultdict[Variable, dict[str, Any]] = defaultdict(dict)
    with _reading("state"):
        for number, held in saved["state"].items():
            if str(number) not in places or not isinstance(held, Mapping):
                raise InputValueError(
                    f"state[{number!r}] is {describe(held)}; expected a dict for a "
                    f"parameter's number, out of {', '.join(places)}."
                )
            found[places[str(number)]] = from_plain(held)
    return found


def take_search(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Have ``optimizer`` take over what a subclass keeps, or leave it as it was.

    Raises:
        InputValueError: It cannot be read.
        StateError: It is another optimizer's.
    """
    before = copy.deepcopy(optimizer._search_state())
    try:
        with _reading("search"):
            optimizer._load_search_state(saved)
    except AfnioError:
        if before:
            optimizer._load_search_state(before)
        raise


@contextmanager
def _reading(
    part: str, passing: type[AfnioError] = DamagedStateError
) -> Iterator[None]:
    """Name the part of a saved state that cannot be used.

    Args:
        part: What is read.
        passing: What is no fault of the state, or says everything already.

    Raises:
        InputValueError: What is inside the block failed on its contents.
    """
    try:
        yield
    except passing:
        raise
    except (InputTypeError, InputValueError) as error:
        raise DamagedStateError(f"the saved optimizer: {error}") from error
    except AfnioError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DamagedStateError(
            f"the saved optimizer has {part} that cannot be read "
            f"({type(error).__name__}: {shorten(error)}): they were edited, or another "
            "program wrote them."
        ) from error
