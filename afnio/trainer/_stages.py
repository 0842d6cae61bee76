"""What surrounds every stage: its run, hooks, records, and what is said at its end."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from afnio._dispatch import call_user, on_loop
from afnio._text import shorten
from afnio._warn import warn
from afnio.cognitive.modules.module import Module
from afnio.errors import ModelError
from afnio.models import CallEvent, observe
from afnio.models._plan import active_plan
from afnio.tracking import get_active_run, resume
from afnio.tracking._active import run_to_resume
from afnio.trainer._evaluate import PREFIXES, Evaluation, EvaluationLoop
from afnio.trainer._hooks import fire, fire_callbacks
from afnio.trainer._metrics import Record, interval_of
from afnio.trainer._recorded import Recorded, state_of
from afnio.trainer._samples import Outcome
from afnio.trainer._spend import clients_in
from afnio.trainer._state import TrainerState

T = TypeVar("T")
_KIND: Final = {"validation": "validate", "test": "test"}
"""The parts of the data that are measured, and what records of it are called."""

_PREFIX: Final = {kind: PREFIXES[part] for part, kind in _KIND.items()}


class Stages(TrainerState):
    """The stages of a `Trainer`: each is one call of fit, validate, test or predict."""

    async def _staged(
        self,
        stage: str,
        agent: Module,
        clients: Iterable[Any],
        work: Callable[[], Awaitable[T]],
    ) -> T:
        """Do the work of a stage on afnio's loop, between setup and teardown."""

        async def staged() -> T:
            try:
                await fire_callbacks(self, agent, "setup", stage)
                return await work()
            except BaseException as error:
                await fire(self, agent, "on_exception", error)
                raise
            finally:
                await fire_callbacks(self, agent, "teardown", stage)

        self.undo_after_plan()
        clients = list(clients) if isinstance(clients, Iterable) else clients
        self.watches_found_clients = not clients
        started = self.clock()
        with self.spend.watching(clients or clients_in(agent)):
            self._join_run()
            try:
                return await on_loop(self._noting_failures(staged))
            finally:
                self.add_seconds(stage, self.clock() - started)
                self.journal.usage(stage)

    def _join_run(self) -> None:
        """Go on with the run that this process is to resume, and start the loggers."""
        if get_active_run() is None and (path := run_to_resume()) is not None:
            resume(path)
        self.sink.open()

    async def _noting_failures(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work; warn of model calls that failed although it succeeded."""
        failed: list[CallEvent] = []
        retries = self.retries

        def note(event: CallEvent) -> None:
            if isinstance(event.error, CancelledError):
                self.calls_dropped += 1
            elif event.reply is not None:
                self.calls_dropped = 0  # only those count that a stop has ended
            if isinstance(event.error, ModelError):
                failed.append(event)

        with observe(note):
            result = await work()
        if failed and retries == self.retries:
            first = failed[0]
            calls = "1 model call" if len(failed) == 1 else f"{len(failed)} model calls"
            self.warn(
                f"{calls} failed without stopping anything: nobody read the values, or "
                f"whoever did went on. The first was a {first.role} call: "
                f"{type(first.error).__name__}: {shorten(first.error, 200)}"
            )
        return result

    def warn(self, message: str) -> None:
        """Say something that should not be overlooked, once: here and in the run."""
        if message not in self.warnings:
            self.warnings.append(message)
            self.sink.event("warning", {"message": message})
            warn(message)

    async def _measure(self, agent: Module, loader: Any, part: str) -> dict[str, float]:
        """Evaluate, or find on record, one part of the data; return the means."""
        kind = _KIND[part]
        if active_plan() is None and self.recordings.wanted():
            loader = await call_user(list, loader)
            if (known := self.recordings.take(kind, agent, loader)) is not None:
                return await self._log_again(agent, known)
        self.test_looks += kind == "test"
        found = await EvaluationLoop(self, agent, part).run(loader)
        await self._log(kind, agent, found)
        return found.meter.means()

    async def _log(self, kind: str, agent: Module, found: Evaluation) -> None:
        scores, sample_set = found.scores.sorted()
        record = Record(
            kind=kind,
            metrics=found.meter.means(_PREFIX[kind]),
            samples=found.meter.samples,
            step=self.global_step,
            interval=interval_of(scores),
            mean_score=found.meter.mean_score,
            scores=scores,
            sample_set=sample_set,
        )
        rows = found.scores.outcomes
        self.sink.metrics(record.metrics)
        self.journal.parameters(agent)
        self.journal.outcomes(kind, rows, sample_set, len(scores))
        self._note(record, rows)
        await self.add_record(agent, record, state=state_of(agent))

    async def _log_again(self, agent: Module, found: Recorded) -> dict[str, float]:
        """Take over an evaluation that is in the run already."""
        record = found.record
        self._note(record, found.outcomes)
        self.test_looks += record.kind == "test"
        self.reused_looks += record.kind == "test"
        self.history.append(record)
        await fire_callbacks(self, agent, "on_record", record)
        prefix = _PREFIX[record.kind]
        return {name.removeprefix(prefix): v for name, v in record.metrics.items()}

    def _note(self, record: Record, rows: list[Outcome]) -> None:
        self.logged_metrics.update(record.metrics)
        if record.kind == "test":
            self.look_outcomes = [*self.look_outcomes[:1], rows]

    async def add_record(self, agent: Module, record: Record, **more: Any) -> None:
        """Append to ``history``, tell the active run (with more) and the callbacks."""
        self.history.append(record)
        fields = record.to_dict() | more
        self.sink.event(fields.pop("kind"), fields)
        await fire_callbacks(self, agent, "on_record", record)
