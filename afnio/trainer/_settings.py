"""What a Trainer is told when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypedDict

from afnio._text import closest, describe
from afnio.errors import InputTypeError, InputValueError

DEFAULT_EPOCHS: Final = 10
_COUNTS: Final = (
    "max_epochs",
    "max_steps",
    "max_calls",
    "max_retries",
    "min_epochs",
    "min_steps",
)
_AMOUNTS: Final = ("max_time", "max_cost")
_POSITIVE: Final = ("accumulate_grad_batches", "concurrent_steps")
_HABITS: Final = {
    "callbacks",
    "default_root_dir",
    "enable_agent_summary",
    "enable_checkpointing",
    "enable_progress_bar",
    "loggers",
}


class TrainerOptions(TypedDict, total=False):
    """The options of a Trainer beyond the documented ones; see `Settings`."""

    max_steps: int | None
    min_epochs: int | None
    min_steps: int | None
    max_time: float | None
    max_cost: float | None
    max_calls: int | None
    accumulate_grad_batches: int
    max_retries: int
    concurrent_steps: int
    seed: int | None
    monitor: str | None
    higher_is_better: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and habits of a Trainer.

    Raises:
        InputTypeError: A value is of the wrong kind.
        InputValueError: A limit is negative, or a count that must be positive is not.
    """

    max_epochs: int | None = None
    """Epochs in all; None means 10, and 0 means none."""

    max_steps: int | None = None
    """Training steps in all."""

    min_epochs: int | None = None
    """Epochs before early stopping, or any other ``trainer.stop()``, may end a fit.
    What is wished for earlier waits; limits (steps, time, cost, calls) do not."""

    min_steps: int | None = None
    """Training steps before that, likewise."""

    max_time: float | None = None
    """Seconds of fitting, resumed ones included; looked at between steps."""

    max_cost: float | None = None
    """US dollars of one fit over all roles; never exceeded."""

    max_calls: int | None = None
    """Model calls of one fit over all roles; never exceeded."""

    accumulate_grad_batches: int = 1
    """Batches whose gradients go into one step; they are evaluated concurrently."""

    max_retries: int = 0
    """Repeats of a forward, backward or step whose model call failed in a way that may
    pass. The calls themselves are retried by their client; this comes on top."""

    concurrent_steps: int = 1
    """Plain evaluation steps that may be in progress at once. The model calls of steps
    that return pending values overlap anyway; raise it for steps that read data."""

    seed: int | None = None
    """Seeds Python's global random numbers when a fit starts anew."""

    monitor: str | None = None
    """The metric that names the best checkpoint: by default ``val_loss``, or
    ``train_loss`` without validation."""

    higher_is_better: bool = True
    """Whether high values of ``monitor`` are good, as scores (called loss) are."""

    def __post_init__(self) -> None:
        self._check_others()
        for name in (*_COUNTS, *_POSITIVE):
            self._check(name, int, "an int")
        for name in _AMOUNTS:
            self._check(name, (int, float), "a number")
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise InputValueError(
                    f"{name} is {getattr(self, name)}; expected >= 1."
                )

        self._check_minimum("min_epochs", "max_epochs", self.epochs)
        self._check_minimum("min_steps", "max_steps", self.max_steps)

    def _check_minimum(self, name: str, limit: str, most: int | None) -> None:
        least = getattr(self, name)
        if None not in (least, most) and least > most:
            raise InputValueError(
                f"{name} is {least}, but {limit} ends a fit after {most}; raise "
                f"{limit}, or lower {name}."
            )

    def _check_others(self) -> None:
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise InputTypeError(
                f"monitor is {type(self.monitor).__name__}; expected a metric's name "
                "or None."
            )
        if not isinstance(self.higher_is_better, bool):
            raise InputTypeError(
                f"higher_is_better is {type(self.higher_is_better).__name__}; expected "
                "True or False."
            )
        if self.seed is not None and not isinstance(self.seed, (int, str)):
            raise InputTypeError(
                f"seed is {type(self.seed).__name__}; expected an int or None."
            )

    def _check(self, name: str, kind: Any, words: str) -> None:
        value = getattr(self, name)
        if value is None and name not in (*_POSITIVE, "max_retries"):
            return
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputTypeError(
                f"{name} is {type(value).__name__}; expected {words} or None."
            )
        if value < 0:
            raise InputValueError(f"{name} is {value}; expected 0 or more.")

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return DEFAULT_EPOCHS if self.max_epochs is None else self.max_epochs


def settings_from(max_epochs: int | None, options: TrainerOptions) -> Settings:
    """Return the settings that the options name.

    Raises:
        InputTypeError: An option does not exist.
    """
    known = {field.name for field in fields(Settings)}
    if unknown := sorted(set(options) - known):
        raise InputTypeError(
            f"Trainer has no option {unknown[0]!r}; "
            f"{closest(unknown[0], known | _HABITS)}"
        )
    return Settings(max_epochs=max_epochs, **options)


def check_habits(given: tuple[Any, ...], switches: Mapping[str, Any]) -> None:
    """Check what a Trainer takes besides its settings.

    Args:
        given: Positional arguments; there are none.
        switches: What is True or False, by name.

    Raises:
        InputTypeError: There are, or a switch is neither.
    """
    if given:
        raise InputTypeError(
            "Trainer takes its options by name, such as "
            f"Trainer(max_epochs={given[0]!r}); got {len(given)} without a name."
        )
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputTypeError(
                f"{name} is {type(value).__name__}; expected True or False."
            )


def checked_callbacks(callbacks: Any) -> list[Any]:
    """Return the callbacks as a list.

    Raises:
        InputTypeError: It is no list, or holds a class or something without hooks.
    """
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, (str, Mapping)):
        raise InputTypeError(
            f"callbacks must be a list of callbacks, got {describe(callbacks)}."
        )
    found = list(callbacks)
    for each in found:
        if isinstance(each, type):
            raise InputTypeError(
                f"callbacks holds the class {each.__name__}; pass {each.__name__}()."
            )
        if not any(name.startswith("on_") or name == "setup" for name in dir(each)):
            raise InputTypeError(
                f"callbacks holds {describe(each)}, which has no hook; derive from "
                "afnio.trainer.Callback."
            )
    return found
