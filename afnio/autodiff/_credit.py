"""Credit assignment: from feedback on replies to gradients of a call's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afnio._dispatch import gather
from afnio._text import cut_middle
from afnio._variable import Variable
from afnio.autodiff._chat import Sample
from afnio.autodiff._critic import Case, Target, acriticize
from afnio.autodiff._merge import FEEDBACK_LIMIT, batched, is_empty
from afnio.autodiff.credit import get_credit_mode
from afnio.autodiff.evidence import Evidence


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


async def aassign(
    call: Call, grad: Variable, tracked: Sequence[bool]
) -> list[Variable | None]:
    """Return one gradient per Variable of the call, None where it is not tracked.

    Model calls: one critic call per sample with feedback, all at once; none in the
    credit mode ``passthrough``.
    """
    size = len(call.samples)
    feedback = batched(grad, size) if call.batched else [grad.data]
    said = await gather(
        _acredit(call, index, str(text), tracked)
        for index, text in enumerate(feedback)
        if call.samples[index] is not None and not is_empty(text)
    )
    by_sample: dict[int, list[str]] = dict(said)
    records = _records(call, grad, feedback)
    return [
        _gradient(call, position, by_sample, records) if wanted else None
        for position, wanted in enumerate(tracked)
    ]


async def _acredit(
    call: Call, index: int, feedback: str, tracked: Sequence[bool]
) -> tuple[int, list[str]]:
    """Return the sample's feedback for every Variable, ``""`` where there is none."""
    wanted = [
        position
        for position, place in enumerate(call.places)
        if tracked[position] and place in (None, index)
    ]
    if get_credit_mode() == "passthrough":
        texts = [feedback] * len(wanted)
    else:
        targets = [_target(call, position, index) for position in wanted]
        texts = await acriticize(_case(call, index, feedback), targets, index)
    said = dict(zip(wanted, texts, strict=True))
    return index, [said.get(position, "") for position in range(len(call.places))]


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
    by_sample: dict[int, list[str]],
    records: list[Evidence],
) -> Variable:
    variable, place = call.variables[position], call.places[position]
    said = {index: texts[position] for index, texts in by_sample.items()}
    gradient = Variable(_shape(call, variable, said), f"feedback to {variable.role}")
    gradient.evidence = tuple(
        record.but(critique=said.get(record.index, ""))
        for record in records
        if place in (None, record.index)
    )
    return gradient


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
