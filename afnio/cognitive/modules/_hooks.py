"""Calling a module: its hooks, blocking and awaited."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from afnio._dispatch import call_user, run_sync
from afnio.autodiff._inputs import variables_in
from afnio.autodiff.graph import RemovableHandle
from afnio.cognitive.modules._backward_hooks import Crossing
from afnio.cognitive.modules._registry import Registry


@dataclass(frozen=True, slots=True)
class Hook:
    """A forward hook, and whether it wants the keyword arguments too."""

    fn: Callable[..., Any]
    with_kwargs: bool

    def __call__(self, *args: Any) -> Any:
        """Call the hook: module, args, kwargs and, after forward, the result."""
        if self.with_kwargs:
            return self.fn(*args)
        return self.fn(*args[:2], *args[3:])


class Callables(Registry):
    """The calling part of a `Module`."""

    _forward_pre_hooks: OrderedDict[int, Any]
    _forward_hooks: OrderedDict[int, Any]
    _backward_pre_hooks: OrderedDict[int, Any]
    _backward_hooks: OrderedDict[int, Any]

    def __init__(self) -> None:
        super().__init__()
        self._forward_pre_hooks = OrderedDict()
        self._forward_hooks = OrderedDict()
        self._backward_pre_hooks = OrderedDict()
        self._backward_hooks = OrderedDict()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; every subclass overrides this, also with ``async def``.

        Raises:
            NotImplementedError: It does not.
        """
        raise NotImplementedError(
            f"{type(self).__name__} defines no forward(); write one."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the hooks and `forward`."""
        if inspect.iscoroutinefunction(self.forward):
            return run_sync(self._acall(args, kwargs))
        for hook in tuple(self._forward_pre_hooks.values()):
            args, kwargs = _changed(hook, hook(self, args, kwargs), args, kwargs)
        crossing = self._crossing()
        if crossing is not None:
            args, kwargs = crossing.enter((args, kwargs))
        result = self.forward(*args, **kwargs)
        for hook in tuple(self._forward_hooks.values()):
            changed = hook(self, args, kwargs, result)
            result = result if changed is None else changed
        return result if crossing is None else crossing.leave(result)

    def _crossing(self) -> Crossing | None:
        if self._backward_hooks or self._backward_pre_hooks:
            return Crossing(self)
        return None

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Await what calling the module does; the Variables it returns are ready.

        A plain ``forward`` runs on the thread for users' functions, so the caller's
        event loop stays responsive even if ``forward`` reads pending data.
        """
        if inspect.iscoroutinefunction(self.forward):
            result = await self._acall(args, kwargs)
        else:
            result = await call_user(partial(self.__call__, *args, **kwargs))
        for variable in variables_in(result):
            await variable
        return result

    async def _acall(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do as `__call__` does, with an ``async def forward``."""
        for hook in tuple(self._forward_pre_hooks.values()):
            changed = await call_user(hook, self, args, kwargs)
            args, kwargs = _changed(hook, changed, args, kwargs)
        crossing = self._crossing()
        if crossing is not None:
            args, kwargs = crossing.enter((args, kwargs))
        forward: Callable[..., Awaitable[Any]] = self.forward
        result = await forward(*args, **kwargs)
        for hook in tuple(self._forward_hooks.values()):
            changed = await call_user(hook, self, args, kwargs, result)
            result = result if changed is None else changed
        return result if crossing is None else crossing.leave(result)

    def register_forward_pre_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before every forward.

        What it returns, unless None, takes the place of the arguments: a tuple of them,
        or one value. Returns a handle that removes the hook.

        Args:
            hook: The function.
            prepend: Run it before the hooks that are there already.
            with_kwargs: Call ``hook(module, args, kwargs)``; it returns None or a pair.
        """
        return _add(self._forward_pre_hooks, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, result)`` after every forward.

        What it returns, unless None, takes the place of the result. Returns a handle
        that removes the hook.

        Args:
            hook: The function.
            prepend: Run it before the hooks that are there already.
            with_kwargs: Call ``hook(module, args, kwargs, result)``.
        """
        return _add(self._forward_hooks, Hook(hook, with_kwargs), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before feedback goes through the module.

        ``grad_output`` has one gradient per Variable in the module's result that is
        part of the graph, in order, or None where there is none. What the hook returns,
        unless None, takes its place. Returns a handle that removes the hook.
        """
        return _add(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` after feedback went through.

        ``grad_input`` has one gradient per Variable among the arguments that requires
        grad, also inside lists and dicts, or None. What the hook returns, unless None,
        takes its place. Without such arguments the hook is called as soon as
        ``grad_output`` is there. Returns a handle that removes the hook.

        Examples:
            >>> import afnio.cognitive as cog
            >>> from afnio import Variable
            >>> class Echo(cog.Module):
            ...     def forward(self, x):
            ...         return x.upper()
            >>> echo = Echo()
            >>> def log(module, grad_input, grad_output):
            ...     print(grad_output[0].data, "->", grad_input[0].role)
            >>> handle = echo.register_full_backward_hook(log)
            >>> word = Variable("hi", role="word", requires_grad=True)
            >>> echo(word).backward(Variable("Too loud."))
            Too loud. -> feedback to word
        """
        return _add(self._backward_hooks, hook, prepend)


def _add(
    hooks: OrderedDict[int, Any], hook: Callable[..., Any], prepend: bool
) -> RemovableHandle:
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _changed(
    hook: Hook, answer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments after a pre-hook has answered."""
    if answer is None:
        return args, kwargs
    if hook.with_kwargs:
        args, kwargs = answer
        return args, kwargs
    return (answer if isinstance(answer, tuple) else (answer,)), kwargs
