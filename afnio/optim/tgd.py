"""TGD: textual gradient descent, with momentum, constraints and an optional gate."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from afnio._dispatch import call_user, gather
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.models._chat_client import ChatClient
from afnio.optim._checks import check_completion_args, require_part
from afnio.optim._functional import atgd, tgd
from afnio.optim._jobs import Job, distinct, values_of, warn_of_refusals
from afnio.optim._options import RewriteOptions
from afnio.optim._racing import (
    Entrant,
    Ruling,
    chosen_among,
    evaluate,
    gate_at,
    judge,
    looks_early,
)
from afnio.optim._scores import asettle
from afnio.optim._tasks import (
    Buffer,
    Settings,
    check_settings,
    default_messages,
    listed,
    remember,
    settings_of,
    task_of,
)
from afnio.optim._trials import Trials
from afnio.optim.gates import Gate
from afnio.optim.optimizer import Closure, Optimizer, ParamsT
from afnio.optim.records import StepRecord

__all__ = ["TGD", "RewriteOptions", "atgd", "tgd"]


class TGD(Optimizer):
    """Textual gradient descent: a model rewrites each parameter from its feedback.

    ``step`` rewrites all parameters that have feedback at once, and commits all or
    none. A parameter whose feedback is all empty costs no call, nor does a frozen one.
    A rewrite that stays unusable leaves its parameter as it was, with a warning and a
    record.

    Args:
        params: Parameters that hold text, or groups of them. A group may have its own
            ``model_client``, ``messages``, ``inputs``, ``constraints``, ``momentum``
            and ``completion_args``.
        model_client: Who rewrites; None for the backward model client.
        messages: Other words to ask with: ``[{"role", "content": [Variable]}]``. They
            may use ``{current}``, ``{role}``, ``{feedback}``, ``{constraints}``,
            ``{history}`` and ``{reply}`` (how to reply; appended if not used).
        inputs: Values for further placeholders of the messages.
        constraints: Rules that every new text must keep: texts or Variables.
        momentum: How many steps are remembered, the current one included; earlier
            values and the feedback on them are shown to the model.
        gate: Accept a step only if this says so on paired scores from the closure,
            which then only evaluates: it is called without gradients, once for the
            present values and once per candidate. None accepts every rewrite.
        options: Limits of a rewrite, and the number of candidates.
        **completion_args: Passed to the model with every call.

    With a gate, ``step`` returns the closure's result for the values that stay. If no
    parameter has feedback, it evaluates nothing and returns None.

    Model calls: 1 optimizer call per parameter with feedback and candidate, up to
    ``options.attempts`` while replies are unusable; with a gate, evaluations besides.

    Raises:
        InputTypeError: A parameter holds demonstrations, or an option is of the wrong
            kind.
        InputValueError: Several candidates without a gate.

    Examples:
        >>> from afnio import Variable
        >>> from afnio.models.testing import ScriptedModel
        >>> def model(messages, **args):
        ...     tag = messages[-1]["content"].split("<new_")[1].split(">")[0]
        ...     return f"<new_{tag}>Greet them by name.</new_{tag}>"
        >>> prompt = Variable("Greet them.", "system prompt", requires_grad=True)
        >>> prompt.append_grad(Variable("It does not use names."))
        >>> TGD([prompt], ScriptedModel(model)).step()
        >>> prompt.data
        'Greet them by name.'

    Source: the update rule is TextGrad's (Yuksekgonul et al. 2024, arXiv 2406.07496),
    section 3.3; differences: paired gates, evidence of successes beside failures, typed
    placeholders, refusal of unsafe rewrites.
    """

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        inputs: Mapping[str, Any] | None = None,
        constraints: Iterable[str | Variable] | None = None,
        momentum: int = 0,
        *,
        gate: Gate | None = None,
        options: RewriteOptions | None = None,
        **completion_args: Any,
    ) -> None:
        check_completion_args(type(self), completion_args)
        self.gate = gate
        self.options = RewriteOptions() if options is None else options
        require_part("options", self.options, RewriteOptions, "type RewriteOptions")
        if self.options.candidates > 1 and gate is None:
            raise InputValueError(
                f"{self.options.candidates} candidates need a gate to choose by; pass "
                "gate=afnio.optim.gates.Improve() or another one."
            )
        if gate is not None:
            require_part("gate", gate, Gate, "a method decide")
        super().__init__(
            params,
            {
                "model_client": model_client,
                "messages": default_messages() if messages is None else messages,
                "inputs": {} if inputs is None else inputs,
                "constraints": [] if constraints is None else constraints,
                "momentum": momentum,
                "completion_args": completion_args,
            },
        )

    @property
    def requires_closure(self) -> bool:
        """Whether ``step`` needs a closure: with a gate."""
        return self.gate is not None

    def _check_group(self, group: dict[str, Any]) -> None:
        if not isinstance(group["constraints"], (str, Variable)):
            group["constraints"] = listed(group["constraints"])
        check_settings(group)
        group["inputs"] = dict(group["inputs"] or {})
        for param in group["params"]:
            if hasattr(param, "fields"):
                raise InputTypeError(
                    f"TGD rewrites text; the parameter with role "
                    f"{shorten(param.role)!r} holds demonstrations. Give it to FewShot."
                )

    async def _astep(self, closure: Closure | None = None) -> Any:
        if self.gate is not None:
            gate = gate_at(self.gate, self._steps)
            return await self._gated(Trials(closure, type(self).__name__), gate)
        result = None if closure is None else await call_user(closure)
        jobs = await gather(job.run() for job in await self._jobs())
        self._steps += 1
        for job in jobs:
            if job.text is not None:
                self._install(job, "no gate")
        await self._record(
            self._noted(0, [job], job.reason, accepted=job.text is not None)
            for job in jobs
        )
        warn_of_refusals(jobs)
        return result

    # -- with a gate --------------------------------------------------------------

    async def _gated(self, trials: Trials, gate: Gate) -> Any:
        """Propose candidates, evaluate them, and install the best that passes."""
        jobs = await self._jobs()
        if not jobs:
            self._steps += 1
            return None
        parent = Entrant({})
        first = range(1 if looks_early(trials, gate) else trials.blocks)
        work: list[Coroutine[Any, Any, Any]] = [
            evaluate(trials, [parent], first),
            self._propose(jobs),
        ]
        _, proposed = await gather(work)
        candidates = distinct(proposed)
        entrants = [
            Entrant(values_of(candidate), number)
            for number, candidate in enumerate(candidates)
            if candidate
        ]
        rulings = await judge(trials, entrants, parent, gate)
        chosen = chosen_among(rulings)
        self._steps += 1
        if chosen is not None:
            for job in candidates[chosen.entrant.number]:
                self._install(job, chosen.decision.reason)
        ruled = {ruling.entrant.number: ruling for ruling in rulings}
        await self._record(
            self._judged(number, jobs, ruled.get(number), chosen)
            for number, jobs in enumerate(proposed)
        )
        warn_of_refusals([job for jobs in proposed for job in jobs])
        return (parent if chosen is None else chosen.entrant).result

    async def _propose(self, jobs: list[Job]) -> list[list[Job]]:
        """Return one rewrite of every parameter per candidate."""
        count = self.options.candidates
        variants = [
            replace(job, task=replace(job.task, variant=variant))
            for variant in range(count)
            for job in jobs
        ]
        done = await gather(job.run() for job in variants)
        return [done[i * len(jobs) : (i + 1) * len(jobs)] for i in range(count)]

    def _judged(
        self,
        number: int,
        jobs: list[Job],
        ruling: Ruling | None,
        chosen: Ruling | None,
    ) -> StepRecord:
        if ruling is None:
            refusals = [job.reason for job in jobs if job.text is None]
            reason = "; ".join(refusals) or "an earlier candidate is the same"
            return self._noted(number, jobs, reason, accepted=False)
        reason = ruling.decision.reason
        if chosen is not None and ruling.decision.accepted and ruling is not chosen:
            other = f"candidate {chosen.entrant.number}"
            reason = f"{reason}; {other} gains more, or as much and is newer"
        return replace(
            self._noted(number, jobs, reason, accepted=ruling is chosen),
            decision=ruling.decision,
            parent_scores=ruling.parent_scores,
            candidate_scores=ruling.scores,
        )

    # -- shared -------------------------------------------------------------------

    async def _jobs(self) -> list[Job]:
        """Return what there is to rewrite; raises before any model is asked."""
        jobs: list[Job] = []
        numbers = {param: number for number, param in enumerate(self._params())}
        for group in self.param_groups:
            trained = [param for param in group["params"] if param.requires_grad]
            if not trained:
                continue
            settings = await settings_of(group)
            for param in trained:
                job = await self._job(param, numbers[param], settings)
                if self._wants(job):
                    jobs.append(job)
        return jobs

    async def _job(self, param: Variable, number: int, settings: Settings) -> Job:
        grads = tuple(param.grad)
        await asettle([param, grads])
        buffer: Buffer = self.state.get(param, {}).get("momentum_buffer", [])
        task = task_of(param, grads, buffer, settings, self.options)
        task = replace(task, rejected=self._rejected(number))
        return Job(param, number, grads, settings, task)

    def _wants(self, job: Job) -> bool:
        """Whether a parameter is to be rewritten."""
        return bool(job.task.feedback)

    def _rejected(self, number: int) -> tuple[str, ...]:
        """Return the latest texts that the gate turned down for a parameter."""
        texts = [
            change.after
            for record in self.history
            if record.decision is not None and not record.decision.accepted
            for change in record.changes
            if change.parameter == number and isinstance(change.after, str)
        ]
        count = self.options.rejected
        return tuple(dict.fromkeys(texts))[-count:] if count else ()

    def _install(self, job: Job, reason: str) -> None:
        momentum = job.settings.momentum
        buffer: Buffer = self.state.get(job.param, {}).get("momentum_buffer", [])
        buffer = remember(buffer, job.param, job.grads, momentum)
        if buffer:
            self.state[job.param]["momentum_buffer"] = buffer
        elif job.param in self.state:
            self.state[job.param].pop("momentum_buffer", None)
        self._assign(job.param, job.text, reason)

    def _noted(
        self, number: int, jobs: list[Job], reason: str, *, accepted: bool
    ) -> StepRecord:
        return StepRecord(
            step=self._steps,
            optimizer=type(self).__name__,
            candidate=number,
            changes=tuple(job.change() for job in jobs),
            accepted=accepted,
            reason=reason or "no gate",
        )
