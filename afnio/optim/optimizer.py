"""Optimizer: parameter groups, state, hooks, and the record of every decision."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias

from afnio._dispatch import call_user, on_loop, run_sync
from afnio._hints import hinted
from afnio._variable import Variable
from afnio._warn import warn
from afnio.autodiff.graph import RemovableHandle
from afnio.models._plan import active_plan
from afnio.optim._groups import ParamsT, as_groups, check_distinct, complete
from afnio.optim._restore import restored, take_search
from afnio.optim._state import to_plain, without_secrets
from afnio.optim.records import StepRecord

__all__ = ["Closure", "Optimizer", "ParamsT", "StateDict"]

Closure = Callable[..., Any]
"""Evaluates the program as it is now and returns its score; see `Optimizer.step`."""

StateDict: TypeAlias = dict[str, Any]
"""What `Optimizer.state_dict` returns."""

_ALL_FROZEN: Final = (
    "no parameter of the optimizer requires grad, so a step changes nothing; call "
    "requires_grad_() on those that are to be optimized."
)

_stepping: ContextVar[tuple[Optimizer, ...]] = ContextVar("afnio_stepping", default=())
"""Optimizers whose overridden ``step`` is running, so ``super().step()`` goes on."""


def _entered(step: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a subclass's ``step``, so that ``astep`` need not call it again."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        token = _stepping.set((*_stepping.get(), self))
        try:
            return step(self, *args, **kwargs)
        finally:
            _stepping.reset(token)

    return wrapper


class Optimizer:
    """Base class: changes ``data`` of its parameters by what their ``grad`` says.

    A subclass overrides ``_astep`` (``async``), or simply ``step``. It proposes
    everything first and commits last, so that a failed step changes nothing.

    A parameter that is frozen (``requires_grad`` is False) is skipped for as long as it
    is, whatever its ``grad`` holds. If all are, a step changes nothing, with a warning.

    Args:
        params: Leaf Variables, or dicts with ``params`` and options that override the
            defaults.
        defaults: Options of every group. Groups may be changed between steps.

    Attributes:
        param_groups: The groups, with their options.
        state: What the optimizer keeps per parameter.
        history: A `StepRecord` of every candidate, oldest first.
        on_record: Functions called with each new `StepRecord`, after the step.

    Raises:
        InputTypeError: Not Variables, or not in a fixed order.
        InputValueError: None at all, one twice, or not a leaf.
    """

    credit_mode: ClassVar[str] = "critic"
    """How backward should work for it: "passthrough" says that it reads the evidence
    and no critique, so that a `Trainer` may spare the calls that critiques cost."""

    _overrides_step: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls._overrides_step = True
            cls.step = _entered(cls.step)  # type: ignore[method-assign]
        if "__init__" in cls.__dict__:
            hinted(parameters="params", engine="model_client")(cls)

    def __init__(self, params: ParamsT, defaults: Mapping[str, Any]) -> None:
        self.defaults: dict[str, Any] = dict(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self.state: defaultdict[Variable, dict[str, Any]] = defaultdict(dict)
        self.history: list[StepRecord] = []
        self.on_record: list[Callable[[StepRecord], Any]] = []
        self._steps = 0
        self._pre_hooks: dict[int, Callable[..., Any]] = {}
        self._post_hooks: dict[int, Callable[..., Any]] = {}
        for group in as_groups(params):
            self.add_param_group(group)

    @property
    def requires_closure(self) -> bool:
        """Whether ``step`` needs a closure."""
        return False

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters, with options of their own if wanted.

        Raises:
            InputTypeError: A parameter is not a Variable, or cannot be optimized here.
            InputValueError: An option is unknown; a parameter is not a leaf, or is here
                already.
        """
        group = complete(param_group, self.defaults)
        check_distinct([*self.param_groups, group])
        self._check_group(group)
        self.param_groups.append(group)

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise if a complete group does not suit this optimizer."""

    def clear_grad(self) -> None:
        """Empty the ``grad`` list of every parameter, in place."""
        for param in self._params():
            param.grad.clear()

    zero_grad = clear_grad

    def step(self, closure: Closure | None = None) -> Any:
        """Change the parameters once.

        Args:
            closure: Called without arguments; evaluates the program with the
                parameters' current data and returns a score (a Variable or a number), a
                ``(score, explanation)`` pair, a dict with one as ``"loss"``, or a list
                of these.

        Returns:
            The closure's result, or None without one.
        """
        return run_sync(self.astep(closure))

    async def astep(self, closure: Closure | None = None) -> Any:
        """Await what `step` does."""
        if self._overrides_step and self not in _stepping.get():
            return await on_loop(call_user(self.step, closure))
        return await on_loop(self._hooked(closure))

    async def _hooked(self, closure: Closure | None) -> Any:
        if not any(param.requires_grad for param in self._params()):
            warn(_ALL_FROZEN)
        args: tuple[Any, ...] = (closure,)
        kwargs: dict[str, Any] = {}
        for hook in list(self._pre_hooks.values()):
            changed = await call_user(hook, self, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        self._undo_after_plan()
        result = await self._astep(*args, **kwargs)
        for hook in list(self._post_hooks.values()):
            await call_user(hook, self, args, kwargs)
        return result

    async def _astep(self, closure: Closure | None = None) -> Any:
        """Do the work of one step, on afnio's loop. Subclasses override this."""
        del closure

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before every `Optimizer.step`.

        What it returns, unless None, takes the place of ``(args, kwargs)``.
        """
        return RemovableHandle(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after every step that succeeded."""
        return RemovableHandle(self._post_hooks, hook)

    # -- state --------------------------------------------------------------------

    def state_dict(self) -> StateDict:
        """Return everything needed to continue, as plain data.

        Parameters are numbered over all groups; model clients are described, without
        keys. Of ``extra_headers``, ``extra_query`` and ``extra_body`` of calls, which
        may hold credentials, only names and digests are kept.
        """
        numbers = {param: number for number, param in enumerate(self._params())}
        return {
            "state": {
                numbers[param]: to_plain(state)
                for param, state in self.state.items()
                if state and param in numbers
            },
            "param_groups": [
                {
                    **{
                        k: to_plain(v)
                        for k, v in without_secrets(group)
                        if k != "params"
                    },
                    "params": [numbers[param] for param in group["params"]],
                }
                for group in self.param_groups
            ],
            "steps": self._steps,
            "history": [record.to_dict() for record in self.history],
            "search": self._search_state(),
        }

    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        model_clients: Mapping[str, Any] | None = None,
    ) -> None:
        """Continue from what `state_dict` returned; the parameters stay these.

        Args:
            state_dict: Its groups must match these in number and sizes.
            model_clients: The client for each option that held one, by option name
                (or ``"<group>.<option>"``). Surplus ones are ignored.

        Raises:
            InputValueError: Groups do not match, a client is missing, or a value is of
                the wrong kind; nothing has changed.
        """
        found = restored(self, state_dict, model_clients or {})
        take_search(self, found.search)
        for group, options in zip(self.param_groups, found.groups, strict=True):
            group.update(options)
        self.state, self.history = found.state, found.history
        self._steps = found.steps

    def _search_state(self) -> dict[str, Any]:
        """Return what a subclass keeps besides ``state``, as plain data."""
        return {}

    def _load_search_state(self, saved: Mapping[str, Any]) -> None:
        """Take back what `_search_state` returned."""

    # -- helpers ------------------------------------------------------------------

    def _params(self) -> list[Variable]:
        return [param for group in self.param_groups for param in group["params"]]

    def _assign(self, param: Variable, data: Any, reason: str) -> None:
        """Give a parameter a new value, and say how it came about."""
        if not param.requires_grad or param.data == data:
            return
        if (planned := active_plan()) is not None:
            planned.undo_after(param, partial(setattr, param, "data", param.data))
            param.data = data
            return
        param.data = data
        if annotate := getattr(param, "annotate", None):
            annotate(f"{type(self).__name__}: {reason}", self._steps)

    def _undo_after_plan(self) -> None:
        """Be, after a plan, what it was before: stand-ins have taught nothing."""
        if (planned := active_plan()) is None:
            return
        state = {param: dict(held) for param, held in self.state.items()}
        kept = (defaultdict(dict, state), list(self.history), self._steps)
        search = copy.deepcopy(self._search_state())

        def undo() -> None:
            self.state, self.history, self._steps = kept
            if search:
                self._load_search_state(search)

        planned.undo_after(self, undo)

    async def _record(self, records: Iterable[StepRecord]) -> None:
        """Add records to the history and tell whoever listens."""
        for record in records:
            self.history.append(record)
            for listener in list(self.on_record):
                await call_user(listener, record)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join([*lines, ")"])
