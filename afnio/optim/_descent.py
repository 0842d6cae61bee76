"""The step of `FeedbackDescent`: comparing a proposal with its parent, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from afnio._text import cut_middle, fence, fill, shorten
from afnio.autodiff.evidence import Evidence
from afnio.errors import RewriteRefused, StateError
from afnio.models._response_format import object_schema
from afnio.optim._catalogue_prompts import (
    COMPARE_CONTRACT,
    COMPARE_SYSTEM,
    COMPARE_USER,
)
from afnio.optim._decision import Decision, weigh
from afnio.optim._drafts import Draft
from afnio.optim._findings import Findings, findings_on
from afnio.optim._graph import runs_of
from afnio.optim._options import RewriteOptions
from afnio.optim._question import (
    Answer,
    Question,
    answered,
    read_object,
    read_text,
)
from afnio.optim._racing import Ruling
from afnio.optim._round import Round
from afnio.optim._scores import paired
from afnio.optim._tasks import settings_of

if TYPE_CHECKING:
    from afnio.optim._engine import Search
    from afnio.optim._trials import Trials
    from afnio.optim.feedback_descent import FeedbackDescent

_WORDS: Final = ("first", "second", "neither")

COMPARE_SCHEMA: Final = object_schema(
    "comparison",
    {
        "rationale": {"type": "string"},
        "preferred": {"type": "string", "enum": list(_WORDS)},
    },
)


class DescentRound(Round):
    """Compares every proposal with its parent, and keeps what was said."""

    def __init__(self, search: Search, closure: Any, trials: Trials) -> None:
        super().__init__(search, closure, trials)
        self.preset = cast("FeedbackDescent", search)
        if self.preset.prefer == "judge" and not self.can_train:
            raise StateError(
                "the judge compares answers to training samples, but this closure has "
                "none. Pass a SampleClosure with train=..., or let prefer='scores'."
            )

    async def _check(self) -> None:
        """Compare, one proposal after the other, each on its parent's samples."""
        for draft in self._alive():
            if draft.findings is not None and draft.findings.numbers:
                await self._compare(draft, draft.findings)

    async def _judge(self) -> None:
        """Admit what the judge prefers; scores decide on the others."""
        ruled = [d for d in self.drafts if d.ruling is not None and not d.joined]
        await super()._judge()
        wins = [d for d in ruled if d.ruling and d.ruling.decision.accepted]
        self._admit(wins)

    async def _compare(self, draft: Draft, theirs: Findings) -> None:
        mode = self.search.credit_mode
        values = dict(self._values(draft))
        mine = await findings_on(self.closure, values, theirs.numbers, mode)
        is_first = self.rng.random() < 0.5  # noqa: PLR2004 - a coin
        pair = (mine, theirs) if is_first else (theirs, mine)
        answer = await self._asked(pair)
        if answer.value is None:
            said = f"no usable comparison: {answer.reason}"
            if self.preset.prefer == "judge":
                draft.fate = said
            return
        draft.rationale, word = answer.value
        draft.rationale = _named(draft.rationale, is_first=is_first)
        if self.preset.prefer == "judge":
            wins = word == ("first" if is_first else "second")
            draft.ruling = self._ruling(draft, theirs, mine, wins=wins)

    async def _asked(self, pair: Sequence[Findings]) -> Answer[tuple[str, str]]:
        """Ask the judge about the first and the second version."""
        group = self.search.settings_group(self.search.param_groups[0])
        client = self.preset.judge
        if client is None:
            client = (await settings_of(group)).client
        options = self.search.options
        examples = "\n".join(_examples(pair[0], pair[1], options))
        values = {"examples": examples, "reply": COMPARE_CONTRACT}
        question = Question(
            client=client,
            messages=[
                {"role": "system", "content": COMPARE_SYSTEM},
                {"role": "user", "content": fill(COMPARE_USER, values)},
            ],
            contract=COMPARE_CONTRACT,
            args={"response_format": COMPARE_SCHEMA},
            attempts=options.attempts,
            role="judge",
        )
        return await answered(question, _read, ("", "neither"))

    def _ruling(
        self, draft: Draft, theirs: Findings, mine: Findings, *, wins: bool
    ) -> Ruling:
        before, after = paired(theirs.scores, mine.scores)
        reason = f"the judge {'prefers it' if wins else 'does not prefer it'}"
        decision = Decision(accepted=wins, reason=reason, **weigh(before, after))
        return Ruling(draft.enter(self.params), decision, before, after)


def _read(reply: str | None) -> tuple[str, str]:
    found = read_object(reply)
    word = str(found.get("preferred")).strip().lower()
    if word not in _WORDS:
        raise RewriteRefused(
            f'"preferred" is {shorten(word)!r}; expected "first", "second" or '
            '"neither".',
            reply=reply,
        )
    return read_text(found, "rationale", reply), word


def _named(rationale: str, *, is_first: bool) -> str:
    """Say which version was which: the proposer did not see them side by side."""
    first, second = ("new", "old") if is_first else ("old", "new")
    return f"(first version: the {first} text; second: the {second} one) {rationale}"


def _examples(
    first: Findings, second: Findings, options: RewriteOptions
) -> Iterable[str]:
    """Yield every sample with both answers, fenced."""
    runs = [runs_of(_records(findings)) for findings in (first, second)]
    for key, calls in runs[0].items():
        other = runs[1].get(key)
        if other is None:
            continue
        start, end = calls[0].record, calls[-1].record
        lines = [_line(f"input {n}", v, options) for n, v in start.inputs.items()]
        if end.target is not None:
            lines.append(_line("expected", end.target, options))
        for word, record in (("first", end), ("second", other[-1].record)):
            lines += _answer(word, record, options)
        yield fence("\n".join(lines), "example")


def _records(findings: Findings) -> list[list[Evidence]]:
    return [[r for grad in grads for r in grad.evidence] for grads in findings.grads]


def _answer(word: str, record: Evidence, options: RewriteOptions) -> Iterable[str]:
    yield _line(f"{word} version's answer", record.output, options)
    if record.score is not None:
        yield f"{word} version's score: {record.score}"
    if record.critique and not record.success:
        yield _line(f"said about the {word} version", record.critique, options)


def _line(name: str, value: Any, options: RewriteOptions) -> str:
    return f"{name}: {fence(cut_middle(str(value), options.sample_chars), 'value')}"
