"""What fits where: for every kind of slot, how a saved value is checked and planned.

Each function notes problems and writes in a `Plan`; none changes anything itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from afnio._text import describe
from afnio._variable import Variable
from afnio.autodiff._content import map_variables
from afnio.autodiff._inputs import variables_in
from afnio.autodiff._transcript import in_words
from afnio.cognitive.modules._registry import is_chat
from afnio.cognitive.parameter import Parameter
from afnio.models import BaseModel
from afnio.models._secret_args import revealed
from afnio.serialization import SavedFunction

if TYPE_CHECKING:
    from afnio.cognitive.modules._load import Plan
    from afnio.cognitive.modules.module import Module

EXTRA: Final = "_extra_state"
"""The key of what ``get_extra_state`` returns."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One registered name of one module."""

    module: Module
    store: str
    name: str
    key: str

    @property
    def target(self) -> Any:
        """What is in the slot."""
        return self.module.__dict__[self.store][self.name]

    def put(self, value: Any) -> None:
        """Fill the slot."""
        self.module.__dict__[self.store][self.name] = value


def _fit_variable(plan: Plan, slot: Slot, saved: Any) -> None:
    if not isinstance(saved, Variable):
        plan.problems.append(f"{slot.key}: needs a Variable, got {describe(saved)}")
        return
    if slot.target is None:
        new = plan.install(saved, parameter=slot.store == "_parameters")
        if isinstance(new, Parameter) and new.name is None:
            plan.writes.append(partial(setattr, new, "name", slot.name))
    else:
        new = plan.write(slot.key, slot.target, saved)
    if new is not slot.target:
        plan.writes.append(partial(slot.put, new))


def _fit_chat(plan: Plan, slot: Slot, saved: Any) -> None:
    if not is_chat(saved):
        plan.problems.append(
            f"{slot.key}: needs a list of chat messages, got {describe(saved)}"
        )
    elif slot.target is None:
        messages = [
            {
                **message,
                "content": map_variables(
                    message["content"], partial(plan.install, parameter=False)
                ),
            }
            for message in saved
        ]
        plan.writes.append(partial(slot.put, messages))
    elif _outline(slot.target) != _outline(saved):
        plan.problems.append(
            f"{slot.key}: the messages are {_outline(slot.target)}, but those in the "
            f"state are {_outline(saved)}"
        )
    else:
        for turn, (mine, theirs) in enumerate(zip(slot.target, saved, strict=True)):
            pairs = zip(mine["content"], theirs["content"], strict=True)
            for part, (target, source) in enumerate(pairs):
                _fit_part(plan, f"{slot.key}[{turn}].content[{part}]", target, source)


def _fit_part(plan: Plan, place: str, target: Any, source: Any) -> None:
    """Plan to write the Variables of a part; blocks around them must be equal."""
    mine, theirs = (map_variables(part, lambda _: "") for part in (target, source))
    if mine != theirs:
        plan.problems.append(
            f"{place}: {in_words(mine) or 'a Variable'} is not what the state has, "
            f"{in_words(theirs) or 'a Variable'}"
        )
        return
    pairs = zip(variables_in(target), variables_in(source), strict=True)
    for variable, saved in pairs:
        plan.write(place, variable, saved)


def _outline(chat: Any) -> str:
    """Describe a chat's form: its roles, and how many parts each message has."""
    return ", ".join(f"{turn['role']}({len(turn['content'])})" for turn in chat)


def _fit_model(plan: Plan, slot: Slot, saved: Any) -> None:
    if isinstance(saved, BaseModel):
        saved = {"class_type": type(saved).__name__, "client": saved}
    if not isinstance(saved, Mapping) or not isinstance(saved.get("class_type"), str):
        plan.problems.append(
            f"{slot.key}: needs the description of a client, got {describe(saved)}"
        )
        return
    wanted, client = saved["class_type"], plan.clients.get(slot.key)
    if client is None:
        if slot.target is not None:
            return  # the program has configured one; its usage is its own
        client = saved.get("client")
    if client is None:
        plan.problems.append(
            f"{slot.key}: was a {wanted} client; pass one as "
            f"model_clients={{{slot.key!r}: {wanted}(...)}}"
        )
    elif wanted not in {cls.__name__ for cls in type(client).__mro__}:
        plan.problems.append(
            f"{slot.key}: was a {wanted} client, got {describe(client)} in "
            "model_clients"
        )
    else:
        _plan_usage(plan, slot, client, saved.get("usage"))
        plan.writes.append(partial(slot.put, client))


def _plan_usage(plan: Plan, slot: Slot, client: BaseModel, usage: Any) -> None:
    """Plan to add saved usage to a client, once for each description."""
    entry = (client, usage)
    if not usage or client is slot.target or entry in plan.restored:
        return
    try:
        BaseModel().update_usage(usage)
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        plan.problems.append(f"{slot.key}: its usage cannot be read: {error}")
        return
    plan.restored.append(entry)
    plan.writes.append(partial(client.update_usage, usage))


def _fit_config(plan: Plan, slot: Slot, saved: Any) -> None:
    if not isinstance(saved, Mapping):
        plan.problems.append(f"{slot.key}: needs a dict, got {describe(saved)}")
        return
    args = dict(saved) if plan.assign else copy.deepcopy(dict(saved))
    args, missing = revealed(args, slot.target)
    if missing:
        plan.problems.append(
            f"{slot.key}: files hold no values of {', '.join(missing)}, which may be "
            "secret; give them to the module again before loading"
        )
    plan.writes.append(partial(slot.put, args))


def _fit_function(plan: Plan, slot: Slot, saved: Any) -> None:
    if isinstance(saved, SavedFunction):
        default = slot.module._default_functions.get(slot.name)
        if slot.target is None and saved.path != default:
            plan.problems.append(
                f"{slot.key}: was {saved.path}; files name functions and never import "
                "them, so give the module its function before loading"
            )
    elif callable(saved):
        plan.writes.append(partial(slot.put, saved))
    else:
        plan.problems.append(f"{slot.key}: needs a function, got {describe(saved)}")


_FITS: Final = (
    (("_parameters", _fit_variable), ("_buffers", _fit_variable)),
    (
        ("_chats", _fit_chat),
        ("_models", _fit_model),
        ("_completion_configs", _fit_config),
        ("_functions", _fit_function),
    ),
)
"""Parameters of all modules come first, so that chats can find theirs."""


def slots(root: Module) -> Iterator[tuple[Slot, Callable[[Plan, Slot, Any], None]]]:
    for stage in _FITS:
        for path, module in root.named_modules(remove_duplicate=False):
            for store, fit in stage:
                for name in module.__dict__[store]:
                    if name not in module.__dict__["_non_persistent_buffers_set"]:
                        key = f"{path}.{name}" if path else name
                        yield Slot(module, store, name, key), fit


def extra_keys(root: Module) -> Iterator[tuple[str, Module]]:
    for path, module in root.named_modules(remove_duplicate=False):
        if module._has_extra_state():
            yield (f"{path}.{EXTRA}" if path else EXTRA), module
