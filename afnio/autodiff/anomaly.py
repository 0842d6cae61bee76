"""Anomaly mode: errors of a backward name the forward call that they come from."""

from __future__ import annotations

import contextvars
from types import TracebackType
from typing import Self

_enabled: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "afnio_anomaly", default=False
)

is_anomaly_enabled = _enabled.get
"""Whether the forward call of every operation is remembered."""


class set_detect_anomaly:  # noqa: N801 - PyTorch's name
    """Turn anomaly mode on or off, at once; as a context manager, until its end.

    While it is on, every operation remembers the line that called it, and an error in
    its backward shows that line, and the beginning of the prompt the operation sent.

    Args:
        mode: Whether forward calls are remembered.
    """

    def __init__(self, mode: bool = True) -> None:
        self._mode = mode
        self._previous = _enabled.get()
        _enabled.set(mode)

    def __enter__(self) -> Self:
        _enabled.set(self._mode)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _enabled.set(self._previous)


class detect_anomaly(set_detect_anomaly):  # noqa: N801 - PyTorch's name
    """Anomaly mode inside a ``with`` block; see `set_detect_anomaly`."""

    def __init__(self) -> None:
        self._mode = True
        self._previous = _enabled.get()

    def __enter__(self) -> Self:
        self._previous = _enabled.get()
        return super().__enter__()
