"""Walking through a module: its children, and everything they have registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from afnio._text import closest
from afnio._variable import Variable
from afnio.autodiff._chat import MultiTurnMessages
from afnio.autodiff._inputs import variables_in
from afnio.cognitive.modules._errors import ModuleAttributeError
from afnio.cognitive.modules._hooks import Callables
from afnio.cognitive.parameter import Parameter
from afnio.models import BaseModel

if TYPE_CHECKING:
    from afnio.cognitive.modules.module import Module

Named = Iterator[tuple[str, Any]]


class Traversal(Callables):
    """The traversing part of a `Module`.

    Every ``named_*`` takes a ``prefix`` for the names, ``recurse`` (children too?) and
    ``remove_duplicate`` (each object once, under its first name?). Same means the same
    object; equal settings of two modules are two settings.
    """

    # -- modules ------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the names and modules one level down, each module once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the modules one level down, each once."""
        return (module for _, module in self.named_children())

    def named_modules(
        self,
        memo: set[Module] | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module, under the name ``prefix``, and all below it."""
        memo = set() if memo is None else memo
        me = cast("Module", self)
        if me in memo:
            return
        if remove_duplicate:
            memo.add(me)
        yield prefix, me
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, target: str) -> Module:
        """Return the module at a dotted path; ``""`` is this one.

        Raises:
            ModuleAttributeError: There is none; the message names the closest.
        """
        found = dict(self.named_modules(remove_duplicate=False))
        return cast("Module", _lookup(self, found, target, "module"))

    # -- what modules have registered ----------------------------------------------

    def _members(
        self,
        list_own: Callable[[Module], Named],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
        seen: set[int] | None = None,
    ) -> Named:
        seen = set() if seen is None else seen
        me = cast("Module", self)
        for path, module in (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, me)]
        ):
            for name, value in list_own(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield names and Parameters: attributes first, then those in chats.

        A Parameter that stands only in a chat is called after its place there, such as
        ``chat.messages.0.1``: message 0, part 1.
        """
        seen: set[int] = set()
        for own in (_own("_parameters"), _chat_parameters):
            yield from self._members(own, prefix, recurse, remove_duplicate, seen)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the Parameters, each once."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def get_parameter(self, target: str) -> Parameter:
        """Return the Parameter of that name.

        Raises:
            ModuleAttributeError: There is none; the message names the closest.
        """
        found = dict(self.named_parameters(remove_duplicate=False))
        return cast("Parameter", _lookup(self, found, target, "Parameter"))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Variable]]:
        """Yield names and buffers, also those that are not persistent."""
        own = _own("_buffers")
        return self._members(own, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Variable]:
        """Yield the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_buffer(self, target: str) -> Variable:
        """Return the buffer of that name.

        Raises:
            ModuleAttributeError: There is none; the message names the closest.
        """
        found = dict(self.named_buffers(remove_duplicate=False))
        return cast("Variable", _lookup(self, found, target, "buffer"))

    def named_chats(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, MultiTurnMessages]]:
        """Yield names and chats."""
        return self._members(_own("_chats"), prefix, recurse, remove_duplicate)

    def chats(self, recurse: bool = True) -> Iterator[MultiTurnMessages]:
        """Yield the chats, each once."""
        return (chat for _, chat in self.named_chats(recurse=recurse))

    def named_models(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, BaseModel]]:
        """Yield names and model clients."""
        return self._members(_own("_models"), prefix, recurse, remove_duplicate)

    def models(self, recurse: bool = True) -> Iterator[BaseModel]:
        """Yield the model clients, each once."""
        return (model for _, model in self.named_models(recurse=recurse))

    def named_completion_configs(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield names and completion arguments."""
        own = _own("_completion_configs")
        return self._members(own, prefix, recurse, remove_duplicate)

    def completion_configs(self, recurse: bool = True) -> Iterator[dict[str, Any]]:
        """Yield the completion arguments, each dict once."""
        return (args for _, args in self.named_completion_configs(recurse=recurse))

    def named_functions(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Yield names and functions."""
        return self._members(_own("_functions"), prefix, recurse, remove_duplicate)

    def functions(self, recurse: bool = True) -> Iterator[Callable[..., Any]]:
        """Yield the functions, each once."""
        return (func for _, func in self.named_functions(recurse=recurse))

    def _learnable(self) -> Iterator[Variable]:
        """Yield every Parameter and every Variable in a chat, each once."""
        seen: set[int] = set()
        chats = (_in_chat(chat) for chat in self.chats())
        found = (variable for chat in chats for _, variable in chat)
        for variable in (*self.parameters(), *found):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield variable


def _own(store: str) -> Callable[[Module], Named]:
    return lambda module: iter(tuple(module.__dict__[store].items()))


def _in_chat(chat: MultiTurnMessages) -> Iterator[tuple[str, Variable]]:
    """Yield the Variables of a chat and their places, such as ``0.1``."""
    for turn, message in enumerate(chat):
        for part, held in enumerate(message["content"]):
            for number, variable in enumerate(variables_in(held)):
                more = f".{number}" if number else ""
                yield f"{turn}.{part}{more}", variable


def _chat_parameters(module: Module) -> Named:
    for name, chat in tuple(module.__dict__["_chats"].items()):
        for place, variable in _in_chat(chat or []):
            if isinstance(variable, Parameter):
                yield f"{name}.{place}", variable


def _lookup(root: Traversal, found: dict[str, Any], target: str, noun: str) -> Any:
    if target not in found:
        raise ModuleAttributeError(
            f"{type(root).__name__} has no {noun} {target!r}; {closest(target, found)}"
        )
    return found[target]
