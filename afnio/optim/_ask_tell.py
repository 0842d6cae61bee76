"""The methods `ask` and `tell` of every search."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from afnio._dispatch import on_loop, run_sync
from afnio._variable import Variable
from afnio.errors import StateError
from afnio.optim._asked import (
    Pending,
    asked_of,
    candidates_in,
    complete,
    noted,
    round_of,
)
from afnio.optim._checks import require_part
from afnio.optim._ledger import Ledger
from afnio.optim._trials import Installed
from afnio.optim.optimizer import Optimizer
from afnio.optim.pools import Candidate

if TYPE_CHECKING:
    from afnio.optim._engine import Search
    from afnio.optim._round import Round


class AskTell(Optimizer):
    """An optimizer whose candidates somebody else may evaluate."""

    _ledger: Ledger
    _pending: Pending | None = None
    _candidates: list[Candidate]

    @property
    def candidates(self) -> list[Candidate]:
        """Every accepted candidate, oldest first.

        What a frozen parameter holds stands in all of them; the scores of those that
        held something else are of another program, and left out.
        """
        params = self._params()
        return [_pinned(one, params) for one in self._candidates]

    @candidates.setter
    def candidates(self, found: list[Candidate]) -> None:
        self._candidates = found

    def ask(self) -> list[Candidate]:
        """Propose candidates, for somebody else to evaluate; the other half of `step`.

        Feedback is what ``backward`` left in ``grad``. Tell the scores of all of them,
        in any order; after the last one the step is decided as `step` would. What the
        parameters hold now is among them, first, unless its scores were told before.
        Asking again, also after a checkpoint is loaded, gives those that are left; if
        the parameters have changed in between, it proposes anew.

        Returns:
            Candidates with a ``number`` and ``values`` (the data of each parameter);
            none if no proposal was usable.

        Model calls: those of the optimizer in a step; no evaluation.

        Examples:
            >>> from afnio import Variable
            >>> from afnio.models.testing import ScriptedModel, edits
            >>> from afnio.optim import PatchTGD
            >>> prompt = Variable("Greet them.", "prompt", requires_grad=True)
            >>> prompt.append_grad(Variable("It does not use names."))
            >>> model = ScriptedModel(edits("Use their name."))
            >>> opt = PatchTGD([prompt], model, proposals=1)
            >>> for candidate in opt.ask():
            ...     with opt.trying(candidate):
            ...         scores = [float("name" in prompt.data)] * 8
            ...     opt.tell(candidate, scores)
            >>> prompt.data.splitlines()[-1]
            'Use their name.'
        """
        return run_sync(self.aask())

    async def aask(self) -> list[Candidate]:
        """Await what `ask` does."""
        return await on_loop(self._asked())

    async def _asked(self) -> list[Candidate]:
        values = [param.data for param in self._params()]
        pending = self._pending
        if pending is None or pending["parent"]["values"] != values:
            with self._ledger.counting():
                pending = await asked_of(round_of(cast("Search", self)))
        found = candidates_in(pending)
        if found:
            self._pending = pending
        else:
            await self._decide(pending)
        return found

    def tell(self, candidate: Candidate, scores: Any) -> None:
        """Say how a candidate scored; the last one decides the step.

        Args:
            candidate: One that `ask` returned.
            scores: One score for each sample, the same samples in the same order for
                all; or whatever else a closure may return.

        Raises:
            InputValueError: It was not asked about, or has another number of scores.
            StateError: The parameters have changed since `ask`.
        """
        run_sync(self.atell(candidate, scores))

    async def atell(self, candidate: Candidate, scores: Any) -> None:
        """Await what `tell` does."""
        await on_loop(self._tell(candidate, scores))

    async def _tell(self, candidate: Candidate, scores: Any) -> None:
        if self._pending is None:
            raise StateError("nothing was asked; call ask() before tell().")
        pending = await noted(self._pending, candidate, scores)
        if candidates_in(pending):
            self._pending = pending
        else:
            await self._decide(pending)

    async def _decide(self, pending: Pending) -> None:
        work = round_of(cast("Search", self))
        await complete(work, pending)
        records = work.records()
        self._commit(work)
        self._pending = None
        await self._record(records)

    def trying(self, candidate: Candidate) -> AbstractContextManager[None]:
        """Give the parameters a candidate's data inside a ``with`` block.

        Raises:
            InputTypeError: It is no candidate.
        """
        require_part(
            "candidate",
            candidate,
            Candidate,
            "number and values: one that ask() returned",
        )
        return Installed(dict(zip(self._params(), candidate.values, strict=True)))

    def _commit(self, work: Round) -> None:
        raise NotImplementedError


def _pinned(candidate: Candidate, params: Sequence[Variable]) -> Candidate:
    """Return a candidate with what the frozen parameters hold."""
    values = tuple(
        value if param.requires_grad else param.data
        for param, value in zip(params, candidate.values, strict=False)
    )  # a group may have been added since
    if values == candidate.values:
        return candidate
    return replace(candidate, values=values, scores={})
