"""How rewrites are asked for, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, fields

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError

__all__ = ["RewriteOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteOptions:
    """Limits of a rewrite, for `TGD`.

    Raises:
        InputTypeError: Something is no number.
        InputValueError: A number is too small.
    """

    candidates: int = 1
    """Proposals per step; more than one needs a gate."""
    attempts: int = 3
    """Model calls per proposal, while replies cannot be used."""
    max_length: int | None = None
    """Characters of a new text; a parameter's own ``max_length`` goes first."""
    failures: int = 6
    """Failing samples shown."""
    successes: int = 2
    """Successful samples shown."""
    sample_chars: int = 800
    """Characters of one value of a sample; the middle of longer ones is cut."""
    feedback_chars: int = 12_000
    """Characters of one piece of feedback; the middle of longer ones is cut."""
    rejected: int = 3
    """Latest rejected rewrites shown; they need a gate."""

    copied_words: int | None = 12
    """So many words in a row that stand in one training example only (its inputs, its
    target) must not appear in a new text; None allows copies."""

    def __post_init__(self) -> None:
        at_least = {"failures": 0, "successes": 0, "rejected": 0}
        for option in fields(self):
            value, least = getattr(self, option.name), at_least.get(option.name, 1)
            optional = option.name in ("max_length", "copied_words")
            if value is None and optional:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputTypeError(
                    f"{option.name} must be an int{' or None' * optional}, got "
                    f"{type(value).__name__}: {shorten(value)}."
                )
            if value < least:
                raise InputValueError(
                    f"{option.name} is {value}; expected {least} or more."
                )
