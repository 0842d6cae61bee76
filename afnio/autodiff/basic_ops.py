"""Add, Sum and Split: the operations that need no model.

Their backward passes feedback on as it is, behind a sentence that says to whom.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

from afnio._text import join_roles, shorten
from afnio._variable import Variable
from afnio.autodiff._merge import (
    Feedback,
    as_items,
    body_of,
    how_of,
    is_empty,
    passed_on,
    per_sample,
)
from afnio.autodiff._ops_common import elementwise, require_variables
from afnio.autodiff._prompts import SHARED_FEEDBACK, SPLIT_FEEDBACK, UNNAMED
from afnio.autodiff._relay import connect
from afnio.autodiff.function import Function, FunctionNode, Op
from afnio.errors import InputTypeError


def _add(x: Any, y: Any) -> Any:
    if isinstance(x, str) != isinstance(y, str):
        return str(x) + str(y)
    return x + y


@functools.lru_cache(maxsize=1024)
def _lead_in(role: str | None, how: str) -> str:
    words = SHARED_FEEDBACK.format(role=role or UNNAMED)
    return f"{words} ({how} was applied to the result)" if how else words


def shared(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
    """Pass the same feedback on to every input that wants it."""
    how = how_of(grad)
    return tuple(
        [
            passed_on(grad, role, _lead_in(role, how)) if edge.node else None
            for role, edge in zip(ctx.roles, ctx.next_functions, strict=True)
        ]
    )


class Constant(Variable):
    """Text or a number written next to a ``+``; it is added to every sample."""

    __slots__ = ()

    spreads: ClassVar[bool] = True


class Add(Op):
    """``x + y``: numbers are added, texts are joined, lists position by position.

    Raises:
        InputTypeError: An input is not a Variable, or is None.
        InputValueError: A scalar meets a list, or lists differ in length.
    """

    @staticmethod
    def plan(x: Variable, y: Variable) -> tuple[str, ...]:
        """Validate and return the result's role."""
        if not isinstance(x, Variable) or not isinstance(y, Variable):
            require_variables("Add", (x, y))
        return (join_roles((x.role, y.role)),)

    @staticmethod
    def forward(ctx: FunctionNode, x: Variable, y: Variable) -> Any:
        """Return the sum."""
        ctx.roles = (x.role, y.role)
        a, b = x.data, y.data
        if type(a) is str and type(b) is str:
            return a + b
        spread = getattr(x, "spreads", False) or getattr(y, "spreads", False)
        return elementwise("Add", _add, (a, b), spread=spread)

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass the feedback on to both inputs."""
        return shared(ctx, grad)


def plus(x: Any, y: Any) -> Variable:
    """Add two values of which one is a Variable; text and numbers are constants.

    A constant is added to every sample of a batch.
    """
    pair = []
    for value in (x, y):
        if isinstance(value, Variable):
            pair.append(value)
        elif isinstance(value, (str, int, float)):
            pair.append(Constant(value))
        else:
            raise InputTypeError(
                "+ takes a Variable, text or a number, got "
                f"{type(value).__name__}: {shorten(value)}."
            )
    result: Variable = Add.apply(*pair)
    return result


class Sum(Op):
    """Add a sequence of Variables: numbers are summed, texts put into ``<ITEM>`` tags.

    If a text has such a tag of its own that would break the list, all get ``<ITEM2>``.

    Raises:
        InputTypeError: Not a sequence of Variables, or text and numbers mixed.
        InputValueError: Lists differ in length.
    """

    @staticmethod
    def plan(x: Sequence[Variable]) -> tuple[str, ...]:
        """Validate and return the result's role."""
        if not isinstance(x, (list, tuple)) or not x:
            raise InputTypeError(
                "Sum takes a non-empty list or tuple of Variables, got "
                f"{type(x).__name__}: {shorten(x)}."
            )
        require_variables("Sum", x)
        return (join_roles(item.role for item in x),)

    @staticmethod
    def forward(ctx: FunctionNode, x: Sequence[Variable]) -> Any:
        """Return the total."""
        ctx.roles = tuple(item.role for item in x)
        return elementwise("Sum", _total, [item.data for item in x])

    @staticmethod
    def backward(ctx: FunctionNode, grad: Variable) -> tuple[Any, ...]:
        """Pass the feedback on to every input."""
        return (shared(ctx, grad),)


def _total(*values: Any) -> Any:
    texts = [isinstance(value, str) for value in values]
    if all(texts):
        return as_items(values)
    if any(texts):
        raise InputTypeError(
            "Sum cannot add text and numbers: got "
            f"{', '.join(type(value).__name__ for value in values)}."
        )
    return sum(values)


class Split(Function):
    """Split text as `str.split` does; a batch is split sample by sample.

    The number of parts depends on the text, so a pending input is waited for. In a
    batch, shorter results are padded with empty text.

    Raises:
        InputTypeError: Data is not text, ``sep`` not text, or ``maxsplit`` not an int.
    """

    _trusted = True

    @staticmethod
    def forward(
        ctx: FunctionNode,
        x: Variable,
        sep: str | Variable | None = None,
        maxsplit: int | Variable = -1,
    ) -> tuple[Variable, ...]:
        """Return one Variable per part."""
        require_variables("Split", (x,))
        data = x.data
        columns = _split(data, *_options(sep, maxsplit))
        ctx.role, ctx.size = x.role, len(data) if isinstance(data, list) else None
        return tuple(
            Variable(column, f"split part {index} of {x.role}")
            for index, column in enumerate(columns)
        )

    @staticmethod
    def backward(ctx: FunctionNode, *grads: Variable) -> tuple[Any, ...]:
        """Collect the feedback on all parts, in order."""
        lead_in = SPLIT_FEEDBACK.format(role=ctx.role or UNNAMED)
        bodies = [body_of(grad) for grad in grads]
        if ctx.size is None or not any(isinstance(body, list) for body in bodies):
            body: Any = _tagged(bodies)
        else:
            columns = [per_sample(body, ctx.size) for body in bodies]
            body = [_tagged(row) for row in zip(*columns, strict=True)]
        source = Feedback(body, "", body)
        records = (record for grad in grads for record in grad.evidence)
        source.evidence = tuple({id(record): record for record in records}.values())
        return (passed_on(connect(source, grads), ctx.role, lead_in), None, None)


def _tagged(parts: Sequence[Any]) -> str:
    if all(is_empty(part) for part in parts):
        return ""
    return as_items("" if part is None else str(part) for part in parts)


def _options(sep: Any, maxsplit: Any) -> tuple[str | None, int]:
    sep = sep.data if isinstance(sep, Variable) else sep
    maxsplit = maxsplit.data if isinstance(maxsplit, Variable) else maxsplit
    if sep is not None and not isinstance(sep, str):
        raise InputTypeError(f"Split: sep must be text or None, got {sep!r}.")
    if not isinstance(maxsplit, int) or isinstance(maxsplit, bool):
        raise InputTypeError(f"Split: maxsplit must be an int, got {maxsplit!r}.")
    return sep, maxsplit


def _split(data: Any, sep: str | None, maxsplit: int) -> list[Any]:
    if isinstance(data, str):
        return list(data.split(sep, maxsplit))
    if not isinstance(data, list) or not all(
        item is None or isinstance(item, str) for item in data
    ):
        raise InputTypeError(
            f"Split takes text or a list of texts, got {shorten(data)}."
        )
    rows = [None if item is None else item.split(sep, maxsplit) for item in data]
    width = max((len(row) for row in rows if row), default=0)
    return [
        [None if row is None else (row[i] if i < len(row) else "") for row in rows]
        for i in range(width)
    ]


__all__ = ["Add", "Split", "Sum", "plus"]
