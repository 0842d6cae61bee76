"""State dicts: everything a module was configured with, as plain values.

A state dict holds copies. What is one object in the module is one object in its state,
so tied Parameters stay tied through a file and back.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast

from afnio._text import describe
from afnio._variable import Variable
from afnio.autodiff._content import map_variables
from afnio.cognitive.modules._fits import EXTRA
from afnio.cognitive.modules._load import Plan
from afnio.cognitive.modules._state_hooks import StateHooked, report
from afnio.cognitive.parameter import Parameter
from afnio.errors import InputTypeError
from afnio.models import BaseModel
from afnio.models._secret_args import concealed

if TYPE_CHECKING:
    from afnio.cognitive.modules.module import Module

_STORES: Final = (
    "_parameters",
    "_buffers",
    "_chats",
    "_models",
    "_completion_configs",
    "_functions",
)
"""What a state dict holds of each module, in this order."""


class IncompatibleKeys(NamedTuple):
    """What `Stateful.load_state_dict` returns."""

    missing_keys: list[str]
    """Keys that the module expects and the state lacks."""
    unexpected_keys: list[str]
    """Keys of the state that the module does not know."""

    def __repr__(self) -> str:
        missing_keys, unexpected_keys = self
        if not missing_keys and not unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys({missing_keys=}, {unexpected_keys=})"


class Stateful(StateHooked):
    """The saving and loading part of a `Module`."""

    _version: ClassVar[int] = 1

    def get_extra_state(self) -> Any:
        """Return more to save, as plain values; override with `set_extra_state`."""
        raise NotImplementedError(
            f"{type(self).__name__} defines set_extra_state() but not this."
        )

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` has returned."""
        raise NotImplementedError(
            f"{type(self).__name__} defines get_extra_state() but not this."
        )

    def _has_extra_state(self) -> bool:
        return type(self).get_extra_state is not Stateful.get_extra_state

    def state_dict(
        self,
        *,
        destination: OrderedDict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> OrderedDict[str, Any]:
        """Return what this module and all below it were configured with.

        Parameters and Variables keep their role and ``requires_grad``, without
        gradients. A model client is described by class, provider and usage, never its
        key. Of ``extra_headers``, ``extra_query`` and ``extra_body``, which may hold
        credentials, only names and digests are kept. Empty slots are left out.

        Args:
            destination: Where to put it, instead of a new OrderedDict.
            prefix: What every key starts with.
            keep_vars: Return the module's own objects instead of copies.

        Raises:
            InputTypeError: ``destination`` is not an OrderedDict.
        """
        state = OrderedDict() if destination is None else destination
        if not isinstance(state, OrderedDict):
            raise InputTypeError(
                f"destination must be an OrderedDict, got {describe(state)}."
            )
        for hook in tuple(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        metadata = vars(state).setdefault("_metadata", OrderedDict())
        metadata[prefix[:-1]] = {"version": self._version}
        live: OrderedDict[str, Any] = OrderedDict()
        vars(live)["_metadata"] = metadata
        self._own_state(live, prefix)
        for name, child in self._modules.items():
            if child is not None:
                path = f"{prefix}{name}."
                child.state_dict(destination=live, prefix=path, keep_vars=True)
        memo: dict[int, Any] = {}
        for key, value in live.items():
            keep = keep_vars or key.endswith(EXTRA)
            state[key] = value if keep else _copied(value, memo)
        for hook in tuple(self._state_dict_hooks.values()):
            hook(self, state, prefix, metadata[prefix[:-1]])
        return state

    def _own_state(self, state: MutableMapping[str, Any], prefix: str) -> None:
        for store in _STORES:
            for name, value in self.__dict__[store].items():
                if value is not None and name not in self._non_persistent_buffers_set:
                    state[f"{prefix}{name}"] = value
        if self._has_extra_state():
            state[f"{prefix}{EXTRA}"] = self.get_extra_state()

    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        strict: bool = True,
        assign: bool = False,
        model_clients: Mapping[str, BaseModel] | None = None,
    ) -> IncompatibleKeys:
        """Take over a state; everything is checked before anything changes.

        Data, role and ``requires_grad`` are copied into the module's own objects, so
        ties, chats and optimizers that hold them go on working. A plain Variable (a
        detached copy, as older files have them) does not freeze a Parameter.

        Args:
            state_dict: What `state_dict` returned. Its objects are not kept.
            strict: Whether missing and unexpected keys are errors.
            assign: Put the state's own objects in place of the module's; make the
                optimizer afterwards.
            model_clients: A client for every key whose slot has none. It must be of the
                class that was saved, and the usage saved with it is added to its own.
                Other keys are ignored.

        Returns:
            The missing and the unexpected keys.

        Raises:
            InputTypeError: ``state_dict`` or ``model_clients`` is not a mapping.
            StateDictError: Something does not fit; the message lists everything.
        """
        for name, value in (
            ("state_dict", state_dict),
            ("model_clients", {} if model_clients is None else model_clients),
        ):
            if not isinstance(value, Mapping):
                raise InputTypeError(f"{name} must be a dict, got {describe(value)}.")
        state, reports = self._prepared(state_dict, strict)
        plan = Plan(cast("Module", self), state, model_clients or {}, assign)
        report(plan, reports)
        plan.check(strict=strict)
        plan.commit()
        keys = IncompatibleKeys(plan.missing, plan.unexpected)
        self._loaded(keys)
        return keys


def _leaf_copy(memo: dict[int, Any], variable: Variable) -> Variable:
    """Return a leaf with the same data, role and flag, without gradients."""
    if isinstance(variable, Parameter):
        param = copy.deepcopy(variable, memo)
        param._take_versions(variable)
        return param
    if id(variable) not in memo:
        twin = variable.detach()
        twin.requires_grad = variable.requires_grad
        memo[id(variable)] = twin
    return cast("Variable", memo[id(variable)])


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """Copy one entry; ``memo`` keeps what is one object one object."""
    if isinstance(value, Variable):
        return _leaf_copy(memo, value)
    if isinstance(value, list):
        return [
            {
                **message,
                "content": map_variables(message["content"], partial(_leaf_copy, memo)),
            }
            for message in value
        ]
    if isinstance(value, dict):
        return copy.deepcopy(concealed(value), memo)
    if isinstance(value, BaseModel):
        return copy.deepcopy(value, memo)
    return value
