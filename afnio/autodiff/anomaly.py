"""Anomaly mode: errors of a backward name the forward call that they come from."""

from __future__ import annotations

import contextvars
from typing import Self

from afnio.autodiff._switch import Switch

_enabled: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "afnio_anomaly", default=False
)

is_anomaly_enabled = _enabled.get
"""Whether the forward call of every operation is remembered."""


class set_detect_anomaly(Switch):  # noqa: N801 - PyTorch's name
    """Turn anomaly mode on or off, at once; as a context manager, until its end.

    While it is on, every operation remembers the line that called it, and an error in
    its backward shows that line, and the beginning of the prompt the operation sent.

    Args:
        mode: Whether forward calls are remembered.
    """

    _flag = _enabled

    def __init__(self, mode: bool = True) -> None:
        super().__init__(mode)


class detect_anomaly(set_detect_anomaly):  # noqa: N801 - PyTorch's name
    """Anomaly mode inside a ``with`` block; see `set_detect_anomaly`."""

    def __init__(self) -> None:
        self.mode = True
        self._previous = _enabled.get()

    def __enter__(self) -> Self:
        self._previous = _enabled.get()
        return super().__enter__()
