"""Module: a part of a program, with parameters, children and hooks.

The contract is that of `torch.nn.Module`. Its halves are in files of their own:
`_registry` (attributes), `_hooks` (calling), `_traverse` (walking), `_state` (state
dicts) and `_training` (what a Trainer calls).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

from afnio._data import brief_text
from afnio._text import shorten
from afnio.cognitive.modules._state import Stateful
from afnio.cognitive.modules._training import Trainable
from afnio.cognitive.parameter import Parameter
from afnio.errors import InputValueError
from afnio.models import BaseModel

T = TypeVar("T")


class Module(Stateful, Trainable):
    """Base class of every program; subclass it and define ``forward``.

    Parameters, Modules, model clients and chats (lists of messages made of Variables)
    that are assigned to attributes are registered; anything else is a plain attribute
    unless a ``register_*`` method is called.

    Attributes:
        training: Whether the module is in training mode.
        automatic_optimization: Whether a Trainer clears gradients, runs backward and
            steps; False leaves that to ``training_step``.

    Examples:
        >>> import afnio.cognitive as cog
        >>> class Greeter(cog.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.greeting = cog.Parameter("Hello, ", role="greeting")
        ...
        ...     def forward(self, name):
        ...         return self.greeting + name
        >>> greeter = Greeter()
        >>> greeter("Ann").data
        'Hello, Ann'
        >>> [name for name, _ in greeter.named_parameters()]
        ['greeting']
    """

    training: bool
    automatic_optimization: bool
    _optimizers: Any

    def __init__(self) -> None:
        super().__init__()
        self.training = True
        self.automatic_optimization = True
        self._optimizers = None

    # -- everything below, at once --------------------------------------------------

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call ``fn`` on every child, then on this module; return the module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below it in training mode; return it.

        Raises:
            InputValueError: ``mode`` is not a bool.
        """
        if not isinstance(mode, bool):
            raise InputValueError(f"train() takes a bool, got {mode!r}.")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Put this module and all below it in evaluation mode; return it."""
        return self.train(mode=False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set the flag on every Parameter and chat Variable; return the module."""
        for variable in self._learnable():
            variable.requires_grad_(requires_grad)
        return self

    def empty_grad(self) -> None:
        """Clear the gradients of every Parameter and chat Variable, in place."""
        for variable in self._learnable():
            if variable.is_leaf:
                variable.grad.clear()

    def zero_grad(self) -> None:
        """Clear all gradients; PyTorch's name for `empty_grad`."""
        self.empty_grad()

    # -- copies and text ------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy parameters and children; model clients are shared, not copied.

        Gradients and the optimizers that a Trainer has stored stay behind.
        """
        for client in _clients(self.__dict__, set()):
            memo[id(client)] = client
        memo[id(self._optimizers)] = None
        result = self.__class__.__new__(self.__class__)
        memo[id(self)] = result
        result.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return result

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the repr; override it."""
        return ""

    def __repr__(self) -> str:
        return self._tree(repr, [])

    def __str__(self) -> str:
        """Return the repr, with a line for every Parameter: its role and its text."""
        own = _filled(self._parameters)
        return self._tree(str, [f"({name}): {_shown(param)}" for name, param in own])

    def _tree(self, show: Callable[[Any], str], lines: list[str]) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        children = _filled(self._modules)
        if not lines and not children and "\n" not in extra:
            return f"{name}({extra})"
        body = [
            *(extra.split("\n") if extra else ()),
            *lines,
            *(f"({key}): {show(child)}" for key, child in children),
        ]
        inside = "".join(f"\n{line}" for line in body).replace("\n", "\n  ")
        return f"{name}({inside}\n)"


def _filled(store: Mapping[str, T | None]) -> list[tuple[str, T]]:
    return [(name, value) for name, value in store.items() if value is not None]


def _shown(param: Parameter) -> str:
    state = "" if param.requires_grad else ", frozen"
    text = shorten(param.data) if param.is_ready() else "..."
    return f"{brief_text(param.label)}{state}: {text}"


def _clients(value: Any, seen: set[int]) -> Iterator[BaseModel]:
    """Yield the model clients in plain containers; children copy their own."""
    if isinstance(value, BaseModel):
        yield value
    elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
        seen.add(id(value))
        for item in value.values() if isinstance(value, dict) else value:
            yield from _clients(item, seen)


__all__ = ["Module"]
