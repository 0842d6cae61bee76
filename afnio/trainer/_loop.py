"""The fit loop: epochs of training steps, each followed by validation."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from afnio._dispatch import call_user
from afnio._text import closest
from afnio.cognitive.modules.module import Module
from afnio.errors import BudgetError, InputValueError
from afnio.models._counts import DIGEST_BYTES
from afnio.models._sampling import sample_log
from afnio.trainer._checkpoint import (
    Encoded,
    clients_of,
    loader_state,
    set_loader_state,
)
from afnio.trainer._ending import budget_of, is_over
from afnio.trainer._evaluate import (
    Evaluation,
    EvaluationLoop,
    ValidationClosure,
    weight_of,
)
from afnio.trainer._hooks import fire, has, modes_kept, windows
from afnio.trainer._metrics import Meter, Record, interval_of
from afnio.trainer._optimize import StepRunner, Window, as_optimizers, needs_closure
from afnio.trainer._origin import origin
from afnio.trainer._resume import Position, apply_checkpoint, make_checkpoint
from afnio.trainer._sink import decisions_recorded
from afnio.trainer._steps import StepOutput
from afnio.trainer._summary import parameter_values

if TYPE_CHECKING:
    from afnio.trainer.trainer import Trainer

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaders:
    """Where batches come from."""

    train: Iterable[Any]
    val: Iterable[Any] | None


class FitLoop:
    """One fit, from its start or from a checkpoint to its end.

    Attributes:
        at: Where it stands.
        meter: The training metrics of the epoch so far.
        val_state: The validation loader's state when its batches were read.
        asked: How many questions, asked under a cache, the checkpoints know.
        has_been_told: Whether it was said that a wish to stop has to wait.
    """

    def __init__(self, trainer: Trainer, agent: Module, loaders: Loaders) -> None:
        self.trainer = trainer
        self.agent = agent
        self.loaders = loaders
        self.optimizers: list[Any] = []
        self.at = Position()
        self.meter = Meter()
        self.val_state: Any = None
        self.budget = budget_of(trainer.settings)
        self.encoded = Encoded()
        self.asked = 0
        self.has_been_told = False
        self._val_batches: list[Any] = []
        self._steps_here = 0
        self._started = trainer.clock()

    async def run(self, read: tuple[Path, Any] | None = None) -> None:
        """Fit.

        Args:
            read: The checkpoint to go on from, and where it is.

        Raises:
            BudgetError: The budget does not even suffice for one step.
        """
        with modes_kept(self.agent):
            await self._configure(read)
            self._tell_start(None if read is None else read[0])
            runner = StepRunner(
                self.trainer, self.agent, self.optimizers, await self._closure()
            )
            await self._fire("on_fit_start")
            await self._fire("on_train_start")
            with (
                self.budget or nullcontext(),
                decisions_recorded(
                    self.optimizers, self.trainer.sink, self.trainer.decisions
                ),
            ):
                await self._run_epochs(runner)
                await self._finish_search(runner)
            if self.at.epoch and self.trainer.checkpoints.enabled:
                kept = await make_checkpoint(self)
                await self.trainer.checkpoints.keep_last_as_best(kept)
            await self._fire("on_train_end")
            await self._fire("on_fit_end")

    async def _configure(self, read: tuple[Path, Any] | None) -> None:
        made = None
        if self.agent.automatic_optimization or has(self.agent, "configure_optimizers"):
            made = await call_user(self.agent.configure_optimizers)
        self.optimizers = self.trainer.optimizers = as_optimizers(made)
        if not self.optimizers and self.agent.automatic_optimization:
            self.trainer.warn(
                f"{type(self.agent).__name__}.configure_optimizers() returned no "
                "optimizer: nothing will be trained. Return one, or set "
                "automatic_optimization = False and step in training_step()."
            )
        self.agent._optimizers = made
        if self.trainer.watches_found_clients:
            found = [clients_of(optimizer) for optimizer in self.optimizers]
            self.trainer.spend.watch_also(c for each in found for c in each.values())
        self._note_start()
        if read is not None:
            file, checkpoint = read
            await apply_checkpoint(self, checkpoint, file)
            await self.trainer.checkpoints.restore_samples(file.parent, self.asked)
        elif self.trainer.settings.seed is not None:
            random.seed(self.trainer.settings.seed)

    def _tell_start(self, resumed_from: Path | None) -> None:
        """Tell the run, if there is one, what is about to be trained."""
        if self.trainer.sink.active:
            self.trainer.count_fit()
            self.trainer.sink.describe(**origin(self))
            self.trainer.journal.fit_start(self, resumed_from)

    def _note_start(self) -> None:
        """Note what is about to be trained, the first time it is."""
        trainer = self.trainer
        if trainer.agent is not self.agent:
            trainer.agent, trainer.decisions = self.agent, []
            trainer.initial_values = parameter_values(self.agent)

    async def _closure(self) -> ValidationClosure | None:
        if self.loaders.val is not None:
            self._val_batches = await call_user(self._read_val, self.loaders.val)
            if not self._val_batches:
                raise InputValueError(
                    "the validation loader gave no batches: the val_dataloader of "
                    "fit() is empty, or a generator that was read before; pass a list "
                    "or a DataLoader, or leave it out."
                )
            return ValidationClosure(self.agent, self._val_batches)
        names = [type(each).__name__ for each in self.optimizers if needs_closure(each)]
        if names:
            raise InputValueError(
                f"{names[0]} accepts changes on validation evidence; pass a "
                "val_dataloader to fit()."
            )
        return None

    def _read_val(self, loader: Any) -> list[Any]:
        """Read the validation batches, once, so that all evaluations are paired."""
        set_loader_state(loader, self.val_state)
        iterator = iter(loader)
        self.val_state = loader_state(loader)
        return list(iterator)

    # -- epochs ---------------------------------------------------------------------

    async def _run_epochs(self, runner: StepRunner) -> None:
        try:
            for epoch in range(self.at.next_epoch, self.trainer.max_epochs + 1):
                if is_over(self) or not await self._train_epoch(epoch, runner):
                    break
                await self._finish_epoch(epoch)
        except BudgetError as error:
            if not self._steps_here:
                raise
            self.trainer.stop(str(error))
        if self.trainer.stop_reason:
            _logger.info("fit stopped: %s", self.trainer.stop_reason)

    async def _finish_search(self, runner: StepRunner) -> None:
        """Let optimizers choose what the fit returns; that becomes the best file, too.

        The best file so far was chosen on scores that had a part in finding it.
        """
        limit = self.trainer.settings.max_time
        try:
            in_time = limit is None or self.seconds() < limit
            if self.at.step and in_time and await runner.finish():
                self.trainer.journal.parameters(self.agent)
                await self._save(is_best=True)
        except BudgetError as error:
            self.trainer.stop(str(error))

    def seconds(self) -> float:
        """Return how long the fit has taken, before it was resumed included."""
        return self.at.seconds_before + self.trainer.clock() - self._started

    async def _train_epoch(self, epoch: int, runner: StepRunner) -> bool:
        """Train on every batch; return False if a limit ended it before."""
        self.trainer.current_epoch = epoch
        self.agent.train()
        if not self.at.done:
            await self.at.catch_up(self.loaders.train)
            self.meter = Meter()
        await self._fire("on_train_epoch_start")
        seen = self.at.done
        batches = await self.at.enter(self.loaders.train)
        size = self.trainer.settings.accumulate_grad_batches
        async for window in windows(batches, size, seen):
            self.at.caught_up()
            seen += len(window)
            self.at.fetched = seen
            if is_over(self):
                return False
            if await self._is_epoch_cut(window):
                self.at.is_cut = True
                return True
            await self._train_window(epoch, window, await runner.run(window))
        if not seen:
            raise InputValueError(
                f"the train loader gave no batches in epoch {epoch}; a generator can "
                "be read only once: pass a list or a DataLoader."
            )
        return True

    async def _is_epoch_cut(self, window: Window) -> bool:
        """Whether a hook wants the rest of the epoch to be left out."""
        for number, batch in window:
            if -1 in await self._fire("on_train_batch_start", batch, number):
                return True
        return False

    async def _train_window(
        self, epoch: int, window: Window, outputs: Sequence[StepOutput | None]
    ) -> None:
        """Count, record and save a step that was made."""
        own = self._measure(window, outputs)
        stepped = any(outputs) or not self.agent.automatic_optimization
        self.at.step += stepped
        self._steps_here += stepped
        trainer = self.trainer
        trainer.global_step = self.at.step
        trainer.logged_metrics.update(self.meter.means("train_"))
        trainer.logged_metrics["total_cost($)"] = trainer.total_cost
        trainer.mean_scores["train"] = self.meter.mean_score
        last = window[-1][0]
        record = Record(
            kind="step",
            metrics=own.means("train_"),
            samples=own.samples,
            epoch=epoch,
            batch=last,
            step=self.at.step,
            mean_score=own.mean_score,
        )
        await trainer.add_record(self.agent, record)
        trainer.journal.usage("fit")
        for (number, batch), output in zip(window, outputs, strict=True):
            raw = None if output is None else output.raw
            await self._fire("on_train_batch_end", raw, batch, number)
        self.at.end_batch(epoch, last)
        await self._save(is_best=False)

    def _measure(self, window: Window, outputs: Sequence[StepOutput | None]) -> Meter:
        own = Meter()
        for (_, batch), output in zip(window, outputs, strict=True):
            size = weight_of(batch)
            self.trainer.journal.saw(batch, size)
            if output is not None:
                scores = output.scores()
                for meter in (own, self.meter):
                    meter.add(output.metrics(), size, scores)
        return own

    async def _finish_epoch(self, epoch: int) -> None:
        self.at.caught_up()
        trainer, interval, mean = self.trainer, None, self.meter.mean_score
        metrics, samples = self.meter.means("train_"), self.meter.samples
        trainer.journal.epoch_end()
        if not samples and self.agent.automatic_optimization and not self.at.is_cut:
            trainer.warn(
                f"{type(self.agent).__name__}.training_step() returned None for every "
                "batch of an epoch: nothing was trained. Return (score, explanation), "
                "or a dict with that pair as 'loss'."
            )
        if self.loaders.val is not None:
            loop = EvaluationLoop(trainer, self.agent, "validation")
            found = await loop.run(self._val_batches)
            metrics |= found.meter.means("val_")
            interval = interval_of(found.scores.sorted()[0])
            mean = found.meter.mean_score
            self._name_val_data(found)
        metrics["total_cost($)"] = self.trainer.total_cost
        self.trainer.logged_metrics.update(metrics)
        self.trainer.sink.metrics(metrics, step=epoch)
        record = Record(
            kind="epoch",
            metrics=metrics,
            samples=samples,
            epoch=epoch,
            step=self.at.step,
            interval=interval,
            mean_score=mean,
        )
        trainer.journal.parameters(self.agent)
        await trainer.add_record(self.agent, record)
        trainer.journal.usage("fit")
        await self._fire("on_train_epoch_end")
        self.at.end_epoch(epoch)
        best = self.trainer.checkpoints.beats_best(self._monitored(metrics))
        await self._save(is_best=best)

    def _name_val_data(self, found: Evaluation) -> None:
        _, name = found.scores.sorted()
        self.trainer.journal.data("validation", name, len(found.scores))

    async def _save(self, *, is_best: bool) -> None:
        files = self.trainer.checkpoints
        if files.enabled:
            asked = sample_log(self.asked)
            self.asked += len(asked) // DIGEST_BYTES
            made = await make_checkpoint(self)
            await files.save(made, is_best=is_best, samples=asked)

    def _monitored(self, metrics: dict[str, float]) -> float | None:
        name = self.trainer.settings.monitor
        if name is not None and name not in metrics:
            raise InputValueError(
                f"monitor is {name!r}, but the metrics are {', '.join(metrics)}; "
                f"{closest(name, metrics)}"
            )
        return metrics.get(self.trainer.monitor)

    async def _fire(self, name: str, *args: Any) -> list[Any]:
        return await fire(self.trainer, self.agent, name, *args)
