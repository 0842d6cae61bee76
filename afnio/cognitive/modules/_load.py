"""Loading a state dict: plan everything, report everything, then commit.

A `Plan` goes through every slot of a module tree and notes what to write. Only when
nothing is wrong does `Plan.commit` write, and what it does then cannot fail.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from afnio._data import kind_of
from afnio._variable import Variable
from afnio.autodiff._content import map_variables
from afnio.cognitive.modules._errors import StateDictError
from afnio.cognitive.modules._fits import extra_keys, slots
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.errors import InputValueError
from afnio.models import BaseModel

if TYPE_CHECKING:
    from afnio.cognitive.modules.module import Module


class Plan:
    """What loading ``state`` into ``root`` means.

    Attributes:
        missing: Keys that the module expects and the state lacks.
        unexpected: Keys of the state that the module does not know.
        problems: Everything else that is wrong.
    """

    def __init__(
        self,
        root: Module,
        state: Mapping[str, Any],
        clients: Mapping[str, BaseModel],
        assign: bool,
    ) -> None:
        self.root = root
        self.assign = assign
        self.clients = clients
        self.missing: list[str] = []
        self.problems: list[str] = []
        self.writes: list[Callable[[], object]] = []
        self.extras: list[tuple[Module, Any]] = []
        self.sources: dict[int, tuple[str, Variable]] = {}  # by id of the target
        self.replaced: dict[int, Variable] = {}  # by id of what it replaces
        self.twins: dict[int, Variable] = {}  # by id of the saved Variable
        self.restored: list[tuple[BaseModel, Any]] = []
        used: set[str] = set()
        for slot, fit in slots(root):
            if slot.key in state:
                used.add(slot.key)
                fit(self, slot, state[slot.key])
            elif slot.target is not None:
                self.missing.append(slot.key)
        for key, module in extra_keys(root):
            if key in state:
                used.add(key)
                self.extras.append((module, state[key]))
            else:
                self.missing.append(key)
        self.unexpected = [key for key in state if key not in used]

    def check(self, *, strict: bool) -> None:
        """Raise if anything is wrong.

        Raises:
            StateDictError: With everything that is.
        """
        lines = list(self.problems)
        if strict:
            for kind, keys in (
                ("unexpected", self.unexpected),
                ("missing", self.missing),
            ):
                if keys:
                    lines.insert(0, f"{kind} keys: {', '.join(map(str, keys))}")
        if lines:
            raise StateDictError(
                f"the state does not fit {type(self.root).__name__}; nothing has "
                "changed.\n" + "\n".join(f"  {line}" for line in lines),
                missing_keys=self.missing,
                unexpected_keys=self.unexpected,
                problems=self.problems,
            )

    def commit(self) -> None:
        """Write. Only a user's ``set_extra_state`` can fail; then all is put back."""
        before: list[tuple[Module, Any]] = []
        try:
            for module, extra in self.extras:
                before.append((module, module.get_extra_state()))
                module.set_extra_state(extra)
        except BaseException:
            for module, extra in reversed(before):
                module.set_extra_state(extra)
            raise
        for write in self.writes:
            write()
        if self.replaced:
            self._replace_in_chats()

    def _replace_in_chats(self) -> None:
        """Let chats hold the objects that ``assign`` has put in place of theirs."""
        for chat in self.root.chats():
            for message in chat:
                message["content"] = map_variables(
                    message["content"], lambda held: self.replaced.get(id(held), held)
                )

    def write(self, key: str, target: Variable, saved: Variable) -> Variable:
        """Plan to give ``target`` the saved value; return the object to hold it."""
        if id(target) in self.sources:
            first, source = self.sources[id(target)]
            if source.data != saved.data:
                self.problems.append(
                    f"{key} and {first} are one object here, but differ in the state"
                )
            return self.replaced.get(id(target), target)
        self.sources[id(target)] = (key, saved)
        problem = _misfit(target, saved)
        if problem:
            self.problems.append(f"{key}: {problem}")
            return target
        if not self.assign:
            self.twins[id(saved)] = target
            self.writes.append(partial(_overwrite, target, saved))
            return target
        new = saved
        if isinstance(target, Parameter):
            new = self.as_parameter(saved, target)
            self.writes.append(partial(new.requires_grad_, target.requires_grad))
        self.replaced[id(target)] = self.twins[id(saved)] = new
        return new

    def as_parameter(self, saved: Variable, like: Parameter | None) -> Parameter:
        """Return a saved Variable as a Parameter, the same object if it is one."""
        if isinstance(saved, Parameter if like is None else type(like)):
            return saved if self.assign else copy.deepcopy(saved)
        if like is None:
            return Parameter(saved.data, saved.role)
        new = copy.deepcopy(like)
        _overwrite(new, saved)
        return new

    def install(self, saved: Variable, *, parameter: bool) -> Variable:
        """Return what an empty slot gets; what is tied in the state is tied here."""
        twin = self.twins.get(id(saved))
        if twin is None or (parameter and not isinstance(twin, Parameter)):
            if parameter or isinstance(saved, Parameter):
                twin = self.as_parameter(saved, None)
            else:
                twin = saved if self.assign else _plain_copy(saved)
            self.twins[id(saved)] = twin
        return twin


def _misfit(target: Variable, saved: Variable) -> str | None:
    """Say why ``target`` cannot take a saved value, or None if it can."""
    if isinstance(target, Demonstrations):
        try:
            target.check_data(saved.data)
        except InputValueError as error:
            return str(error)
        return None
    if target.data is None or saved.data is None:
        return None
    if target.shape != saved.shape:
        return f"has shape {target.shape}, but the state has {saved.shape}"
    mine, theirs = kind_of(target.data), kind_of(saved.data)
    if mine and theirs and mine != theirs:
        return f"holds {mine}, but the state has {theirs}"
    return None


def _overwrite(target: Variable, saved: Variable) -> None:
    target.data = saved.data
    if isinstance(target, Parameter) and isinstance(saved, Parameter):
        target._take_versions(saved)
    target.role = saved.role or target.role
    if isinstance(saved, Parameter) or not isinstance(target, Parameter):
        target.requires_grad = saved.requires_grad


def _plain_copy(saved: Variable) -> Variable:
    result = saved.detach()
    result.requires_grad = saved.requires_grad
    return result
