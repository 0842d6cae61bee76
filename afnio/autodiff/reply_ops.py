"""Picking parts out of replies: fields of JSON objects, and each sample's own turn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from afnio._text import closest, fill, join_roles
from afnio._variable import Variable
from afnio.autodiff._merge import batched, is_empty, passed_on
from afnio.autodiff._prompts import PART_FEEDBACK
from afnio.autodiff._relay import connect
from afnio.autodiff.function import FunctionNode, Op
from afnio.errors import InputValueError, ReplyError
from afnio.models._structured import json_object, json_schema

__all__ = ["Fields", "JsonField", "Pick"]


class Fields:
    """The fields of replies that are JSON objects: one tracked Variable each.

    ``fields.name`` or ``fields["name"]``; a missing field is None.
    """

    def __init__(self, output: Variable, names: Sequence[str]) -> None:
        self._output = output
        self._names = tuple(names)
        self._made: dict[str, Variable] = {}

    def __getitem__(self, name: str) -> Variable:
        if name not in self._names:
            raise InputValueError(
                f"the replies have no field {name!r}; {closest(name, self._names)}"
            )
        if name not in self._made:
            self._made[name] = JsonField.apply(self._output, name)
        return self._made[name]

    def __getattr__(self, name: str) -> Variable:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except InputValueError as error:
            raise AttributeError(str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __repr__(self) -> str:
        return f"Fields({', '.join(self._names)})"


def fields_of(output: Variable, output_format: Any) -> Fields | None:
    """Return the fields that a format asks for; None where it names none."""
    schema = json_schema(output_format)
    names = list((schema or {}).get("properties", ()))
    return Fields(output, names) if names else None


class JsonField(Op):
    """One field of replies that are JSON objects; numbers stay numbers."""

    @staticmethod
    def plan(x: Variable, name: str) -> tuple[str, ...]:
        """Return the field's role."""
        return (f"the field {name!r} of {x.role}",)

    @staticmethod
    def forward(ctx: FunctionNode, x: Variable, name: str) -> Any:
        """Pick the field out of every reply."""
        ctx.roles, ctx.field = (x.role,), name
        replies = x.data if isinstance(x.data, list) else [x.data]
        values = [_field(reply, name) for reply in replies]
        if any(isinstance(value, str) for value in values):
            values = [None if v is None else _as_text(v) for v in values]
        return values if isinstance(x.data, list) else values[0]

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass the feedback on as feedback on this field of the reply."""
        (role,) = ctx.roles
        facts = {"part": f"the field {ctx.field!r}", "role": role}
        return (passed_on(grad, role, fill(PART_FEEDBACK, facts)), None)


def _field(reply: Any, name: str) -> Any:
    try:
        value = json_object(reply).get(name)
    except ReplyError:
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, ensure_ascii=False)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Pick(Op):
    """Take every sample of a batch out of one of several batches.

    ``apply(batches, choice)``: sample i of the result is sample i of
    ``batches[choice[i]]``, or None where ``choice[i]`` is None. Feedback on a sample
    goes to the batch that it was taken from, and to no other.
    """

    @staticmethod
    def plan(
        batches: Sequence[Variable], choice: Sequence[int | None]
    ) -> tuple[str, ...]:
        """Return the result's role."""
        del choice
        return (join_roles(batch.role for batch in batches),)

    @staticmethod
    def forward(
        ctx: FunctionNode, batches: Sequence[Variable], choice: Sequence[int | None]
    ) -> Any:
        """Take the samples."""
        ctx.choice, ctx.roles = tuple(choice), tuple(batch.role for batch in batches)
        data = [batch.data for batch in batches]
        return [
            None if number is None else data[number][sample]
            for sample, number in enumerate(choice)
        ]

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Hand each sample's feedback to the batch that it came from."""
        said = batched(grad, len(ctx.choice))
        return (tuple(_share(ctx, grad, said, n) for n in range(len(ctx.roles))), None)


def _share(
    ctx: FunctionNode, grad: Variable, said: Sequence[Any], number: int
) -> Variable | None:
    mine = [chosen == number for chosen in ctx.choice]
    texts = [text if own else "" for text, own in zip(said, mine, strict=True)]
    share = Variable(
        "" if is_empty(texts) else texts, f"feedback to {ctx.roles[number]}"
    )
    share.evidence = tuple(
        record
        for record in grad.evidence
        if record.index < len(mine) and mine[record.index]
    )
    return connect(share, (grad,))
