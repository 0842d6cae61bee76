"""Credit assignment: from feedback on replies to gradients of a call's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afnio._dispatch import abandon, gather
from afnio._text import cut_middle
from afnio._variable import Pending, Variable
from afnio.autodiff._chat import Sample
from afnio.autodiff._critic import Case, Target, acriticize
from afnio.autodiff._inputs import snapshot
from afnio.autodiff._merge import FEEDBACK_LIMIT, batched, is_empty
from afnio.autodiff._node import FunctionNode
from afnio.autodiff._relay import connect
from afnio.autodiff.credit import get_credit_mode, get_critic_prompt
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import Op
from afnio.autodiff.grad_mode import is_grad_enabled


@dataclass(frozen=True, slots=True)
class Call:
    """What a model operation did, kept for its backward."""

    variables: tuple[Variable, ...]
    """All Variables in its arguments, as they were, in order."""
    places: tuple[int | None, ...]
    """The one sample each belongs to; None if it takes part in all."""
    samples: tuple[Sample | None, ...]
    replies: tuple[str | None, ...]
    batched: bool
    role: str


Said = dict[int, dict[int, Variable]]
"""Feedback by sample, then by the position of the Variable it is about."""


async def aassign(
    call: Call, grad: Variable, tracked: Sequence[bool]
) -> list[Variable | None]:
    """Return one gradient per Variable of the call, None where it is not tracked.

    Model calls: one critic call per sample with feedback, all at once; none in the
    credit mode ``passthrough``.
    """
    feedback = batched(grad, len(call.samples)) if call.batched else [grad.data]
    grad = snapshot(grad)  # once, not for every call of the critic
    assign = _pass_on if get_credit_mode() == "passthrough" else _ask_critic
    asked = {
        index: assign(call, index, str(text), grad, _wanted(call, index, tracked))
        for index, text in enumerate(feedback)
        if call.samples[index] is not None and not is_empty(text)
    }
    said: Said = dict(zip(asked, await gather(asked.values()), strict=True))
    records = _records(call, grad, feedback)
    return [
        _gradient(call, position, said, records) if wanted else None
        for position, wanted in enumerate(tracked)
    ]


def _wanted(call: Call, index: int, tracked: Sequence[bool]) -> list[int]:
    """List the positions of the Variables that get feedback on a sample."""
    return [
        position
        for position, place in enumerate(call.places)
        if tracked[position] and place in (None, index)
    ]


async def _pass_on(
    call: Call, index: int, feedback: str, grad: Variable, wanted: list[int]
) -> dict[int, Variable]:
    del call, index
    return {position: connect(Variable(feedback), (grad,)) for position in wanted}


async def _ask_critic(
    call: Call, index: int, feedback: str, grad: Variable, wanted: list[int]
) -> dict[int, Variable]:
    """Make one critic call; it is an operation only where it is recorded."""
    prompt, case = get_critic_prompt(), _case(call, index, feedback)
    targets = tuple(_target(call, position, index) for position in wanted)
    if not is_grad_enabled():
        found = await acriticize(case, targets, index, (await prompt).data)
        answers = [Variable(text) for text in found.texts]
    else:
        sources = [call.variables[position] for position in wanted]
        made = AskCritic.apply(prompt, grad, sources, case, targets, index)
        answers = list(made) if isinstance(made, tuple) else [made]
        await _all_of(answers)
    return dict(zip(wanted, answers, strict=True))


async def _all_of(outputs: Sequence[Variable]) -> None:
    """Wait for the outputs of one operation; cancel it if nobody does any more."""
    try:
        for output in outputs:
            await output
    except BaseException:
        jobs = {out._value.job: None for out in outputs if type(out._value) is Pending}
        await abandon(list(jobs))  # or it would be asked, and paid, for nothing
        raise


class AskCritic(Op):
    """One critic call: feedback on each target, from feedback on a reply.

    It is recorded only in a backward with ``create_graph``: then the critic's prompt,
    the feedback it was given and the inputs it criticised can receive feedback on what
    the critic said, by another critic call.
    """

    @staticmethod
    def plan(*args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Return one role per target."""
        del kwargs
        return tuple(f"feedback to {target.role}" for target in args[4])

    @staticmethod
    async def forward(
        ctx: FunctionNode,
        prompt: Variable,
        grad: Variable,
        sources: list[Variable],
        case: Case,
        targets: tuple[Target, ...],
        index: int,
    ) -> Any:
        """Ask the critic."""
        found = await acriticize(case, targets, index, prompt.data)
        ctx.targets = targets
        ctx.call = Call(
            variables=(prompt, grad, *sources),
            places=(None,) * (2 + len(sources)),
            samples=(Sample(0, found.messages, {}),),
            replies=(found.reply,),
            batched=False,
            role="feedback, as a JSON object with one text per input",
        )
        ctx.save_for_backward(prompt)
        return found.texts if len(targets) > 1 else found.texts[0]

    @staticmethod
    async def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Any, ...]:
        """Ask another critic what in this exchange led to feedback on the feedback."""
        assert ctx.saved_variables is not None  # raises if the prompt has changed
        said = [
            f"{target.name}: {grad.data}"
            for target, grad in zip(ctx.targets, grads, strict=True)
            if not is_empty(grad.data)
        ]
        tracked = [edge.node is not None for edge in ctx.next_functions]
        result = await aassign(ctx.call, Variable("\n".join(said)), tracked)
        return (result[0], result[1], tuple(result[2:]), None, None, None)


def _target(call: Call, position: int, index: int) -> Target:
    variable = call.variables[position]
    data = variable.data
    if getattr(variable, "fields", None) is None and isinstance(data, list):
        data = data[index]
    return Target(f"input_{position + 1}", _label(variable), str(data))


def _label(variable: Variable) -> str:
    """Return what a variable is for: its role, or the name of a Parameter."""
    return str(getattr(variable, "label", variable.role) or "")


def _case(call: Call, index: int, feedback: str) -> Case:
    sample = call.samples[index]
    assert sample is not None
    return Case(sample.messages, call.replies[index] or "", feedback, call.role)


def _records(call: Call, grad: Variable, feedback: Sequence[Any]) -> list[Evidence]:
    """Return the evidence that came with the feedback, with this call's part added."""
    known = [record for record in grad.evidence if record.index < len(call.samples)]
    if not known:
        known = [
            Evidence(index=index, critique=str(text or ""), success=is_empty(text))
            for index, text in enumerate(feedback)
        ]
    return [
        record.but(
            inputs=dict(sample.inputs),
            messages=sample.messages,
            output=call.replies[record.index],
        )
        for record in known
        if (sample := call.samples[record.index]) is not None
    ]


def _gradient(
    call: Call,
    position: int,
    by_sample: Said,
    records: list[Evidence],
) -> Variable:
    variable, place = call.variables[position], call.places[position]
    sources = [texts[position] for texts in by_sample.values() if position in texts]
    said = {
        index: str(texts[position].data)
        for index, texts in by_sample.items()
        if position in texts
    }
    gradient = Variable(_shape(call, variable, said), f"feedback to {variable.role}")
    gradient.evidence = tuple(
        record.but(critique=said.get(record.index, ""))
        for record in records
        if place in (None, record.index)
    )
    return connect(gradient, sources)


def _shape(call: Call, variable: Variable, said: dict[int, str]) -> Any:
    """Give feedback the shape of its target: a text, or one per sample."""
    texts = [text for _, text in sorted(said.items()) if text]
    if not texts:
        return ""
    if _is_batch(variable):
        return [said.get(index, "") for index in range(len(call.samples))]
    if not call.batched or len(texts) == 1:
        return texts[0]
    lines = (f"- {text}" for text in dict.fromkeys(texts))
    return cut_middle("\n".join(lines), FEEDBACK_LIMIT)


def _is_batch(variable: Variable) -> bool:
    return isinstance(variable.data, list) and not hasattr(variable, "fields")
