"""What a module registers: seven kinds of things, each in its own dict.

Parameters, modules, model clients and chats register themselves by type when they are
assigned. Everything else is a plain attribute unless a ``register_*`` method is called,
so ``self.x = None``, ``[]``, ``{}`` or a function never surprise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from afnio._text import closest, shorten
from afnio._variable import Variable
from afnio.autodiff._chat import MultiTurnMessages, validate_messages
from afnio.cognitive.modules._errors import ModuleAttributeError, SlotNameError
from afnio.cognitive.parameter import Parameter
from afnio.errors import InputTypeError, InputValueError
from afnio.models import BaseModel

if TYPE_CHECKING:
    from afnio.cognitive.modules.module import Module


def is_chat(value: object) -> bool:
    """Whether ``value`` is a list of ``{"role", "content": [Variable]}``, not empty."""
    if not isinstance(value, list) or not value:
        return False
    try:
        validate_messages(value)
    except (InputTypeError, InputValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of registered thing."""

    store: str
    noun: str
    accepts: Callable[[Any], bool]
    by_type: bool
    """Whether assigning such a value registers it."""


def _is_module(value: object) -> bool:
    return isinstance(value, Registry)


PARAMETER: Final = Kind(
    "_parameters", "a Parameter", lambda v: isinstance(v, Parameter), by_type=True
)
MODULE: Final = Kind("_modules", "a Module", _is_module, by_type=True)
CHAT: Final = Kind("_chats", "a list of chat messages", is_chat, by_type=True)
MODEL: Final = Kind(
    "_models", "a model client", lambda v: isinstance(v, BaseModel), by_type=True
)
CONFIG: Final = Kind(
    "_completion_configs", "a dict", lambda v: isinstance(v, dict), by_type=False
)
FUNCTION: Final = Kind("_functions", "a callable", callable, by_type=False)
BUFFER: Final = Kind(
    "_buffers", "a Variable", lambda v: isinstance(v, Variable), by_type=False
)
KINDS: Final = (PARAMETER, MODULE, CHAT, MODEL, CONFIG, FUNCTION, BUFFER)
"""In the order in which they claim an assigned value."""


class Registry:
    """The registering half of a `Module`."""

    _default_functions: ClassVar[Mapping[str, str]] = {}
    """Import paths of functions that empty slots stand for, by slot."""

    training: bool
    _parameters: dict[str, Parameter | None]
    _modules: dict[str, Module | None]
    _chats: dict[str, MultiTurnMessages | None]
    _models: dict[str, BaseModel | None]
    _completion_configs: dict[str, dict[str, Any] | None]
    _functions: dict[str, Callable[..., Any] | None]
    _buffers: dict[str, Variable | None]
    _non_persistent_buffers_set: set[str]
    _declared_chats: set[str]

    def __init__(self) -> None:
        for kind in KINDS:
            object.__setattr__(self, kind.store, {})
        object.__setattr__(self, "_non_persistent_buffers_set", set())
        object.__setattr__(self, "_declared_chats", set())

    # -- attributes ---------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        for kind in KINDS:
            if kind.by_type and kind.accepts(value):
                self._put(kind, name, value)
                return
            if name not in self.__dict__.get(kind.store, ()):
                continue
            if value is None or kind.accepts(value):
                self._put(kind, name, value)
                return
            if kind is CHAT and self._may_leave(name, value):
                break
            raise InputTypeError(
                f"{type(self).__name__}.{name} is registered as {kind.noun}; it takes "
                f"one or None, not {type(value).__name__}: {shorten(value)}."
            )
        self._forget(name)
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for kind in KINDS:
            found = self.__dict__.get(kind.store, {})
            if name in found:
                return found[name]
        hint = "" if name.startswith("_") else f"; {closest(name, self._names())}"
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}{hint}",
            name=name,
            obj=self,
        )

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._names()}
        return sorted(name for name in names if not name[:1].isdigit())

    def _names(self) -> list[str]:
        stores = (self.__dict__.get(kind.store, {}) for kind in KINDS)
        plain = (name for name in self.__dict__ if not name.startswith("_"))
        return [*plain, *(name for store in stores for name in store)]

    def _may_leave(self, name: str, value: object) -> bool:
        """Whether a chat that was registered by type becomes a plain list again."""
        return isinstance(value, list) and name not in self._declared_chats

    def _forget(self, name: str) -> bool:
        """Remove ``name`` from whichever registry has it."""
        held = False
        for kind in KINDS:
            store = self.__dict__.get(kind.store, {})
            held = held or name in store
            store.pop(name, None)
        self.__dict__.get("_declared_chats", set()).discard(name)
        return held

    def _put(self, kind: Kind, name: str, value: Any) -> None:
        """Store a value that fits, in place if ``name`` is of this kind already."""
        if kind.store not in self.__dict__:
            raise ModuleAttributeError(
                f"cannot assign {kind.noun} to {type(self).__name__}.{name} before "
                "Module.__init__() has run; call super().__init__() first."
            )
        store = self.__dict__[kind.store]
        if name not in store:
            _check_name(name)
            if hasattr(type(self), name):
                raise SlotNameError(
                    f"{type(self).__name__}.{name} is part of the class; choose "
                    f"another name for {kind.noun}."
                )
            self._forget(name)
            self.__dict__.pop(name, None)
        store[name] = value
        if kind is PARAMETER and value is not None and not name.isdigit():
            value.name = value.name or name

    def _register(self, kind: Kind, name: str, value: Any) -> None:
        if kind.store not in self.__dict__:
            raise ModuleAttributeError(
                f"cannot register {kind.noun} before Module.__init__() has run; call "
                "super().__init__() first."
            )
        _check_name(name)
        if hasattr(self, name) and name not in self.__dict__[kind.store]:
            raise SlotNameError(
                f"{type(self).__name__} has an attribute {name!r} already; choose "
                "another name."
            )
        if value is not None and not kind.accepts(value):
            raise InputTypeError(
                f"{name!r} must be {kind.noun} or None, got {type(value).__name__}: "
                f"{shorten(value)}."
            )
        self._put(kind, name, value)

    # -- explicit registration ----------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a Parameter, or a slot for one.

        Raises:
            SlotNameError: The name is empty, dotted or taken.
            InputTypeError: The name is not text, or ``param`` not a Parameter.
            InputValueError: ``param`` was computed by an operation.
        """
        if isinstance(param, Variable) and param.grad_fn is not None:
            raise InputValueError(
                f"parameter {name!r} was computed by {param.grad_fn.name()}; only a "
                "leaf can be learned. Make a new Parameter of its data."
            )
        self._register(PARAMETER, name, param)

    def register_buffer(
        self, name: str, variable: Variable | None, persistent: bool = True
    ) -> None:
        """Register a Variable that belongs to the state but is not learned.

        Args:
            name: The attribute.
            variable: The Variable, or None for an empty slot.
            persistent: False keeps it out of `state_dict`.
        """
        self._register(BUFFER, name, variable)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_chat(self, name: str, messages: MultiTurnMessages | None) -> None:
        """Register chat messages: ``[{"role": str, "content": [Variable, …]}, …]``."""
        if isinstance(messages, list) and messages:
            _explain_chat(name, messages)
        self._register(CHAT, name, messages)
        self._declared_chats.add(name)

    def register_model(self, name: str, model: BaseModel | None) -> None:
        """Register a model client, whose usage belongs to the state."""
        self._register(MODEL, name, model)

    def register_completion_config(
        self, name: str, args: Mapping[str, Any] | None
    ) -> None:
        """Register completion arguments, such as ``temperature``."""
        self._register(CONFIG, name, args)

    def register_function(self, name: str, func: Callable[..., Any] | None) -> None:
        """Register a function, whose import path is saved for information.

        Lambdas, closures and bound methods are fine while the program runs; in a file
        only their description can stand, so a program must supply them again.
        """
        self._register(FUNCTION, name, func)

    def register_module(self, name: str, module: Module | None) -> None:
        """Register a child module; assigning it to an attribute does the same."""
        self._register(MODULE, name, module)

    add_module = register_module


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise InputTypeError(f"a name must be a str, got {type(name).__name__}.")
    if not name or "." in name:
        raise SlotNameError(f"a name must not be empty or contain a dot, got {name!r}.")


def _explain_chat(name: str, messages: Any) -> None:
    """Say what is wrong with messages; a missing key is a wrong type of chat here."""
    try:
        validate_messages(messages, name)
    except InputValueError as error:
        raise InputTypeError(str(error)) from None


__all__ = ["KINDS", "Kind", "Registry", "is_chat"]
