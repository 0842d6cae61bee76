"""Search: the engine of every gated optimizer; presets only choose its parts.

One ``step(closure)`` is one round of ask and tell:

    parents   = pool.parents(accepted so far)          which candidates to go on from
    evidence  = closure.train(sample), or param.grad   what went wrong, for each parent
    proposals = proposer.propose(asks)                 all at once
    survivors = check.decide(training scores)          if the closure can train
    rulings   = gate.decide(validation scores)         block by block, all at once
    install     pool.best(accepted so far)

With ``unite``, all changes of a step are checked and judged as one candidate first. In
`ask` and `tell` the same round is divided where scores are needed. `finish` is the
return rule: the start, unless something is better on fresh draws.

Nothing changes until the end; a step that fails leaves everything as it was. Everything
that later steps depend on is in ``state_dict`` as JSON: the random generator, the
candidates with their scores, what is left of the epoch, the decisions, the calls made.

**How to write a preset.** Subclass `Search`; hand it `Parts` and the defaults of the
parameter groups. That is all for most methods:

    class Drift(Search):
        def __init__(self, params, model_client=None, **completion_args):
            parts = Parts(proposer=Rewrite(), gate=Anneal(), pool=Current())
            super().__init__(params, parts, model_client, **completion_args)

- A new way to ask a model is a `Proposer`: one `Ask` per parameter in, one `Outcome`
  each out. It may make one call for all of them. Go through `converse` of `_rewrite`,
  and replies are checked, retried with the reason, and refused like everyone's.
- A new way to choose is a `Pool` or a `Gate`: pure functions of candidates and scores.
- What a proposer should know from earlier steps is a `Memory`: a pure function of
  ``history``.
- What does not fit these is a subclass of `Round`, named by `Search.round_type`, with
  another ``_evidence``, ``_jobs``, ``_draft``, ``_propose`` or ``_judge``.

**Closures.** Any plain function will do; then parents are evaluated again in every step
and evidence is what ``backward`` left in ``grad``. These attributes of a closure save
calls and allow more: ``blocks`` (stop early), ``parameters`` (keep scores between
steps), ``train`` and ``train_size`` (evidence for any parent is fetched there, and
``grad`` is not looked at). `SampleClosure` has them all, the closure of a `Trainer` the
first two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from afnio._dispatch import on_loop, run_sync
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, StateError
from afnio.optim._ask_tell import AskTell
from afnio.optim._checks import (
    check_completion_args,
    require_int,
    require_number,
    require_part,
)
from afnio.optim._demos import rng_from, rng_state
from afnio.optim._finish import Runner, Verdict, decided, finalists
from afnio.optim._ledger import Ledger
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Parts
from afnio.optim._racing import Entrant
from afnio.optim._round import Round
from afnio.optim._scorebook import Scorebook
from afnio.optim._tasks import check_settings, default_messages, listed
from afnio.optim._trials import Trials
from afnio.optim.optimizer import Closure, ParamsT
from afnio.optim.pools import Candidate
from afnio.optim.records import StepRecord

__all__ = ["Parts", "Search"]

EvidenceFilter: TypeAlias = Callable[
    [Sequence[Sequence[Variable]]], Sequence[Sequence[Variable]]
]
"""From gradients of each parameter to others."""


class Search(AskTell):
    """Base class of gated optimizers; see the module's description.

    Args:
        params: Parameters that hold text, or groups of them. A group may have its own
            ``model_client``, ``constraints`` and ``completion_args``.
        parts: What the search is made of.
        model_client: Who proposes; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        options: Limits of a proposal.
        seed: Of the optimizer's own random generator.
        defaults: Further options of a group.
        **completion_args: Passed to the model with every call.

    Attributes:
        candidates: Every accepted candidate, oldest first.
        calls: Model calls of all steps, by role.
        evidence_filter: Called with the feedback on each parameter before it is used;
            returns what is used instead. For controls.
    """

    round_type: ClassVar[type[Round]] = Round
    """Does the work of one step."""

    def __init__(
        self,
        params: ParamsT,
        parts: Parts,
        model_client: Any = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        options: RewriteOptions | None = None,
        seed: int = 0,
        defaults: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> None:
        require_part("parts", parts, Parts, "the type optim.Parts")
        check_completion_args(type(self), completion_args)
        self.parts = parts
        self.options = RewriteOptions() if options is None else options
        require_part("options", self.options, RewriteOptions, "type RewriteOptions")
        self.candidates: list[Candidate] = []
        self._rng = random.Random(require_int("seed", seed, 0))
        self._left: list[int] = []
        self._proposed = 0
        self._merged = 0
        self._finished_at: int | None = None
        self._book = Scorebook()
        self._ledger = Ledger()
        self.evidence_filter: EvidenceFilter | None = None
        super().__init__(
            params,
            {
                "model_client": model_client,
                "constraints": [] if constraints is None else constraints,
                "completion_args": completion_args,
                **(defaults or {}),
            },
        )

    @property
    def requires_closure(self) -> bool:
        """Whether ``step`` needs a closure: always."""
        return True

    @property
    def calls(self) -> dict[str, int]:
        """Model calls that the steps have made, by role; cached replies excluded."""
        return dict(self._ledger.calls)

    @property
    def stop_reason(self) -> str:
        """Why ``step`` does nothing any more; empty as long as it does something."""
        stop = self.parts.stop_when
        total = sum(self._ledger.calls.values())
        if stop.calls is not None and total >= stop.calls:
            return f"{total} model calls of {stop.calls} are made"
        best = self.parts.pool.best(self.candidates) if self.candidates else None
        mean = None if best is None else best.mean
        if stop.target is not None and mean is not None and mean >= stop.target:
            return f"the mean score {mean:.3f} reaches {stop.target}"
        last = self.candidates[-1].step if self.candidates else 0
        if stop.patience is not None and self._steps - last >= stop.patience:
            return f"{self._steps - last} steps in a row accepted nothing"
        return ""

    @property
    def is_finished(self) -> bool:
        """Whether `finish` has decided since the last step."""
        return self._finished_at == self._steps

    def settings_group(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return a group with everything that asking a model takes."""
        return {
            "messages": default_messages(),
            "inputs": {},
            "momentum": 0,
            **group,
        }

    def _check_group(self, group: dict[str, Any]) -> None:
        if not isinstance(group["constraints"], (str, Variable)):
            group["constraints"] = listed(group["constraints"])
        check_settings(self.settings_group(group))
        for param in group["params"]:
            self._check_param(param)

    def _check_param(self, param: Variable) -> None:
        """Raise if a parameter holds what this search cannot propose."""
        if hasattr(param, "fields"):
            raise InputTypeError(
                f"{type(self).__name__} rewrites text; the parameter with role "
                f"{shorten(param.role)!r} holds demonstrations. Give it to FewShot."
            )

    async def _astep(self, closure: Closure | None = None) -> Any:
        trials = Trials(closure, type(self).__name__)
        if self._pending is not None:
            raise StateError(
                "ask() has candidates that wait for tell(); finish that step."
            )
        if self.stop_reason:
            return None
        with self._ledger.counting():
            work = self.round_type(self, closure, trials)
            await work.run()
        records = work.records()
        self._commit(work)
        await self._record(records)
        work.warn()
        return work.result()

    def _commit(self, work: Round) -> None:
        """Take over what a round has found; it cannot fail."""
        self._steps += 1
        self.candidates = work.candidates
        self._rng, self._left = work.rng, work.left
        self._proposed, self._merged = work.proposed, work.merged
        self._book.remember(work.closure)
        self._install(work.installed, work.note())

    def _install(self, candidate: Candidate, reason: str) -> None:
        for param, value in zip(self._params(), candidate.values, strict=True):
            self._assign(param, value, reason)

    # -- the return rule -----------------------------------------------------------

    def finish(self, closure: Closure, top: int = 3, alpha: float = 0.1) -> Any:
        """Install the best candidate if it beats the start on fresh draws.

        Call it at the end; a `Trainer` does so by itself. A candidate that was chosen
        because of its scores has been lucky with them. So the ``top`` ones, what the
        parameters hold, and what the search started from are evaluated once more. The
        best of them, of equals the shortest, is installed if it is better than the
        start with confidence (one-sided sign test over samples, mid-p, times the number
        of candidates); if that is not clear, these two are evaluated up to twice more.
        What stays unclear is decided for the start: no gain is claimed that is not
        there.

        Args:
            closure: As for ``step``.
            top: How many of the best candidates take part.
            alpha: Chance of installing a candidate that is not better than the start.

        Returns:
            The closure's result for what is installed; None if there is no choice.

        Model calls: one evaluation by the closure for each that takes part, and up to
        four more.
        """
        return run_sync(self.afinish(closure, top, alpha))

    async def afinish(self, closure: Closure, top: int = 3, alpha: float = 0.1) -> Any:
        """Await what `finish` does."""
        require_int("top", top, 1)
        require_number("alpha", alpha, 0.0, 1.0)
        return await on_loop(self._finished(closure, top, alpha))

    async def _finished(self, closure: Closure, top: int, alpha: float) -> Any:
        trials = Trials(closure, type(self).__name__)
        work = self.round_type(self, closure, trials)
        params = self._params()
        runners = [
            Runner(one, Entrant(dict(zip(params, one.values, strict=True)), one.number))
            for one in finalists(work.candidates, work.installed, top)
        ]
        if len(runners) == 1:
            return None
        with self._ledger.counting():
            final = await decided(trials, runners, alpha)
        await self._conclude(work, final)
        return final.chosen.entrant.result

    async def _conclude(self, work: Round, final: Verdict) -> None:
        """Install what was decided for, and record it."""
        chosen = final.chosen.candidate
        record = StepRecord(
            step=self._steps,
            optimizer=type(self).__name__,
            candidate=chosen.number,
            changes=(),
            accepted=True,
            reason=final.decision.reason,
            decision=final.decision,
            parent_scores=final.start,
            candidate_scores=final.best,
        )
        others = [one for one in work.candidates if one is not chosen]
        self.candidates = [*others, chosen]
        self._finished_at = self._steps
        self._install(chosen, record.reason)
        await self._record([record])

    # -- state ---------------------------------------------------------------------

    def _search_state(self) -> dict[str, Any]:
        return {
            "rng": rng_state(self._rng),
            "left": list(self._left),
            "candidates": [one.to_dict() for one in self.candidates],
            "proposed": self._proposed,
            "merged": self._merged,
            "book": self._book.state_dict(),
            "calls": dict(self._ledger.calls),
            "finished_at": self._finished_at,
            "pending": self._pending,
        }

    def _load_search_state(self, saved: Mapping[str, Any]) -> None:
        if "candidates" not in saved:
            raise StateError(
                f"this is not the state of a {type(self).__name__}: it has no "
                "candidates. Load it into the kind of optimizer that saved it."
            )
        candidates = [Candidate.from_dict(item) for item in saved["candidates"]]
        self._rng = rng_from(saved["rng"])
        self._left = list(saved["left"])
        self.candidates = candidates
        self._proposed, self._merged = saved["proposed"], saved["merged"]
        self._book = Scorebook.from_state(saved["book"])
        self._ledger = Ledger(saved["calls"])
        self._finished_at = saved.get("finished_at")
        self._pending = saved.get("pending")
