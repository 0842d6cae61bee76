"""Schedules of the edit budget: how many edits a step may make.

What a learning rate is to numbers, the number of edits per step (``edit_lr``) is to
text. A scheduler changes ``edit_lr`` of an optimizer's parameter groups:

    scheduler = CosineEdits(optimizer, steps=20)
    for batch in loader:
        ...
        optimizer.step(closure)
        scheduler.step()
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from afnio.errors import InputTypeError, InputValueError
from afnio.optim._checks import require_int, require_number, require_word
from afnio.optim.optimizer import Optimizer

__all__ = [
    "ConstantEdits",
    "CosineEdits",
    "EditScheduler",
    "ReduceEditsOnPlateau",
    "StepEdits",
]


class EditScheduler:
    """Base class: sets ``edit_lr`` of every group as a function of the step.

    A subclass overrides `edits`.

    Args:
        optimizer: Its groups must have ``edit_lr``, as those of `PatchTGD` have.

    Raises:
        InputTypeError: It is no optimizer, or its steps are not counted in edits.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise InputTypeError(
                f"optimizer must be an Optimizer, got {type(optimizer).__name__}."
            )
        if any("edit_lr" not in group for group in optimizer.param_groups):
            raise InputTypeError(
                f"{type(optimizer).__name__} makes no edits, so there is nothing to "
                "schedule; use PatchTGD, whose groups have edit_lr."
            )
        self.optimizer = optimizer
        self.base_lrs = [int(group["edit_lr"]) for group in optimizer.param_groups]
        self.last_step = 0
        self._apply()

    def edits(self, base: int, step: int) -> float:
        """Return the edit budget after ``step`` steps, given the one at the start."""
        del step
        return base

    def step(self) -> None:
        """Go on by one step; call it after ``optimizer.step``."""
        self.last_step += 1
        self._apply()

    def get_last_lr(self) -> list[int]:
        """Return the present edit budget of each group."""
        return [group["edit_lr"] for group in self.optimizer.param_groups]

    def _apply(self) -> None:
        groups = zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        for group, base in groups:
            group["edit_lr"] = max(1, round(self.edits(base, self.last_step)))

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue, as plain data."""
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
            if name != "optimizer"
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            InputValueError: It is the state of another kind of scheduler.
        """
        own = set(vars(self)) - {"optimizer"}
        if set(state_dict) != own:
            raise InputValueError(
                f"this is not the state of a {type(self).__name__}: it has "
                f"{', '.join(sorted(state_dict))}; expected {', '.join(sorted(own))}."
            )
        vars(self).update(state_dict)
        self._apply()


class ConstantEdits(EditScheduler):
    """Leave the edit budget as it is."""


class CosineEdits(EditScheduler):
    """Lower the edit budget along half a cosine.

    Args:
        optimizer: See `EditScheduler`.
        steps: After how many steps the minimum is reached.
        minimum: Edits then.

    Examples:
        >>> from afnio import Variable
        >>> from afnio.models.testing import ScriptedModel
        >>> from afnio.optim import PatchTGD
        >>> prompt = Variable("Be kind.", "prompt", requires_grad=True)
        >>> opt = PatchTGD([prompt], ScriptedModel(), edit_lr=4)
        >>> scheduler = CosineEdits(opt, steps=4, minimum=2)
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [2]
    """

    def __init__(self, optimizer: Optimizer, steps: int, minimum: int = 1) -> None:
        self.steps = require_int("steps", steps, 1)
        self.minimum = require_int("minimum", minimum, 1)
        super().__init__(optimizer)

    def edits(self, base: int, step: int) -> float:
        """Return the value on the cosine."""
        if base <= self.minimum:
            return base
        share = (1 + math.cos(math.pi * min(step, self.steps) / self.steps)) / 2
        return self.minimum + (base - self.minimum) * share


class StepEdits(EditScheduler):
    """Multiply the edit budget by ``gamma`` every ``step_size`` steps.

    Args:
        optimizer: See `EditScheduler`.
        step_size: Steps between two changes.
        gamma: The factor.
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.5
    ) -> None:
        self.step_size = require_int("step_size", step_size, 1)
        self.gamma = require_number("gamma", gamma, 0.0)
        super().__init__(optimizer)

    def edits(self, base: int, step: int) -> float:
        """Return the budget after so many changes."""
        return float(base * self.gamma ** (step // self.step_size))


class ReduceEditsOnPlateau(EditScheduler):
    """Lower the edit budget when a metric no longer improves.

    Args:
        optimizer: See `EditScheduler`.
        mode: ``"max"`` if higher is better, as for scores; or ``"min"``.
        factor: What the budget is multiplied with.
        patience: Steps without improvement that are put up with.
        minimum: Edits below which it does not go.
        threshold: By how much a metric must be better to count as improved.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["max", "min"] = "max",
        factor: float = 0.5,
        patience: int = 3,
        minimum: int = 1,
        threshold: float = 1e-4,
    ) -> None:
        self.mode = require_word("mode", mode, ("max", "min"))
        self.factor = require_number("factor", factor, 0.0, 1.0)
        self.patience = require_int("patience", patience, 0)
        self.minimum = require_int("minimum", minimum, 1)
        self.threshold = require_number("threshold", threshold, 0.0)
        self.best: float | None = None
        self.bad_steps = 0
        self.reductions = 0
        super().__init__(optimizer)

    def step(self, metric: float | None = None) -> None:
        """Go on by one step, which ended with this metric.

        Raises:
            InputTypeError: There is no metric.
        """
        value = require_number("metric", metric, -math.inf)
        sign = 1.0 if self.mode == "max" else -1.0
        if self.best is None or sign * (value - self.best) > self.threshold:
            self.best, self.bad_steps = value, 0
        else:
            self.bad_steps += 1
        if self.bad_steps > self.patience:
            self.reductions, self.bad_steps = self.reductions + 1, 0
        super().step()

    def edits(self, base: int, step: int) -> float:
        """Return the budget after the reductions so far."""
        del step
        return max(min(base, self.minimum), base * self.factor**self.reductions)
