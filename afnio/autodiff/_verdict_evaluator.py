"""Asking a model for a verdict: the request, the answer's form, and asking again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from afnio._text import fill, shorten
from afnio.autodiff._chat import Sample
from afnio.autodiff._critic import MAX_TRIES, repair
from afnio.autodiff._evaluator_prompts import (
    PAIRWISE_REPAIR,
    RANGE,
    WHY,
    WINNER,
)
from afnio.autodiff._prompts import JUDGE_REPAIR
from afnio.errors import InputTypeError, InputValueError, ReplyError
from afnio.models._chat_client import ChatClient
from afnio.models._response_format import object_schema
from afnio.models._sampling import next_index
from afnio.models._stand_in import STAND_IN
from afnio.models._structured import json_object

Range = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """What a judge has to answer."""

    read: Callable[[str | None], T]
    """Reads a reply; raises ReplyError."""
    schema: Mapping[str, Any]
    """The JSON schema of the field that decides, under its name."""
    repair: str
    """Asks again, with the ``{reason}``."""
    worst: Mapping[str, Any]
    """The worst that can be said: what a `plan` takes for the verdict."""


async def ajudge(
    client: ChatClient, sample: Sample, args: Mapping[str, Any], form: Form[T]
) -> tuple[T, str | None]:
    """Return what was read from the judge's reply on one sample, and the reply.

    Model calls: 1, and up to 2 more while its reply is unusable.

    Raises:
        ReplyError: Every reply was unusable; it carries the last one.
    """
    messages: list[dict[str, Any]] = [dict(turn) for turn in sample.messages]
    index = next_index(client, sample.messages, args)
    for attempt in range(1, MAX_TRIES + 1):
        try:
            reply = await client.agenerate(
                messages,
                role="judge",
                sample_index=index,
                stand_in=json.dumps({"explanation": STAND_IN, **form.worst}),
                **args,
            )
            return form.read(reply.text), reply.text
        except ReplyError as error:
            if attempt == MAX_TRIES:
                error.add_note(f"The judge replied unusably {MAX_TRIES} times.")
                error.add_note(f"while judging sample {sample.index}")
                raise
            messages = [*messages, *repair(error.reply, form.repair, error)]
    raise AssertionError("unreachable")


def constrained(
    args: Mapping[str, Any], form: Form[Any], wanted: object
) -> dict[str, Any]:
    """Return a call's arguments, with the form of the answer if that is wanted.

    Raises:
        InputTypeError: ``response_schema`` is not a bool.
        InputValueError: The arguments ask for another form.
    """
    if not isinstance(wanted, bool):
        raise InputTypeError(f"response_schema must be a bool, got {shorten(wanted)}.")
    if not wanted:
        return dict(args)
    if "response_format" in args:
        raise InputValueError(
            "response_schema=True asks for the judge's own form; leave response_format "
            "out, or set response_schema=False."
        )
    properties = {"explanation": {"type": "string", "description": WHY}, **form.schema}
    return {**args, "response_format": object_schema("verdict", properties)}


def _fields(reply: str | None, key: str) -> tuple[Any, str]:
    found = json_object(reply)
    missing = [name for name in (key, "explanation") if name not in found]
    if missing:
        raise ReplyError(
            f"the judge's JSON lacks {' and '.join(map(repr, missing))}: "
            f"{shorten(reply)}.",
            reply=reply,
        )
    explanation = found["explanation"]
    return found[key], explanation if isinstance(explanation, str) else str(explanation)


# -- scores ---------------------------------------------------------------------------


def score_form(bounds: Range | None) -> Form[tuple[Any, str]]:
    """Return the form of a score, within bounds if there are any."""

    def read(reply: str | None) -> tuple[Any, str]:
        score, explanation = _fields(reply, "score")
        if problem := _score_problem(score, bounds):
            raise ReplyError(
                f"the judge's score must be {problem}, got {shorten(score)}.",
                reply=reply,
            )
        return score, explanation

    worst = {"score": bounds[0] if bounds else 0}
    return Form(read, {"score": _score_schema(bounds)}, JUDGE_REPAIR, worst)


def _score_schema(bounds: Range | None) -> dict[str, Any]:
    if bounds is None:
        kinds = [{"type": name} for name in ("number", "boolean", "string")]
        return {"anyOf": kinds}
    low, high = bounds
    words = fill(RANGE, {"low": f"{low:g}", "high": f"{high:g}"})
    return {"type": "number", "description": words}


def _score_problem(score: Any, bounds: Range | None) -> str:
    """Say what the score should have been, or nothing if it is fine."""
    if bounds is None:
        fine = isinstance(score, (bool, int, str)) or _is_finite(score)
        return "" if fine else "a number, text or bool"
    low, high = bounds
    if not isinstance(score, bool) and _is_finite(score) and low <= score <= high:
        return ""
    return f"a number from {low:g} to {high:g}"


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def check_range(score_range: Any) -> Range | None:
    """Return the bounds of a score, or None without any.

    Raises:
        InputTypeError: They are not a pair of numbers.
        InputValueError: They are not finite, or the first is not the lower one.
    """
    if score_range is None:
        return None
    pair = tuple(score_range) if isinstance(score_range, (list, tuple)) else ()
    if len(pair) != 2 or not all(  # noqa: PLR2004 - lowest and highest
        isinstance(end, (int, float)) and not isinstance(end, bool) for end in pair
    ):
        raise InputTypeError(
            f"score_range must be (lowest, highest), got {shorten(score_range)}."
        )
    low, high = pair
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputValueError(
            f"score_range must be finite with lowest < highest, got {pair}."
        )
    return low, high


# -- comparisons ----------------------------------------------------------------------

FIRST: Final = "first"
SECOND: Final = "second"
TIE: Final = "tie"


def _read_winner(reply: str | None) -> tuple[str, str]:
    winner, explanation = _fields(reply, "winner")
    name = winner.strip().casefold() if isinstance(winner, str) else winner
    if name not in (FIRST, SECOND, TIE):
        raise ReplyError(
            f'the winner must be "first", "second" or "tie", got {shorten(winner)}.',
            reply=reply,
        )
    return str(name), explanation


WINNER_FORM: Final = Form(
    _read_winner,
    {
        "winner": {
            "type": "string",
            "enum": [FIRST, SECOND, TIE],
            "description": WINNER,
        }
    },
    PAIRWISE_REPAIR,
    {"winner": TIE},
)
