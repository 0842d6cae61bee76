"""Numbers that users give as settings: what is refused, and in which words."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from afnio.errors import InputTypeError, InputValueError


def check_number(
    name: str,
    value: Any,
    *,
    least: float = 0,
    above: bool = False,
    whole: bool = False,
) -> None:
    """Raise unless ``value`` is a number, and large enough.

    Args:
        name: What it is called, for the message.
        value: The setting; None is refused as well.
        least: The smallest number allowed.
        above: Whether it must be larger than ``least``.
        whole: Whether it must be an int.

    Raises:
        InputTypeError: It is no number; a bool is none.
        InputValueError: It is NaN or too small.

    Examples:
        >>> check_number("timeout_s", 0.5)
        >>> check_number("timeout_s", "soon")
        Traceback (most recent call last):
        ...
        afnio.errors.InputTypeError: timeout_s is str; expected a number.
    """
    kinds = (Integral,) if whole else (Real, Decimal)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise InputTypeError(
            f"{name} is {type(value).__name__}; expected "
            f"{'an int' if whole else 'a number'}."
        )
    wanted = f"more than {least:g}" if above else f"{least:g} or more"
    if math.isnan(value) or value < least or (above and value == least):
        raise InputValueError(f"{name} is {value}; expected {wanted}.")
