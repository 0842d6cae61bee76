"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`.

Grad mode is a context variable, so threads and async tasks do not disturb each other;
a new thread starts enabled.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from afnio._text import shorten
from afnio.autodiff._switch import Switch
from afnio.errors import InputTypeError

F = TypeVar("F", bound=Callable[..., Any])

_enabled: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "afnio_grad_enabled", default=True
)

is_grad_enabled = _enabled.get
"""Whether operations are recorded now."""

_Entered = tuple["_GradMode", bool, Any]

_entered: contextvars.ContextVar[_Entered | None] = contextvars.ContextVar(
    "afnio_grad_modes", default=None
)
"""The innermost mode that was entered here, what it replaced, and the next outer one.

It belongs to the thread or task, not to the mode: several may use one object, and an
async generator may be entered in one task and left in another.
"""


class _GradMode:
    """A mode that is a context manager and a decorator."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> Self:
        _entered.set((self, _enabled.get(), _entered.get()))
        _enabled.set(self.mode)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entered = _entered.get()
        if entered is not None and entered[0] is self:  # else it was entered elsewhere
            _enabled.set(entered[1])
            _entered.set(entered[2])

    def __call__(self, fn: F) -> F:
        """Decorate a function, generator, or async function or generator.

        Raises:
            InputTypeError: ``fn`` is a class, or cannot be called.
        """
        mode = self.mode
        if inspect.isclass(fn) or not callable(fn):
            raise InputTypeError(
                f"a grad mode decorates functions, got {shorten(repr(fn))}; decorate "
                "the methods of a class, and use set_grad_enabled(mode) for a mode "
                "that is known only at run time."
            )
        if inspect.isgeneratorfunction(fn):
            wrapper = _wrap_generator(fn, mode)
        elif inspect.isasyncgenfunction(fn):
            wrapper = _wrap_async_generator(fn, mode)
        elif inspect.iscoroutinefunction(fn) or _is_async_object(fn):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with _GradMode(mode):
                    return await fn(*args, **kwargs)
        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with _GradMode(mode):
                    return fn(*args, **kwargs)

        return functools.wraps(fn)(wrapper)  # type: ignore[return-value]


def _is_async_object(fn: Any) -> bool:
    """Whether ``fn`` is an object whose ``__call__`` is ``async def``."""
    return inspect.iscoroutinefunction(type(fn).__call__)


def _wrap_generator(fn: Callable[..., Any], mode: bool) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = fn(*args, **kwargs)
        step, value = generator.send, None
        while True:
            try:
                with _GradMode(mode):
                    item = step(value)
            except StopIteration as stop:
                return stop.value
            try:
                value, step = (yield item), generator.send
            except GeneratorExit:
                with _GradMode(mode):
                    generator.close()
                raise
            except BaseException as error:  # noqa: BLE001 - thrown into the generator
                value, step = error, generator.throw

    return wrapper


def _wrap_async_generator(fn: Callable[..., Any], mode: bool) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = fn(*args, **kwargs)
        step, value = generator.asend, None
        while True:
            try:
                with _GradMode(mode):
                    item = await step(value)
            except StopAsyncIteration:
                return
            try:
                value, step = (yield item), generator.asend
            except GeneratorExit:
                with _GradMode(mode):
                    await generator.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - thrown into the generator
                value, step = error, generator.athrow

    return wrapper


class no_grad(_GradMode):  # noqa: N801 - PyTorch's name
    """Record no operations inside; a context manager and a decorator.

    Works as ``with no_grad():``, ``@no_grad()`` and ``@no_grad``.
    """

    _mode = False

    @overload
    def __new__(cls, fn: F) -> F: ...  # type: ignore[misc]
    @overload
    def __new__(cls, fn: None = None) -> Self: ...
    def __new__(cls, fn: Any = None) -> Any:
        """Return the mode, or ``fn`` decorated with it."""
        mode = super().__new__(cls)
        if fn is None:
            return mode
        _GradMode.__init__(mode, cls._mode)
        return mode(fn)

    def __init__(self, fn: None = None) -> None:
        del fn  # a function never gets here: `__new__` returned it, decorated
        super().__init__(self._mode)


class enable_grad(no_grad):  # noqa: N801 - PyTorch's name
    """Record operations inside, also within `no_grad`."""

    _mode = True


class set_grad_enabled(Switch):  # noqa: N801 - PyTorch's name
    """Turn recording on or off, at once; as a context manager, until its end.

    Args:
        mode: Whether operations are recorded.
    """

    _flag = _enabled

    def __call__(self, fn: F) -> F:
        """Decorate a function; the mode outside of it stays what it was."""
        _enabled.set(self._previous)
        return _GradMode(self.mode)(fn)
