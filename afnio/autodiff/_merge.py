"""Wording feedback: passed on behind a lead-in, and several pieces merged into one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from afnio._data import copy_data
from afnio._text import cut_middle, describe, items, unused_tag
from afnio._variable import Variable
from afnio.autodiff._relay import connect
from afnio.errors import InputValueError

if TYPE_CHECKING:
    from afnio.autodiff.evidence import Evidence

FEEDBACK_LIMIT: Final = 20_000
"""Characters that merged feedback may have before its middle is cut."""

HOW_LIMIT: Final = 160
"""Characters that the trail of operations in a lead-in may have before it is cut."""


_ITEM_TAG: Final = re.compile("<(/?)item", re.IGNORECASE)


class Feedback(Variable):
    """A gradient whose text is a lead-in and a body.

    An operation that only passes feedback on says so in a lead-in. Keeping the body
    apart lets the next operation replace the lead-in instead of nesting it, so long
    chains do not grow. ``how`` is the trail of operations between the value that the
    feedback is about and the value that was criticised, such as ``.strip().upper()``.
    """

    __slots__ = ("body", "how")

    body: Any
    how: str

    def __init__(self, data: Any, role: str, body: Any, how: str = "") -> None:
        super().__init__(data, role)
        self.body = body
        self.how = how

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        result = super().__deepcopy__(memo)
        result.body, result.how = copy_data(self.body), self.how
        return result


def body_of(gradient: Variable) -> Any:
    """Return the feedback without the lead-in of the operation it passed last."""
    return gradient.body if isinstance(gradient, Feedback) else gradient.data


def how_of(gradient: Variable) -> str:
    """Return the trail of operations that the feedback has passed."""
    return gradient.how if isinstance(gradient, Feedback) else ""


def trail(step: str, gradient: Variable) -> str:
    """Put ``step`` before the trail of ``gradient``; repetition is dropped."""
    how = how_of(gradient)
    if not how.startswith(step):
        how = step + how
    return how if len(how) <= HOW_LIMIT else f"{how[: HOW_LIMIT - 3]}..."


def is_empty(data: Any) -> bool:
    """Whether feedback says nothing: empty text, None, or only such samples."""
    if isinstance(data, list):
        return all(is_empty(item) for item in data)
    return data is None or data == ""


def passed_on(
    gradient: Variable, role: str, lead_in: str, how: str | None = None
) -> Variable:
    """Return ``gradient`` as feedback to ``role``, behind ``lead_in``.

    Args:
        gradient: The feedback.
        role: The role of its new target.
        lead_in: Says how the target and the value that was criticised hang together.
        how: The trail from now on; None leaves it as it is.
    """
    if type(gradient) is Feedback:
        body, before = gradient.body, gradient.how
    else:
        body, before = gradient.data, ""
    how = before if how is None else how
    data = f"{lead_in}: {body}" if body and type(body) is str else _led(body, lead_in)
    result = Feedback(data, f"feedback to {role}", body, how)
    result._evidence = gradient.evidence
    return connect(result, (gradient,)) if gradient.requires_grad else result


def _led(body: Any, lead_in: str) -> Any:
    if isinstance(body, list):
        return [_led(item, lead_in) for item in body]
    return "" if is_empty(body) else f"{lead_in}: {body}"


def merge(gradients: Sequence[Variable]) -> Variable:
    """Merge what several consumers said about one value; repetition is dropped.

    The evidence of all is kept.
    """
    if len(gradients) == 1:
        return gradients[0]
    said = _distinct(gradients) or [gradients[0]]
    evidence = _all_evidence(gradients)
    if len(said) == 1 and len(evidence) == len(said[0].evidence):
        return said[0]
    if len(said) == 1:
        data, body = said[0].data, body_of(said[0])
    else:
        bodies = [body_of(item) for item in said]
        data = body = _join(bodies)
    trails = {how_of(item) for item in said}
    how = trails.pop() if len(trails) == 1 else ""
    merged = Feedback(copy_data(data), said[0].role, body, how)
    merged._evidence = evidence
    return connect(merged, gradients)


def _distinct(gradients: Sequence[Variable]) -> list[Variable]:
    """Drop what is empty, and what has been said before."""
    distinct: dict[Any, Variable] = {}
    for gradient in gradients:
        body = body_of(gradient)
        if not is_empty(body):
            key = repr(body) if isinstance(body, list) else body
            distinct.setdefault(key, gradient)
    return list(distinct.values())


def _all_evidence(gradients: Sequence[Variable]) -> tuple[Evidence, ...]:
    records = (record for gradient in gradients for record in gradient.evidence)
    return tuple({id(record): record for record in records}.values())


def _join(bodies: list[Any]) -> Any:
    sizes = {len(body) for body in bodies if isinstance(body, list)}
    if not sizes:
        return cut_middle(as_items(str(body) for body in bodies), FEEDBACK_LIMIT)
    size = max(sizes)
    columns = [per_sample(body, size) for body in bodies]
    return [join_samples([column[i] for column in columns]) for i in range(size)]


def join_samples(texts: Sequence[Any]) -> str:
    """Make one text of feedback on several samples, or from several consumers."""
    said = list(dict.fromkeys(str(text) for text in texts if not is_empty(text)))
    if len(said) <= 1:
        return said[0] if said else ""
    return cut_middle(as_items(said), FEEDBACK_LIMIT)


def as_items(texts: Iterable[str]) -> str:
    """Write texts as ``<ITEM>``s; no text can end its item or begin another.

    If one of them would (items nested in it do not), the tags are ``<ITEM2>``, or the
    next number, that occur in none.
    """
    texts = list(texts)
    if all(map(_is_nested, texts)):
        return items(texts)
    tag = unused_tag("item", texts).upper()
    return "".join(f"<{tag}>{text}</{tag}>" for text in texts)


def _is_nested(text: str) -> bool:
    """Whether every item tag in a text has its counterpart there."""
    if "<" not in text:
        return True
    depth = 0
    for match in _ITEM_TAG.finditer(text):
        depth += -1 if match[1] else 1
        if depth < 0:
            return False
    return depth == 0


def per_sample(data: Any, size: int) -> list[Any]:
    """Return feedback per sample; one text is meant for every sample.

    Raises:
        InputValueError: It is a list of another length.
    """
    if not isinstance(data, list):
        return [data] * size
    if len(data) != size:
        raise InputValueError(
            f"the feedback is a {describe(data)}, but the value it is about has "
            f"{size} samples; give one text, or one per sample."
        )
    return list(data)


def check_fit(feedback: Any, data: Any) -> None:
    """Raise unless feedback has the shape of a value, or is one text for all of it.

    Raises:
        InputValueError: A list for a single value, or a list of another length.
    """
    if not isinstance(feedback, list):
        return
    if not isinstance(data, list):
        raise InputValueError(
            f"the feedback is a {describe(feedback)}, but the value it is about is no "
            "batch; give one text."
        )
    for item, part in zip(per_sample(feedback, len(data)), data, strict=True):
        check_fit(item, part)


def batched(gradient: Variable, size: int) -> list[Any]:
    """Return a gradient's text per sample; one text is meant for every sample.

    Raises:
        InputValueError: It is a list of another length.
    """
    return per_sample(gradient.data, size)
