"""A program's runs as code, and one question about all of its parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from afnio._text import closest, cut_middle, fence, fill, shorten
from afnio.autodiff.evidence import Evidence
from afnio.errors import RewriteRefused
from afnio.models._response_format import closed_object, object_schema
from afnio.optim._catalogue_prompts import GRAPH_CONTRACT, GRAPH_SYSTEM, GRAPH_USER
from afnio.optim._prompts import Task, limits_of, mark_of, pieces_of
from afnio.optim._question import (
    Question,
    answered,
    read_object,
    stand_in,
)
from afnio.optim._rewrite import Outcome
from afnio.optim._safety import check, tidy

if TYPE_CHECKING:
    from afnio.optim.proposers import Ask

_TEXT: Final = {"type": "string"}

VALUES_SCHEMA: Final = object_schema(
    "values",
    {
        "reasoning": _TEXT,
        "values": {
            "type": "array",
            "items": closed_object({"name": _TEXT, "value": _TEXT}),
        },
    },
)


@dataclass(frozen=True, slots=True)
class Graph:
    """Ask once for all parameters, showing the program's runs as code.

    Every call of a run is a line; which value went where is found by comparing what
    came out of one call with what went into another. Parameters that the reply leaves
    out stay as they are.

    Model calls: 1, and up to ``attempts`` while replies are unusable.

    Source: OptoPrime (Cheng et al. 2024), arXiv 2406.16218.
    """

    async def propose(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Ask for all in one call."""
        tasks = [ask.task for ask in asks]
        contract = _contract(tasks)
        values = {
            "program": fence(program_of(tasks), "program"),
            "parameters": "\n\n".join(_parameters(tasks)),
            "reply": contract,
        }
        question = Question(
            client=asks[0].client,
            messages=[
                {"role": "system", "content": GRAPH_SYSTEM},
                {"role": "user", "content": fill(GRAPH_USER, values)},
            ],
            contract=contract,
            args={"response_format": VALUES_SCHEMA, **asks[0].completion_args},
            attempts=max(task.options.attempts for task in tasks),
        )

        def read(reply: str | None) -> dict[str, str]:
            return _values_in(reply, tasks)

        planned = {_name(n): stand_in(task.current) for n, task in enumerate(tasks)}
        found = await answered(question, read, planned)
        if found.value is None:
            return [Outcome(None, found.reason, found.attempts) for _ in tasks]
        return [
            Outcome(found.value.get(_name(n), task.current), "", found.attempts)
            for n, task in enumerate(tasks)
        ]


def _name(number: int) -> str:
    return f"p{number}"


def _values_in(reply: str | None, tasks: Sequence[Task]) -> dict[str, str]:
    """Return the new texts by name, each fit to be installed.

    Raises:
        RewriteRefused: Naming the parameter.
    """
    rows = read_object(reply).get("values")
    known = {_name(number): task for number, task in enumerate(tasks)}
    found: dict[str, str] = {}
    for row in rows if isinstance(rows, list) else ():
        name, value = _pair(row, reply)
        if name not in known:
            hint = closest(name, known)
            raise RewriteRefused(
                f"there is no parameter {shorten(name)!r}; {hint}", reply=reply
            )
        task = known[name]
        text = tidy(value, task.current)
        if text == task.current:
            continue
        try:
            check(text, task)
        except RewriteRefused as refusal:
            raise RewriteRefused(f"{name}: {refusal}", reply=reply) from refusal
        found[name] = text
    if not found:
        raise RewriteRefused('it changes none of the "values".', reply=reply)
    return found


def _pair(row: Any, reply: str | None) -> tuple[str, str]:
    if isinstance(row, Mapping):
        name, value = row.get("name"), row.get("value")
        if isinstance(name, str) and isinstance(value, str):
            return name, value
    raise RewriteRefused('each of "values" needs a "name" and a "value".', reply=reply)


# -- what is shown -------------------------------------------------------------------


def _contract(tasks: Sequence[Task]) -> str:
    names = ", ".join(_name(number) for number in range(len(tasks)))
    lines = [GRAPH_CONTRACT.replace("{names}", names)]
    for number, task in enumerate(tasks):
        own = replace(task, variant=0)
        lines += [f"{_name(number)}: {line}" for line in limits_of(own, mark_of(own))]
    if tasks[0].variant:
        plain = Task(current="", variant=tasks[0].variant)
        lines += limits_of(plain, "")
    return "\n".join(lines)


def _parameters(tasks: Iterable[Task]) -> Iterable[str]:
    """Yield what there is to say about each parameter."""
    for number, task in enumerate(tasks):
        feedback = () if task.seen else task.feedback
        own = replace(task, failures=(), successes=(), feedback=feedback, variant=0)
        pieces = pieces_of(own, mark_of(own))
        names = ("role", "current", "feedback", "history", "constraints")
        said = [pieces[name] for name in names if pieces[name]]
        yield fence("\n".join([f"{_name(number)}:", *said]), "parameter")


@dataclass(slots=True)
class Call:
    """One call of a run: which parameters it read, and what went in and out."""

    names: list[str]
    record: Evidence


def runs_of(seen: Sequence[Iterable[Evidence]]) -> dict[tuple[int, str], list[Call]]:
    """Return the calls of every run, in order, by sample and what was expected.

    Args:
        seen: The evidence on each parameter.
    """
    runs: dict[tuple[int, str], list[Call]] = {}
    for number, records in enumerate(seen):
        for record in records:
            calls = runs.setdefault((record.index, str(record.target)), [])
            same = [call for call in calls if _is_same(call.record, record)]
            if same:
                same[0].names.append(_name(number))
            else:
                calls.append(Call([_name(number)], record))
    return {key: _in_order(calls) for key, calls in runs.items()}


def program_of(tasks: Sequence[Task]) -> str:
    """Return the runs of the program on the samples that the tasks show, as code."""
    runs = runs_of([(*task.failures, *task.successes) for task in tasks])
    return "\n\n".join(
        "\n".join(_run(number, calls, tasks[0]))
        for number, calls in enumerate(runs.values(), 1)
    )


def _is_same(one: Evidence, other: Evidence) -> bool:
    return list(one.messages) == list(other.messages) and one.output == other.output


def _run(number: int, calls: Sequence[Call], task: Task) -> Iterable[str]:
    """Yield the lines of one run."""
    record = calls[-1].record
    facts = [f"score {record.score}"] if record.score is not None else []
    if record.target is not None:
        facts.append(f"expected {_quoted(record.target, task)}")
    yield f"# run {number}: {', '.join(facts) or 'no score'}"
    outputs: dict[str, str] = {}
    for place, call in enumerate(calls, 1):
        given = [
            f"{name}={outputs.get(str(value)) or _quoted(value, task)}"
            for name, value in call.record.inputs.items()
        ]
        target = f"v{place}"
        yield f"{target} = call({', '.join([*call.names, *given])})"
        yield f"    # {_quoted(call.record.output, task)}"
        outputs.setdefault(str(call.record.output), target)
    if record.critique and not record.success:
        said = cut_middle(record.critique, task.options.feedback_chars)
        yield f"# said about it: {json.dumps(said, ensure_ascii=False)}"


def _in_order(calls: Sequence[Call]) -> list[Call]:
    """Return calls such that what one needs comes before it, where that can be told."""
    left, done = list(calls), []
    while left:
        free = [
            call for call in left if not any(_needs(call, other) for other in left)
        ] or left
        done.append(free[0])
        left.remove(free[0])
    return done


def _needs(call: Call, other: Call) -> bool:
    values = {str(value) for value in call.record.inputs.values()}
    return call is not other and str(other.record.output) in values


def _quoted(value: Any, task: Task) -> str:
    text = cut_middle(str(value), task.options.sample_chars)
    return json.dumps(text, ensure_ascii=False)
