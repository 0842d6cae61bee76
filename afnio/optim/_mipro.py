"""The step of `MIPRO`: a few trials on a block each, then one on everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, cast

from afnio._dispatch import gather, in_thread
from afnio._text import shorten
from afnio._warn import warn
from afnio.errors import StateError
from afnio.optim._demos import harvest
from afnio.optim._drafts import Draft
from afnio.optim._racing import Entrant, evaluate
from afnio.optim._round import Round
from afnio.optim._scores import asettle
from afnio.optim._space import demo_sets, instructions
from afnio.optim._tasks import label_of
from afnio.optim._tpe import Choice, suggested
from afnio.optim._trials import Trial, Trials
from afnio.optim.pools import Candidate

if TYPE_CHECKING:
    from afnio.optim._engine import Search
    from afnio.optim.mipro import MIPRO

_SEEDS: Final = 2**31


@dataclass(slots=True)
class Tried:
    """A choice, and its scores by block."""

    choice: Choice
    scores: dict[int, tuple[float | None, ...]] = field(default_factory=dict)

    def mean(self) -> float | None:
        """Return the mean of all known scores."""
        flat = [s for row in self.scores.values() for s in row if s is not None]
        return fmean(flat) if flat else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        scores = {str(block): list(row) for block, row in self.scores.items()}
        return {"choice": list(self.choice), "scores": scores}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tried:
        """Return what `to_dict` wrote."""
        scores = {int(block): tuple(row) for block, row in data["scores"].items()}
        return cls(tuple(data["choice"]), scores)


class MIPRORound(Round):
    """Tries combinations of options that were found before."""

    def __init__(self, search: Search, closure: Any, trials: Trials) -> None:
        super().__init__(search, closure, trials)
        self.preset = cast("MIPRO", search)
        self.poor: list[str] = []
        self.space, tried = self._unfrozen()
        keep = all(one.scores for one in self.candidates if one.number == 0)
        self.tried = {
            each.choice: Tried(each.choice, dict(each.scores) if keep else {})
            for each in tried
        }

    def _unfrozen(self) -> tuple[list[list[Any]], list[Tried]]:
        """Return the options as they are now: a frozen parameter has just one.

        Choices that had others of it are forgotten.
        """
        space = [list(options) for options in self.preset.space]
        tried = self.preset.tried
        for number, options in enumerate(space):
            held = self.installed.values[number]
            if self.params[number].requires_grad or options == [held]:
                continue
            tried = [
                Tried((*one.choice[:number], 0, *one.choice[number + 1 :]), one.scores)
                for one in tried
                if options[one.choice[number]] == held
            ]
            space[number] = [held]
        return space, tried

    async def run(self) -> None:
        """Find the options once; then try, and evaluate the most promising choice."""
        await asettle([[param, param.grad] for param in self.params])
        await self._complete()
        if not self.space:
            self.space = await self._options()
        await self._start()
        drafts = await self._trials()
        await self._choose(drafts)
        await self._judge()
        await self.choose()
        self._remember()

    async def propose(self) -> None:
        """Refuse: options are not proposals, and trials are of a few samples each.

        Raises:
            StateError: Always.
        """
        raise StateError(
            "MIPRO chooses the samples of each trial itself, so it has no ask and "
            "tell; call step(closure)."
        )

    # -- options -------------------------------------------------------------------

    async def _options(self) -> list[list[Any]]:
        """Return the options of each parameter, the present value first."""
        parent, search = self.installed, self.preset
        findings = self._filtered(await self._evidence(parent))
        space = [[value] for value in parent.values]
        if findings is None:
            return space
        jobs = await self._all_jobs(parent, findings)
        found = await instructions(jobs, search.instructions)
        if search.instructions > 1:
            poor = [number for number, texts in found.items() if len(texts) == 1]
            self.poor = [label_of(self.params[number]) for number in poor]
        for number, param in enumerate(self.params):
            fields = getattr(param, "fields", None)
            if fields is None or not param.requires_grad:
                continue
            rows = harvest(findings.grads[number], fields, labels=search.labels)
            present = [list(row) for row in parent.values[number] or []]
            size = min(search.demos, getattr(param, "max_demos", None) or search.demos)
            found[number] = demo_sets(self.rng, present, rows, search.demo_sets, size)
        return [found.get(number, held) for number, held in enumerate(space)]

    # -- trials --------------------------------------------------------------------

    async def _start(self) -> None:
        """Evaluate the present values on everything; that is the first trial."""
        present = self.entrant_of(self.installed)
        await evaluate(self.trials, [present], range(self.trials.blocks))
        self._note(self._choice_of(self.installed), present)

    def _choice_of(self, candidate: Candidate) -> Choice | None:
        places = []
        for value, options in zip(candidate.values, self.space, strict=True):
            if value not in options:
                return None
            places.append(options.index(value))
        return tuple(places)

    def _note(self, choice: Choice | None, entrant: Entrant) -> None:
        if choice is not None:
            scores = {block: trial.scores for block, trial in entrant.parts.items()}
            self.tried.setdefault(choice, Tried(choice)).scores.update(scores)

    async def _trials(self) -> list[Draft]:
        """Evaluate new choices, each on blocks that it has not seen."""
        told = [(c, m) for c, t in self.tried.items() if (m := t.mean()) is not None]
        everything = set(range(self.trials.blocks))
        done = frozenset(
            c for c, t in self.tried.items() if set(t.scores) >= everything
        )
        seed = self.rng.randrange(_SEEDS)
        sizes = [len(options) for options in self.space]
        choices = await in_thread(
            partial(
                suggested,
                sizes,
                told,
                done,
                self.preset.trials,
                (seed, self.preset.startup),
            )
        )
        drafts = [self._drafted(choice) for choice in choices]
        await gather(self._minibatch(draft) for draft in drafts)
        return drafts

    def _drafted(self, choice: Choice) -> Draft:
        values = {
            number: options[place]
            for number, (options, place) in enumerate(
                zip(self.space, choice, strict=True)
            )
            if options[place] != self.installed.values[number]
        }
        draft = Draft(
            number=self.proposed,
            parent=self.installed,
            jobs=[],
            proposer=self.parts.proposer,
            given=values,
            roles={number: label_of(self.params[number]) for number in values},
        )
        self._enter(draft)
        entrant = draft.enter(self.params)
        known = self.tried.get(choice, Tried(choice)).scores
        entrant.parts.update({b: Trial(list(row), row) for b, row in known.items()})
        return draft

    async def _minibatch(self, draft: Draft) -> None:
        assert draft.entrant is not None
        left = [b for b in range(self.trials.blocks) if b not in draft.entrant.parts]
        count = min(self.preset.minibatch, len(left))
        await evaluate(self.trials, [draft.entrant], self.rng.sample(left, count))
        self._note(self._choice(draft), draft.entrant)

    def _choice(self, draft: Draft) -> Choice | None:
        return self._choice_of(replace(self.installed, values=draft.values))

    async def _choose(self, drafts: Sequence[Draft]) -> None:
        """Let the best mean that is not known in full go on, of any step."""
        everything = set(range(self.trials.blocks))
        fresh = {self._choice(draft): draft for draft in drafts}
        known = [one.values for one in self.candidates]
        open_ = [
            tried
            for choice, tried in self.tried.items()
            if (choice in fresh or not set(tried.scores) >= everything)
            and tried.mean() is not None
            and self._values_at(choice) not in known
        ]
        best = max(open_, key=lambda one: (one.mean() or 0.0, one.choice), default=None)
        if best is not None and best.choice not in fresh:
            self._drafted(best.choice)
        for draft in drafts:
            if best is None or self._choice(draft) != best.choice:
                assert draft.entrant is not None
                scores = draft.entrant.known()
                mean = f"{fmean(scores):.3f}" if scores else "unknown"
                draft.fate = (
                    f"mean {mean} on {len(scores)} samples; the best mean went on"
                )

    def _values_at(self, choice: Choice) -> tuple[Any, ...]:
        pairs = zip(self.space, choice, strict=True)
        return tuple(options[place] for options, place in pairs)

    def warn(self) -> None:
        """Warn of parameters for which no text was found."""
        super().warn()
        for role in self.poor:
            warn(
                f"MIPRO found no text for the parameter with role {shorten(role)!r} "
                "besides the present one: all replies were unusable.",
            )

    def _remember(self) -> None:
        for draft in self.drafts:
            if draft.entrant is not None:
                self._note(self._choice(draft), draft.entrant)
