"""Ask and tell: a step whose candidates somebody else evaluates, as plain data.

Between `Search.ask` and the last `Search.tell` there may be hours, or another process.
So what is pending is kept as JSON only, and the step is put together again at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from afnio._text import shorten
from afnio.errors import InputValueError, StateError
from afnio.optim._demos import rng_from, rng_state
from afnio.optim._drafts import Draft
from afnio.optim._joint import united_drafts
from afnio.optim._scores import Scores, asettle, sample_scores
from afnio.optim._trials import Trial, Trials
from afnio.optim.pools import Candidate
from afnio.optim.records import StepRecord

if TYPE_CHECKING:
    from afnio.optim._engine import Search
    from afnio.optim._round import Round

Pending = dict[str, Any]
"""What is asked and not all told, as JSON."""

_ALL: Final = 0
"""The only block there is: all samples of those who tell."""


class Told:
    """Stands for the closure: scores come from those who tell."""

    key: Final = "told"
    parameters: Final = ()

    def __call__(self) -> Any:
        """Raise: nobody told this one's scores.

        Raises:
            StateError: Always.
        """
        raise StateError(
            "a candidate of an earlier step has no scores; with ask and tell, all "
            "candidates must be told on the same samples."
        )


def round_of(search: Search) -> Round:
    """Return a step whose scores are told."""
    closure = Told()
    return search.round_type(search, closure, Trials(closure, type(search).__name__))


async def asked_of(work: Round) -> Pending:
    """Make the proposals of a step, and write them down."""
    await work.propose()
    parent = work.installed
    known = work.entrant_of(parent).parts
    open_ones = [draft for draft in work.drafts if not draft.fate]
    joint = united_drafts(open_ones, work.proposed) if work.parts.unite else []
    work.proposed += len(joint)
    work.drafts += joint
    open_ones += joint
    asked = [] if known else [parent.number]
    return {
        "step": work.search._steps,
        "parent": parent.to_dict(),
        "rng": rng_state(work.rng),
        "proposed": work.proposed,
        "drafts": [
            {
                "values": list(draft.values),
                "record": draft.record(0, "", None).to_dict(),
            }
            for draft in work.drafts
        ],
        "asked": [*asked, *(draft.number for draft in open_ones)],
        "told": {},
    }


def candidates_in(pending: Pending) -> list[Candidate]:
    """Return those whose scores are not told yet."""
    parent = Candidate.from_dict(pending["parent"])
    found = [parent] + [
        Candidate(
            number=item["record"]["candidate"],
            values=tuple(item["values"]),
            parents=(parent.number,),
            step=pending["step"] + 1,
        )
        for item in pending["drafts"]
    ]
    left = {n for n in pending["asked"] if str(n) not in pending["told"]}
    return [one for one in found if one.number in left]


async def noted(pending: Pending, candidate: Candidate, result: Any) -> Pending:
    """Return what is pending with one candidate's scores added.

    Raises:
        InputValueError: It was not asked about, was told before, or has another number
            of scores than the others.
        InputTypeError: These are no scores.
    """
    number = getattr(candidate, "number", candidate)
    left = [one.number for one in candidates_in(pending)]
    if number not in left:
        raise InputValueError(
            f"candidate {shorten(number)} has nothing to be told; waiting are "
            f"{', '.join(map(str, left)) or 'none'}. Call ask() first."
        )
    await asettle(result)
    scores = sample_scores(result)
    others = [len(told) for told in pending["told"].values()]
    others += [len(s) for s in pending["parent"]["scores"].values()]
    if not scores or any(len(scores) != count for count in others):
        raise InputValueError(
            f"candidate {number} was told {len(scores)} scores, expected "
            f"{others[0] if others else 'one for each sample'}: all candidates are "
            "compared on the same samples, in the same order."
        )
    return {**pending, "told": {**pending["told"], str(number): scores}}


async def complete(work: Round, pending: Pending) -> None:
    """Decide on a step of which everything is told.

    Raises:
        StateError: The parameters have changed since.
    """
    parent = Candidate.from_dict(pending["parent"])
    if work.installed.values != parent.values:
        raise StateError(
            "the parameters have changed since ask(): their scores were told for other "
            "values. Install candidates with opt.trying(candidate), or call ask() anew."
        )
    work.rng, work.proposed = rng_from(pending["rng"]), pending["proposed"]
    told: Mapping[str, Scores] = pending["told"]
    _tell(work, work.installed, told.get(str(parent.number)))
    for item in pending["drafts"]:
        draft = _draft(work, item)
        work.drafts.append(draft)
        if not draft.fate:
            scores = told[str(draft.number)]
            draft.enter(work.params).parts[_ALL] = Trial(list(scores), tuple(scores))
    await work._judge()
    await work.choose()


def _tell(
    work: Round, candidate: Candidate, scores: Sequence[float | None] | None
) -> None:
    if scores is not None:
        parts = work.entrant_of(candidate).parts
        parts[_ALL] = Trial(list(scores), tuple(scores))


def _draft(work: Round, item: Mapping[str, Any]) -> Draft:
    record = StepRecord.from_dict(item["record"])
    return Draft(
        number=record.candidate,
        parent=work.installed,
        jobs=[],
        proposer=work.parts.proposer,
        given=dict(enumerate(item["values"])),
        changes=record.changes,
        fate=record.reason,
    )
