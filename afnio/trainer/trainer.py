"""Trainer: fit, validate, test and predict; Lightning's shape, for text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from afnio._dispatch import run_sync
from afnio._text import describe
from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError, InputValueError
from afnio.trainer._checkpoint import read_checkpoint
from afnio.trainer._evaluate import EvaluationLoop, length_of
from afnio.trainer._hooks import require
from afnio.trainer._loop import FitLoop, Loaders
from afnio.trainer._progress import print_summary
from afnio.trainer._stages import Stages
from afnio.trainer._state import PathLike
from afnio.trainer._steps import get_batch_size
from afnio.trainer._stopped import note_dropped, read_stopped, stopped

__all__ = ["Trainer", "get_batch_size"]

T = TypeVar("T")


class Trainer(Stages):
    """Runs the training loop of a Module, and its validation, test and prediction.

    Steps and hooks of the Module may be ``def`` or ``async def``. ``loss`` keeps its
    name although it is a score: higher is better, unless ``higher_is_better=False``.

    Args:
        max_epochs: Epochs in all; None means 10.
        enable_checkpointing: Write ``checkpoints/best.json`` and ``last.json``.
        enable_progress_bar: Show progress on standard error: bars on a terminal, plain
            lines elsewhere.
        enable_agent_summary: Show the agent when a fit starts.
        default_root_dir: Where checkpoints go; by default the active run's directory,
            or else the working directory.
        callbacks: Called around everything, in this order.
        loggers: Where else everything is recorded: `afnio.tracking.RunLogger` objects,
            which join the active run if there is one.
        **options: See `afnio.trainer.Settings`.

    Attributes:
        settings: All of the above that are numbers and names.
        callbacks: The callbacks, the progress bar included.
        optimizers: What the agent configured, as a list.
        current_epoch: From 1; 0 before the first.
        global_step: Training steps done.
        history: A `Record` for every step, epoch, validation and test, oldest first.
        logged_metrics: The latest value of every metric.
        test_looks: How often the test set was looked at.
        stop_reason: Why a fit ended before ``max_epochs``, or "".
        interrupted: Whether Ctrl-C ended the last stage.

    Raises:
        InputTypeError: An option is unknown or of the wrong kind.
        InputValueError: An option is out of range.
    """

    def fit(
        self,
        agent: Module,
        train_dataloader: Iterable[Any] | None = None,
        val_dataloader: Iterable[Any] | None = None,
        ckpt_path: PathLike | None = None,
        llm_clients: Iterable[Any] = (),
    ) -> None:
        """Train ``agent``.

        Per batch: clear gradients, ``training_step``, backward from the explanation,
        optimizer step, checkpoint. Per epoch: validation, in evaluation mode and
        without gradients, on batches that are read once, so that all scores compare.
        An optimizer with ``requires_closure`` gets a function that evaluates the agent
        on those batches; nothing in here reads test data.

        An error in the agent's code is raised at once. Whatever happens, the checkpoint
        of the last finished step is on disk, and modes are as they were before.

        Args:
            agent: The Module; it needs ``training_step`` and ``configure_optimizers``.
            train_dataloader: Any iterable of batches that can be read once per epoch.
            val_dataloader: Any iterable of batches.
            ckpt_path: Continue exactly from this checkpoint, or from ``"last"`` or
                ``"best"``: this Trainer's or, before its first fit, those that an
                earlier process has left in the same folder.
            llm_clients: Model clients whose cost is shown and logged; their counters
                are read, never cleared. By default those that can be found: the
                agent's, its optimizers', and who writes the critiques.

        Raises:
            InputTypeError: An argument is of the wrong kind.
            InputValueError: There is no train loader, it is empty, or an optimizer
                needs a validation loader that is not there.
            MissingHookError: The agent lacks a step.
            KeyboardInterrupt: Ctrl-C; the message says how to resume. A script ends
                with it, unless it catches it, so nothing after ``fit`` runs on (or pays
                for) what is half trained.
        """
        args = (agent, train_dataloader, val_dataloader, ckpt_path, llm_clients)
        self._wait_for(self.afit(*args), "fit")

    async def afit(
        self,
        agent: Module,
        train_dataloader: Iterable[Any] | None = None,
        val_dataloader: Iterable[Any] | None = None,
        ckpt_path: PathLike | None = None,
        llm_clients: Iterable[Any] = (),
    ) -> None:
        """Await what `fit` does."""
        _check(agent, train_dataloader, val_dataloader, ckpt_path)
        if train_dataloader is None:
            raise InputValueError("fit() needs a train_dataloader.")
        require(agent, "training_step")
        if agent.automatic_optimization:
            require(agent, "configure_optimizers")
        if val_dataloader is not None:
            require(agent, "validation_step")
        loaders = Loaders(train_dataloader, val_dataloader)
        await self._staged(
            "fit", agent, llm_clients, lambda: self._fit(agent, loaders, ckpt_path)
        )

    async def _fit(
        self, agent: Module, loaders: Loaders, path: PathLike | None
    ) -> None:
        read = None if path is None else await self._read(path)
        self.stop_reason, self.current_epoch, self.global_step = "", 0, 0
        default = "train_loss" if loaders.val is None else "val_loss"
        self.monitor = self.settings.monitor or default
        self.totals["train"] = length_of(loaders.train)
        self.checkpoints = self.new_checkpoints()
        if path is None:
            read = await read_stopped(self.checkpoints.last_file)
        if read is not None:
            self.checkpoints.go_on_from(read[0], read[1]["trainer"]["best_score"])
        if self.enable_agent_summary:
            print_summary(agent)
        try:
            await FitLoop(self, agent, loaders).run(read)
        finally:
            await self.checkpoints.flush()
            self.journal.fit_end()

    # -- validate, test, predict ----------------------------------------------------

    def validate(
        self,
        agent: Module,
        val_dataloader: Iterable[Any] | None = None,
        llm_clients: Iterable[Any] = (),
        *,
        ckpt_path: PathLike | None = None,
    ) -> dict[str, float]:
        """Return the means of what ``validation_step`` returns, weighted by samples.

        All batches are dispatched before the first is read, so model calls overlap.

        Args:
            agent: The Module.
            val_dataloader: Any iterable of batches.
            llm_clients: As for `fit`.
            ckpt_path: Load the agent from this checkpoint first; ``"best"`` and
                ``"last"`` are as for `fit`.

        Raises:
            InputTypeError: An argument is of the wrong kind.
            InputValueError: There is no loader, or it is empty.
            MissingHookError: The agent has no ``validation_step``.
        """
        args = (agent, val_dataloader, llm_clients)
        return self._wait_for(self.avalidate(*args, ckpt_path=ckpt_path), "validate")

    async def avalidate(
        self,
        agent: Module,
        val_dataloader: Iterable[Any] | None = None,
        llm_clients: Iterable[Any] = (),
        *,
        ckpt_path: PathLike | None = None,
    ) -> dict[str, float]:
        """Await what `validate` does."""
        work = self._evaluation(agent, val_dataloader, ckpt_path, "validation")
        return await self._staged("validate", agent, llm_clients, work)

    def test(
        self,
        agent: Module,
        test_dataloader: Iterable[Any] | None = None,
        llm_clients: Iterable[Any] = (),
        *,
        ckpt_path: PathLike | None = None,
    ) -> dict[str, float]:
        """Return the means of what ``test_step`` returns, weighted by samples.

        Every look at the test set is counted in ``test_looks``, and recorded with the
        score's 95 % interval. Arguments and errors are those of `validate`.

        In a run that is resumed, a test (or validation) of the same samples by an agent
        with the same parameters that is on record already is not repeated.
        """
        args = (agent, test_dataloader, llm_clients)
        return self._wait_for(self.atest(*args, ckpt_path=ckpt_path), "test")

    async def atest(
        self,
        agent: Module,
        test_dataloader: Iterable[Any] | None = None,
        llm_clients: Iterable[Any] = (),
        *,
        ckpt_path: PathLike | None = None,
    ) -> dict[str, float]:
        """Await what `test` does."""
        work = self._evaluation(agent, test_dataloader, ckpt_path, "test")
        return await self._staged("test", agent, llm_clients, work)

    def predict(
        self,
        agent: Module,
        dataloader: Iterable[Any] | None = None,
        llm_clients: Iterable[Any] = (),
        *,
        ckpt_path: PathLike | None = None,
    ) -> list[Any]:
        """Return what ``predict_step`` returns for every batch, its Variables ready.

        Without a ``predict_step`` of its own, the agent is called with the batch.
        Arguments and errors are those of `validate`.
        """
        args = (agent, dataloader, llm_clients)
        return self._wait_for(self.apredict(*args, ckpt_path=ckpt_path), "predict")

    async def apredict(
        self,
        agent: Module,
        dataloader: Iterable[Any] | None = None,
        llm_clients: Iterable[Any] = (),
        *,
        ckpt_path: PathLike | None = None,
    ) -> list[Any]:
        """Await what `predict` does."""
        work = self._evaluation(agent, dataloader, ckpt_path, "predict")
        return await self._staged("predict", agent, llm_clients, work)

    def _evaluation(
        self, agent: Module, loader: Any, path: PathLike | None, kind: str
    ) -> Callable[[], Awaitable[Any]]:
        _check(agent, loader, None, path)
        if loader is None:
            raise InputValueError(f"{kind} needs a dataloader; None was given.")
        if kind != "predict":
            require(agent, f"{kind}_step")

        async def evaluate() -> Any:
            if path is not None:
                _, checkpoint = await self._read(path)
                agent.load_state_dict(checkpoint["agent_state_dict"])
            if kind == "predict":
                return (await EvaluationLoop(self, agent, kind).run(loader)).outputs
            return await self._measure(agent, loader, kind)

        return evaluate

    def _wait_for(self, work: Coroutine[Any, Any, T], stage: str) -> T:
        """Wait for a stage; after Ctrl-C, raise what says how to go on."""
        self.interrupted, self.calls_dropped = False, 0
        try:
            return run_sync(work)
        except KeyboardInterrupt:
            self.interrupted = True
            note_dropped(self, stage)
            raise stopped(self, stage) from None  # no frames but the caller's and ours

    async def _read(self, path: PathLike) -> tuple[Path, Any]:
        known = {"best": self.best_path, "last": self.last_path}
        earlier = self.checkpoint_folder() if self.agent is None else None
        return await read_checkpoint(path, known, earlier)


def _check(agent: Any, loader: Any, val_loader: Any, path: Any) -> None:
    if not isinstance(agent, Module):
        raise InputTypeError(f"agent must be a Module, got {describe(agent)}.")
    for each in (loader, val_loader):
        is_iterable = hasattr(each, "__iter__") or hasattr(each, "__getitem__")
        is_text = isinstance(each, (str, bytes))
        if each is not None and (is_text or not is_iterable):
            raise InputTypeError(
                f"a dataloader must be an iterable of batches, got {describe(each)}."
            )
    if path is not None and not isinstance(path, (str, Path)):
        raise InputTypeError(f"ckpt_path must be a path, got {describe(path)}.")
