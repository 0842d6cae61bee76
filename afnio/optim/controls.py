"""Controls: what a comparison of optimizers needs beside them.

An optimizer has shown something when it beats its control on samples that neither has
seen: `TGD` `RandomRewrite`, `BestOfN` and `ShuffledFeedback`, `FewShot` `RandomDemos`,
all of them `NoOp`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from afnio._dispatch import call_user
from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._demos import rng_from, rng_state
from afnio.optim._engine import EvidenceFilter, Search
from afnio.optim._jobs import Job
from afnio.optim._options import RewriteOptions
from afnio.optim._prompts import CONTROL_SYSTEM, CONTROL_USER
from afnio.optim._racing import Entrant
from afnio.optim._scores import asettle
from afnio.optim.few_shot import FewShot
from afnio.optim.gates import Gate, Improve
from afnio.optim.optimizer import Closure, Optimizer, ParamsT, StateDict
from afnio.optim.records import StepRecord
from afnio.optim.tgd import TGD

__all__ = ["BestOfN", "NoOp", "RandomDemos", "RandomRewrite", "ShuffledFeedback"]


class NoOp(Optimizer):
    """Change nothing: what noise alone does to the scores of a run.

    Args:
        params: The parameters to leave alone.

    Model calls: those of the closure.
    """

    credit_mode: ClassVar[str] = "passthrough"

    def __init__(self, params: ParamsT) -> None:
        super().__init__(params, {})

    async def _astep(self, closure: Closure | None = None) -> Any:
        self._steps += 1
        return None if closure is None else await call_user(closure)


class RandomRewrite(TGD):
    """Ask for a better text without showing any feedback: what data is worth.

    It rewrites every parameter at every step, from its text and role alone.

    Args:
        params: As for `TGD`, like all that follows.
        model_client: Who rewrites; None for the backward model client.
        constraints: Rules that every new text must keep.
        gate: Accept a step only if this says so.
        options: Limits of a rewrite, and the number of candidates.
        **completion_args: Passed to the model with every call.

    Model calls: 1 optimizer call per parameter and candidate; with a gate, evaluations
    besides.

    Source: the data-free control of "Textual Gradients are a Flawed Metaphor" (2025),
    arXiv 2512.13598.
    """

    credit_mode: ClassVar[str] = "passthrough"

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        *,
        gate: Gate | None = None,
        options: RewriteOptions | None = None,
        **completion_args: Any,
    ) -> None:
        messages: Sequence[Mapping[str, Any]] = [
            {"role": "system", "content": [CONTROL_SYSTEM]},
            {"role": "user", "content": [CONTROL_USER]},
        ]
        super().__init__(
            params,
            model_client,
            messages,
            None,
            constraints,
            gate=gate,
            options=options,
            **completion_args,
        )

    def _wants(self, job: Job) -> bool:
        del job
        return True


class BestOfN(RandomRewrite):
    """Ask for ``n`` texts without feedback, and keep the best: what choice is worth.

    Args:
        params: As for `TGD`, like all that follows.
        model_client: Who rewrites; None for the backward model client. At temperature 0
            it may well propose the same text again; such repetitions are left out.
        n: How many texts.
        constraints: Rules that every new text must keep.
        gate: Who decides; default is `Improve`.
        **completion_args: Passed to the model with every call.

    Model calls: ``n`` optimizer calls per parameter, and up to ``n + 1`` evaluations.

    Source: the idea is APE's (Zhou et al. 2022, arXiv 2211.01910); difference: it
    starts from the present text, not from examples.
    """

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        n: int = 8,
        constraints: Iterable[str | Variable] | None = None,
        *,
        gate: Gate | None = None,
        **completion_args: Any,
    ) -> None:
        super().__init__(
            params,
            model_client,
            constraints,
            gate=Improve() if gate is None else gate,
            options=RewriteOptions(candidates=n),
            **completion_args,
        )


class RandomDemos(FewShot):
    """Install one random set of rows, untested: what having examples at all is worth.

    Rows are collected as in `FewShot`; every step draws anew from all known so far.

    Args:
        params: As for `FewShot`, like all that follows.
        pool: Rows to draw from, instead of evidence.
        demos: Rows of the set.
        seed: Of the random generator.
        labels: Whether the target of a failing sample may stand as a row's output.

    Model calls: those of the closure, if there is one.
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        pool: Iterable[Sequence[str]] | None = None,
        demos: int = 4,
        seed: int = 0,
        labels: bool = True,
    ) -> None:
        super().__init__(params, pool=pool, demos=demos, seed=seed, labels=labels)

    @property
    def requires_closure(self) -> bool:
        """Whether ``step`` needs a closure: no."""
        return False

    async def _astep(self, closure: Closure | None = None) -> Any:
        collected = await self._collect(closure)
        search = self._search(collected)
        result = None if closure is None else await call_user(closure)
        drawn = Entrant(search.random(), number=0)
        record = StepRecord(
            step=self._steps + 1,
            optimizer=type(self).__name__,
            changes=self._changes(drawn.values, collected),
            accepted=True,
            reason="drawn at random, without a test",
        )
        self._commit(search, collected, drawn, record.reason)
        await self._record([record] if search.pools else [])
        return result


class ShuffledFeedback(Optimizer):
    """Give another optimizer feedback on the wrong things: what its content is worth.

    During ``step``, parameters of one kind get each other's gradients, and every sample
    of the evidence gets answer, target, score and critique of another one. What is said
    to a single parameter stays, unless ``bank`` is given. Gradients are as before
    afterwards. All else, such as ``history``, is the other optimizer's.

    Args:
        optimizer: The one to be misled.
        bank: Feedback from somewhere else, that takes the place of all non-empty texts.
        seed: Of the random generator.

    Model calls: those of the other optimizer.
    """

    def __init__(
        self, optimizer: Optimizer, *, bank: Iterable[str] = (), seed: int = 0
    ) -> None:
        self._inner = optimizer
        self._bank = tuple(bank)
        self._rng = random.Random(seed)
        self._pre_hooks, self._post_hooks = {}, {}
        vars(self)["credit_mode"] = optimizer.credit_mode

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # not there yet, as while it is being copied
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def requires_closure(self) -> bool:
        """Whether ``step`` needs a closure: as the other optimizer."""
        return self._inner.requires_closure

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters to the other optimizer."""
        self._inner.add_param_group(param_group)

    def state_dict(self) -> StateDict:
        """Return the other optimizer's state, with this one's random generator."""
        return {**self._inner.state_dict(), "shuffle": rng_state(self._rng)}

    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        model_clients: Mapping[str, Any] | None = None,
    ) -> None:
        """Continue from what `state_dict` returned."""
        self._inner.load_state_dict(state_dict, model_clients)
        self._rng = rng_from(state_dict["shuffle"])

    async def _astep(self, closure: Closure | None = None) -> Any:
        params = self._params()
        await asettle([[param, param.grad] for param in params])
        rng = rng_from(rng_state(self._rng))

        def mislead(grads: Sequence[Sequence[Variable]]) -> list[list[Variable]]:
            return _wrong_all(params, grads, self._bank, rng)

        inner = self._inner
        misled = _misled(params, mislead)
        if isinstance(inner, Search):
            misled = _filtered(inner, mislead)
        with misled:
            result = await inner.astep(closure)
        self._rng = rng
        return result


@contextmanager
def _filtered(search: Search, mislead: EvidenceFilter) -> Iterator[None]:
    """Mislead an optimizer that may fetch its feedback itself."""
    before, search.evidence_filter = search.evidence_filter, mislead
    try:
        yield
    finally:
        search.evidence_filter = before


@contextmanager
def _misled(params: Sequence[Variable], mislead: EvidenceFilter) -> Iterator[None]:
    """Mislead an optimizer that reads ``grad``."""
    before = [list(param.grad) for param in params]
    for param, grads in zip(params, mislead(before), strict=True):
        param.grad = list(grads)
    try:
        yield
    finally:
        for param, grads in zip(params, before, strict=True):
            param.grad = grads


def _wrong_all(
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    bank: Sequence[str],
    rng: random.Random,
) -> list[list[Variable]]:
    """Return for each parameter the gradients of another one of its kind."""
    wrong = [list(each) for each in grads]
    for kind in (True, False):
        alike = [
            number
            for number, param in enumerate(params)
            if hasattr(param, "fields") is kind
            and param.requires_grad
            and grads[number]
        ]
        turned = _turned([grads[number] for number in alike], rng)
        for number, given in zip(alike, turned, strict=True):
            wrong[number] = [_wrong(gradient, bank, rng) for gradient in given]
    return wrong


def _wrong(gradient: Variable, bank: Sequence[str], rng: random.Random) -> Variable:
    said = str(gradient.data or "")
    text = rng.choice(bank) if bank and said.strip() else gradient.data
    result = Variable(text, gradient.role)
    records = gradient.evidence
    result.evidence = tuple(
        record.but(
            output=other.output,
            target=other.target,
            score=other.score,
            success=other.success,
            critique=other.critique,
        )
        for record, other in zip(records, _turned(records, rng), strict=True)
    )
    return result


def _turned(items: Sequence[Any], rng: random.Random) -> list[Any]:
    """Return the items, turned by a random number of places so that none stays."""
    by = rng.randrange(1, len(items)) if len(items) > 1 else 0
    return [*items[by:], *items[:by]]
