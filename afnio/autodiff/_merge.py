"""Merging feedback: several gradients of one value become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from afnio._data import copy_data
from afnio._text import cut_middle, items
from afnio._variable import Variable

FEEDBACK_LIMIT: Final = 20_000
"""Characters that merged feedback may have before its middle is cut."""


class Feedback(Variable):
    """A gradient whose text is a lead-in and a body.

    An operation that only passes feedback on says so in a lead-in. Keeping the body
    apart lets the next operation replace the lead-in instead of nesting it, so long
    chains do not grow.
    """

    __slots__ = ("body",)

    body: Any

    def __init__(self, data: Any, role: str, body: Any) -> None:
        super().__init__(data, role)
        self.body = body


def body_of(gradient: Variable) -> Any:
    """Return the feedback without the lead-in of the operation it passed last."""
    return gradient.body if isinstance(gradient, Feedback) else gradient.data


def is_empty(data: Any) -> bool:
    """Whether feedback says nothing: empty text, None, or only such samples."""
    if isinstance(data, list):
        return all(is_empty(item) for item in data)
    return data is None or data == ""


def passed_on(gradient: Variable, role: str, lead_in: str) -> Variable:
    """Return ``gradient`` as feedback to ``role``, behind ``lead_in``."""
    body = body_of(gradient)
    result = Feedback(_prefixed(body, lead_in), f"feedback to {role}", body)
    result.evidence = gradient.evidence
    return result


def _prefixed(body: Any, lead_in: str) -> Any:
    if isinstance(body, list):
        return [_prefixed(item, lead_in) for item in body]
    return "" if is_empty(body) else f"{lead_in}: {body}"


def merge(gradients: Sequence[Variable]) -> Variable:
    """Merge what several consumers said about one value; repetition is dropped."""
    if len(gradients) == 1:
        return gradients[0]
    said = _distinct([item for item in gradients if not is_empty(item.data)])
    if not said:
        return gradients[0]
    if len(said) == 1:
        return said[0]
    size = max(
        (len(item.data) for item in said if isinstance(item.data, list)), default=0
    )
    bodies = [body_of(item) for item in said]
    merged = Variable(_join(bodies, size), said[0].role)
    merged.evidence = tuple(record for item in said for record in item.evidence)
    return merged


def _distinct(gradients: list[Variable]) -> list[Variable]:
    distinct: list[Variable] = []
    for gradient in gradients:
        body = body_of(gradient)
        if all(body_of(other) != body for other in distinct):
            distinct.append(gradient)
    return distinct


def _join(bodies: list[Any], size: int) -> Any:
    if not size:
        return cut_middle(items(str(body) for body in bodies), FEEDBACK_LIMIT)
    columns = [body if isinstance(body, list) else [body] * size for body in bodies]
    return [_join_sample([column[i] for column in columns]) for i in range(size)]


def _join_sample(texts: list[Any]) -> Any:
    said = list(dict.fromkeys(str(text) for text in texts if not is_empty(text)))
    if len(said) <= 1:
        return said[0] if said else ""
    return cut_middle(items(said), FEEDBACK_LIMIT)


def batched(gradient: Variable, size: int) -> list[Any]:
    """Return feedback per sample; one text is meant for every sample."""
    data = body_of(gradient)
    return copy_data(data) if isinstance(data, list) else [data] * size
