"""OPRO: new texts from the scores of earlier ones, without any critique."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._asked import Told
from afnio.optim._checks import require_int
from afnio.optim._findings import Findings, findings_on, train_size
from afnio.optim._jobs import Job
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim._prompts import Task
from afnio.optim._racing import evaluate
from afnio.optim._round import Round
from afnio.optim._tasks import split_evidence
from afnio.optim.gates import Always, Gate
from afnio.optim.memory import ScoredHistory
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import BestSeen, Candidate
from afnio.optim.proposers import History

__all__ = ["OPRO"]


class HistoryRound(Round):
    """Needs no feedback: examples show the task, scores show what is better."""

    async def _evidence(self, parent: Candidate) -> Findings | None:
        """Run a few training samples once, if there are any; right ones will do."""
        if not self.can_train:
            return await super()._evidence(parent)
        total = train_size(self.closure)
        numbers = self.parts.sampler.draw(total, self.left, self.rng)
        values = dict(zip(self.params, parent.values, strict=True))
        return await findings_on(self.closure, values, numbers, self.search.credit_mode)

    async def _jobs(self, parent: Candidate, findings: Findings) -> list[Job]:
        """Return a job for every parameter; the first history is the parent's score."""
        jobs = await self._all_jobs(parent, findings)
        if jobs and not isinstance(self.closure, Told):  # whose scores come later
            blocks = range(self.trials.blocks)
            await evaluate(self.trials, [self.entrant_of(parent)], blocks)
        mean = self._scored(parent).mean
        score = "no score yet" if mean is None else f"mean score {mean:.3f}"
        return [replace(job, task=_shown(job, score)) for job in jobs]


def _shown(job: Job, score: str) -> Task:
    """Return the task with all examples there are, right or wrong."""
    failures, successes = split_evidence(job.grads)
    history = job.task.history or ((job.task.current, (score,)),)
    return replace(job.task, history=history, successes=(*failures, *successes))


class OPRO(Preset):
    """Show a model the best texts so far with their scores, and ask for better ones.

    In every step it sees up to ``top`` texts, the best last, and a few training samples
    with what is expected, as examples of the task. Its proposals are all evaluated on
    everything, and stay. The parameters hold the best one.

    Nothing is said about why an answer was wrong, so it needs many steps, and a model
    that sees what the better texts have in common. It needs a closure with
    ``parameters``, such as `SampleClosure`. Without training samples, the evidence that
    ``backward`` left in ``grad`` gives the examples.

    Args:
        params: Parameters that hold text, or groups of them. A group may have its own
            ``model_client``, ``constraints`` and ``completion_args``.
        model_client: Who proposes; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        proposals: Candidates per step.
        top: How many earlier texts are shown.
        examples: Training samples shown per step.
        gate: Who decides on validation samples; default is `Always`. One that stops
            early, such as `Race`, saves calls.
        stop_when: When to do no more.
        options: Limits of a proposal.
        seed: Of the optimizer's own random generator.
        **completion_args: Passed to the model with every call; the paper has
            ``temperature=1``.

    Model calls: per step ``examples`` samples (their answers are not used),
    ``proposals`` optimizer calls per parameter, and as many full evaluations; the first
    step evaluates the present values, too.

    Raises:
        InputTypeError: An option is of the wrong kind, or a parameter holds
            demonstrations.
        InputValueError: A number is too small.

    Examples:
        >>> from afnio import Variable
        >>> from afnio.models.testing import ScriptedModel, in_tags
        >>> from afnio.optim import SampleClosure
        >>> prompt = Variable("Greet them.", "system prompt", requires_grad=True)
        >>> closure = SampleClosure(
        ...     lambda names: [float("name" in prompt.data) for _ in names],
        ...     val=["Ann", "Bob"],
        ...     parameters=[prompt],
        ... )
        >>> model = ScriptedModel(in_tags("Greet them by name."))
        >>> OPRO([prompt], model, proposals=1).step(closure)
        [1.0, 1.0]
        >>> "mean score 0.000" in model.requests[0].messages[1]["content"]
        True

    Source: OPRO (Yang et al. 2023), arXiv 2309.03409; differences: the best text is
    shown apart, because its placeholders have to be kept; copies of examples and
    repetitions are refused; several parameters are proposed each on its own, and share
    their program's score; `finish` compares the best ones on fresh draws.
    """

    credit_mode: ClassVar[str] = "passthrough"
    round_type = HistoryRound

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        proposals: int = 8,
        top: int = 20,
        examples: int = 3,
        gate: Gate | None = None,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        parts = Parts(
            proposer=History(),
            gate=Always(),
            pool=BestSeen(),
            memory=ScoredHistory(require_int("top", top, 1)),
            sampler=Minibatch(require_int("examples", examples, 1)),
            proposals=proposals,
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(params, parts, common, **completion_args)
