"""TGD: textual gradient descent, with momentum, constraints and an optional gate."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from afnio._dispatch import call_user, gather
from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.optim._functional import atgd, tgd
from afnio.optim._jobs import Job, distinct, values_of, warn_of_refusals
from afnio.optim._options import RewriteOptions
from afnio.optim._scores import asettle
from afnio.optim._tasks import (
    Buffer,
    Settings,
    check_settings,
    default_messages,
    remember,
    settings_of,
    task_of,
)
from afnio.optim._trials import Trial, Trials, Verdict, best
from afnio.optim.gates import Gate
from afnio.optim.optimizer import Closure, Optimizer, ParamsT
from afnio.optim.records import StepRecord

__all__ = ["TGD", "RewriteOptions", "atgd", "tgd"]


class TGD(Optimizer):
    """Textual gradient descent: a model rewrites each parameter from its feedback.

    ``step`` rewrites all parameters that have feedback at once, and commits all or
    none. A parameter whose feedback is all empty costs no call. A rewrite that stays
    unusable leaves its parameter as it was, with a warning and a record.

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

    Example:
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
        model_client: Any = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        inputs: Mapping[str, Any] | None = None,
        constraints: Iterable[str | Variable] | None = None,
        momentum: int = 0,
        *,
        gate: Gate | None = None,
        options: RewriteOptions | None = None,
        **completion_args: Any,
    ) -> None:
        self.gate = gate
        self.options = options or RewriteOptions()
        if self.options.candidates > 1 and gate is None:
            raise InputValueError(
                f"{self.options.candidates} candidates need a gate to choose by; pass "
                "gate=afnio.optim.gates.Improve() or another one."
            )
        if gate is not None and not isinstance(gate, Gate):
            raise InputTypeError(
                f"gate must have a decide method, got {type(gate).__name__}."
            )
        super().__init__(
            params,
            {
                "model_client": model_client,
                "messages": default_messages() if messages is None else messages,
                "inputs": dict(inputs or {}),
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
            group["constraints"] = list(group["constraints"] or ())
        check_settings(group)
        for param in group["params"]:
            if hasattr(param, "fields"):
                raise InputTypeError(
                    f"TGD rewrites text; the parameter with role "
                    f"{shorten(param.role)!r} holds demonstrations. Give it to FewShot."
                )

    async def _astep(self, closure: Closure | None = None) -> Any:
        if self.gate is not None:
            return await self._gated(Trials(closure, type(self).__name__), self.gate)
        result = None if closure is None else await call_user(closure)
        jobs = await gather(job.run() for job in await self._jobs())
        self._steps += 1
        for job in jobs:
            if job.text is not None:
                self._install(job)
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
        work: list[Coroutine[Any, Any, Any]] = [
            trials.evaluate({}),
            self._propose(jobs),
        ]
        parent, proposed = await gather(work)
        candidates = distinct(proposed)
        values = [values_of(candidate) for candidate in candidates if candidate]
        rank = len(values) > 1
        judged = iter(await trials.judge(values, parent, gate, rank=rank))
        verdicts = [next(judged) if candidate else None for candidate in candidates]
        chosen = best(verdicts)
        self._steps += 1
        for job in candidates[chosen] if chosen is not None else ():
            self._install(job)
        await self._record(
            self._judged(number, proposed[number], parent, verdict, chosen)
            for number, verdict in enumerate(verdicts)
        )
        warn_of_refusals([job for jobs in proposed for job in jobs])
        verdict = None if chosen is None else verdicts[chosen]
        return parent.result if verdict is None else verdict.trial.result

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
        parent: Trial,
        verdict: Verdict | None,
        chosen: int | None,
    ) -> StepRecord:
        if verdict is None:
            refusals = [job.reason for job in jobs if job.text is None]
            reason = "; ".join(refusals) or "an earlier candidate is the same"
            return self._noted(number, jobs, reason, accepted=False)
        accepted, reason = number == chosen, verdict.decision.reason
        if verdict.decision.accepted and not accepted:
            reason = f"{reason}; candidate {chosen} gains more, or as much and is newer"
        return replace(
            self._noted(number, jobs, reason, accepted=accepted),
            decision=verdict.decision,
            parent_scores=parent.scores[: len(verdict.trial.scores)],
            candidate_scores=verdict.trial.scores,
        )

    # -- shared -------------------------------------------------------------------

    async def _jobs(self) -> list[Job]:
        """Return what there is to rewrite; raises before any model is asked."""
        jobs: list[Job] = []
        number = 0
        for group in self.param_groups:
            settings = await settings_of(group)
            for param in group["params"]:
                job = await self._job(param, number, settings)
                if self._wants(job):
                    jobs.append(job)
                number += 1
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

    def _install(self, job: Job) -> None:
        momentum = job.settings.momentum
        buffer: Buffer = self.state.get(job.param, {}).get("momentum_buffer", [])
        buffer = remember(buffer, job.param, job.grads, momentum)
        if buffer:
            self.state[job.param]["momentum_buffer"] = buffer
        elif job.param in self.state:
            self.state[job.param].pop("momentum_buffer", None)
        job.param.data = job.text

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
