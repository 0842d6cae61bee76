"""Where rows of demonstrations come from: evidence, given or fetched."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from afnio._variable import Variable
from afnio.autodiff.evidence import Evidence
from afnio.optim._demos import Row, harvest
from afnio.optim._findings import findings_on, train_size
from afnio.optim._parts import Minibatch
from afnio.optim._scores import asettle


@dataclass(slots=True)
class Harvest:
    """The rows of one step, on copies of the optimizer's state."""

    rng: random.Random
    left: list[int]
    """What is left of the epoch."""
    rows: dict[Variable, list[Row]] = field(default_factory=dict)
    """Known for each parameter."""
    grads: dict[Variable, tuple[Variable, ...]] = field(default_factory=dict)
    """The evidence of this step."""

    async def fetch(self, closure: Any, params: Iterable[Variable], size: int) -> None:
        """Take what is in ``grad``, and run training samples if there are any.

        Model calls: ``size`` samples, for a closure that can train.
        """
        params = list(params)
        await asettle([[param, param.grad] for param in params])
        self.grads = {param: tuple(param.grad) for param in params}
        if not callable(getattr(closure, "train", None)) or not train_size(closure):
            return
        numbers = Minibatch(size).draw(train_size(closure), self.left, self.rng)
        values = {param: param.data for param in params}
        found = await findings_on(closure, values, numbers, "passthrough")
        for param, grads in zip(params, found.grads, strict=True):
            self.grads[param] += grads

    def new(self, param: Any, *, labels: bool) -> list[Row]:
        """Return the rows that this step's evidence gives."""
        return harvest(self.grads[param], tuple(param.fields), labels=labels)

    def evidence(self, param: Variable) -> list[Evidence]:
        """Return the evidence of this step."""
        return [record for grad in self.grads[param] for record in grad.evidence]
