"""Tool: a function that a model may call, with a description that can be learned."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from types import MethodType
from typing import Any, Final, Self

from afnio._dispatch import call_user, in_thread
from afnio._text import closest, shorten
from afnio._variable import Variable
from afnio.autodiff._tool_calls import ToolSpec, within
from afnio.cognitive._settings import limit
from afnio.cognitive.modules._signature import (
    Signature,
    description_in,
    name_of,
    read_signature,
)
from afnio.cognitive.modules.module import Module
from afnio.cognitive.parameter import Parameter
from afnio.errors import InputTypeError, InputValueError
from afnio.models._loop_local import LoopLocal

__all__ = ["Tool"]

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FORBIDDEN: Final = re.compile(r"[^a-zA-Z0-9_-]+")


class Tool(Module):
    """A function that a model may call.

    The model is told its name, its description and the JSON schema of its arguments,
    which comes from the annotations, ``Annotated[str, "what it is"]``, and the
    ``Args:`` of the docstring. Arguments are checked and converted before the call;
    mistakes and exceptions are told to the model.

    Args:
        fn: A function, plain or ``async``, or any object that can be called; a
            `Module` too. It returns text, a Variable, content blocks, a pydantic
            object, or anything that JSON has a form for.
        description: What it is for, in words for the model: text, or a Variable. A
            `Parameter` is learned with the prompts. Default: the docstring up to its
            first section.
        name: What the model calls it; default is the function's name.
        timeout_s: Seconds until a call is given up and the model told so; None for
            never. A plain function that hangs keeps its thread.
        max_concurrent: Calls that may run at once, for different samples or in one
            turn; 1 for a function that must not run beside itself, None for no limit.
            Plain functions run on threads of their own.

    Raises:
        InputTypeError: It cannot be called, or its arguments have no JSON schema.
        InputValueError: It has no description, a name that providers refuse, or a
            ``timeout_s`` that is not positive.

    Examples:
        >>> def add(a: int, b: int) -> int:
        ...     '''Add two numbers.'''
        ...     return a + b
        >>> tool = Tool(add)
        >>> tool.name, tool.description.data, tool(a=1, b=2)
        ('add', 'Add two numbers.', 3)
        >>> sorted(tool.parameters_schema["properties"])
        ['a', 'b']
    """

    description: Variable

    def __init__(
        self,
        fn: Callable[..., Any],
        description: str | Variable | None = None,
        *,
        name: str | None = None,
        timeout_s: float | None = 60.0,
        max_concurrent: int | None = 32,
    ) -> None:
        super().__init__()
        if not callable(fn):
            raise InputTypeError(
                f"a tool is made of a function, got {type(fn).__name__}: {shorten(fn)}."
            )
        self.name = _checked_name(name_of(fn) if name is None else name)
        self.timeout_s = _checked_timeout(self.name, timeout_s)
        self.max_concurrent = limit("max_concurrent", max_concurrent)
        self._signature = _signature_of(fn, self.name)
        self.fn = fn
        self._places = self._new_places()
        self._describe(description_in(fn) if description is None else description)

    def _describe(self, description: str | Variable) -> None:
        role = f"description of the tool {self.name!r}, which tells a model when and "
        role += "how to call it"
        if isinstance(description, str):
            description = Variable(description, role)
        if not isinstance(description, Variable):
            raise InputTypeError(
                f"the description of the tool {self.name!r} must be text or a "
                f"Variable, got {type(description).__name__}."
            )
        if description.is_ready() and not description.data:
            raise InputValueError(
                f"the tool {self.name!r} has no description; give its function a "
                "docstring, or pass description=..."
            )
        description.role = description.role or role
        if isinstance(description, Parameter):
            self.description = description
        else:
            self.register_buffer("description", description)

    @property
    def parameters_schema(self) -> Mapping[str, Any]:
        """The JSON schema of the arguments."""
        return self._signature.parameters

    def spec(self) -> ToolSpec:
        """Return what an agent's loop needs to know."""
        return ToolSpec(
            name=self.name,
            parameters=self._signature.parameters,
            check=self._signature.check,
            run=self._run,
        )

    def forward(self, **arguments: Any) -> Any:
        """Call the function, without checks or a timeout."""
        return self.fn(**arguments)

    def _new_places(self) -> LoopLocal[AbstractAsyncContextManager[Any]]:
        """Return what lets so many calls run at once, on each event loop."""
        if self.max_concurrent is None:
            return LoopLocal(nullcontext)
        return LoopLocal(partial(asyncio.Semaphore, self.max_concurrent))

    async def _run(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function off the loop; wait for what it returns."""
        async with self._places.get():
            return await within(self.timeout_s, self._call(arguments))

    async def _call(self, arguments: Mapping[str, Any]) -> Any:
        call = partial(self.fn, **arguments)
        if _is_async(self.fn):
            result = await call_user(call)
        else:
            result = await in_thread(call)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, Variable):
            await result
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the description; the function is shared, unless it is a Module.

        A method of a module that is being copied becomes the method of the copy.
        """
        owner = memo.get(id(getattr(self.fn, "__self__", None)))
        if isinstance(owner, Module) and inspect.ismethod(self.fn):
            memo[id(self.fn)] = MethodType(self.fn.__func__, owner)
        elif not isinstance(self.fn, Module):
            memo[id(self.fn)] = self.fn
        memo[id(self._signature)] = self._signature
        memo[id(self._places)] = self._new_places()
        return super().__deepcopy__(memo)

    def extra_repr(self) -> str:
        """Return the name and the arguments."""
        return f"{self.name}({', '.join(self.parameters_schema['properties'])})"


class Toolbox(Module):
    """An agent's tools, registered under their names."""

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]]) -> None:
        super().__init__()
        if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
            raise InputTypeError(
                f"tools takes a list of functions and Tools, got "
                f"{type(tools).__name__}: {shorten(tools)}."
            )
        for item in tools:
            tool = item if isinstance(item, Tool) else Tool(item)
            if tool.name in self._modules:
                raise InputValueError(
                    f"two tools are called {tool.name!r}; give one another name: "
                    "Tool(fn, name=...)."
                )
            self._modules[tool.name] = tool  # a name of a method is fine here

    def __getitem__(self, name: str) -> Tool:
        found = self._modules.get(name)
        if not isinstance(found, Tool):
            raise InputValueError(
                f"there is no tool {name!r}; {closest(name, self._modules)}"
            )
        return found

    def __iter__(self) -> Iterator[Tool]:
        return iter([tool for tool in self._modules.values() if isinstance(tool, Tool)])

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules


def _signature_of(fn: Callable[..., Any], name: str) -> Signature:
    return read_signature(fn.forward if isinstance(fn, Module) else fn, name)


def _is_async(fn: Any) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(
        type(fn).__call__
    )


def _checked_name(name: Any) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    suggestion = _FORBIDDEN.sub("_", str(name)).strip("_")[:64] or "my_tool"
    raise InputValueError(
        f"{shorten(name)!r} cannot be a tool's name: providers take 1 to 64 letters, "
        f"digits, '_' and '-'. Pass name={suggestion!r}, for example."
    )


def _checked_timeout(name: str, timeout_s: Any) -> float | None:
    if timeout_s is None:
        return None
    number = isinstance(timeout_s, (int, float)) and not isinstance(timeout_s, bool)
    if not number or not timeout_s > 0:
        raise InputValueError(
            f"the timeout_s of the tool {name!r} must be a number of seconds above 0, "
            f"or None, got {timeout_s!r}."
        )
    return float(timeout_s)
