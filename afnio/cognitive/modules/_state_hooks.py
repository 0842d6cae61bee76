"""Hooks of a module around the saving and loading of its state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from afnio.autodiff.graph import RemovableHandle
from afnio.cognitive.modules._traverse import Traversal

if TYPE_CHECKING:
    from afnio.cognitive.modules._load import Plan
    from afnio.cognitive.modules._state import IncompatibleKeys


class StateHooked(Traversal):
    """The part of a `Module` that keeps hooks on its state."""

    _state_dict_pre_hooks: OrderedDict[int, Any]
    _state_dict_hooks: OrderedDict[int, Any]
    _load_state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_post_hooks: OrderedDict[int, Any]

    def __init__(self) -> None:
        super().__init__()
        self._state_dict_pre_hooks = OrderedDict()
        self._state_dict_hooks = OrderedDict()
        self._load_state_dict_pre_hooks = OrderedDict()
        self._load_state_dict_post_hooks = OrderedDict()

    def register_state_dict_pre_hook(
        self, hook: Callable[..., object]
    ) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before the state is collected.

        Returns a handle that removes the hook.
        """
        return RemovableHandle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(
        self, hook: Callable[..., object]
    ) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` afterwards.

        The hook may change ``state_dict`` in place; the module's own keys begin with
        ``prefix``. Returns a handle that removes the hook.
        """
        return RemovableHandle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., object]
    ) -> RemovableHandle:
        """Let a hook change a state before it is compared with the module.

        It is called as ``hook(module, state_dict, prefix, local_metadata, strict,
        missing_keys, unexpected_keys, error_msgs)``. ``state_dict`` is a copy that it
        may change in place, for example to rename keys of older files; what it adds to
        the three lists is reported with the rest. Returns a handle that removes it.

        Examples:
            >>> import afnio.cognitive as cog
            >>> class Program(cog.Module):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.task = cog.Parameter("Answer.", role="task")
            >>> def rename(module, state, prefix, *_):
            ...     if f"{prefix}prompt" in state:
            ...         state[f"{prefix}task"] = state.pop(f"{prefix}prompt")
            >>> program = Program()
            >>> handle = program.register_load_state_dict_pre_hook(rename)
            >>> program.load_state_dict({"prompt": cog.Parameter("Old.", role="task")})
            <All keys matched successfully>
            >>> program.task.data
            'Old.'
        """
        return RemovableHandle(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., object]
    ) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` once a state has been loaded.

        It may change the two lists in place; `load_state_dict` returns them. Unlike in
        PyTorch it is called after the check, since nothing is written before. Returns a
        handle that removes it.
        """
        return RemovableHandle(self._load_state_dict_post_hooks, hook)

    def _prepared(
        self, state: Mapping[str, Any], strict: bool
    ) -> tuple[Mapping[str, Any], tuple[list[str], list[str], list[str]]]:
        """Return the state after the pre-hooks, and what these have reported."""
        reports: tuple[list[str], list[str], list[str]] = ([], [], [])
        if not any(module._load_state_dict_pre_hooks for module in self.modules()):
            return state, reports
        metadata = getattr(state, "_metadata", {})
        state = OrderedDict(state)
        for name, module in self.named_modules():
            prefix = f"{name}." if name else ""
            for hook in tuple(module._load_state_dict_pre_hooks.values()):
                local = metadata.get(name, {})
                hook(module, state, prefix, local, strict, *reports)
        return state, reports

    def _loaded(self, keys: IncompatibleKeys) -> None:
        """Run the hooks that want to know."""
        for module in self.modules():
            for hook in tuple(module._load_state_dict_post_hooks.values()):
                hook(module, keys)


def report(plan: Plan, reports: tuple[list[str], list[str], list[str]]) -> None:
    """Add what pre-hooks have reported to what the plan has found."""
    found = (plan.missing, plan.unexpected, plan.problems)
    for keys, more in zip(found, reports, strict=True):
        keys.extend(more)
