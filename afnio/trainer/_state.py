"""What a Trainer knows: its settings, and how far it has come."""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Never, Unpack

from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError
from afnio.models._plan import active_plan
from afnio.tracking import RunLogger, Summary, get_active_run
from afnio.trainer._checkpoint import Checkpoints
from afnio.trainer._journal import Journal
from afnio.trainer._metrics import Record
from afnio.trainer._progress import ProgressBar
from afnio.trainer._recorded import Recordings
from afnio.trainer._samples import Outcome
from afnio.trainer._settings import (
    Settings,
    TrainerOptions,
    check_habits,
    checked_callbacks,
    settings_from,
)
from afnio.trainer._sink import RunSink
from afnio.trainer._spend import Spend
from afnio.trainer._steps import get_batch_size
from afnio.trainer._summary import summarize
from afnio.trainer.callbacks import Callback

PathLike = str | Path


class TrainerState:
    """The state of a `Trainer`."""

    def __init__(
        self,
        *positional: Never,
        max_epochs: int | None = None,
        enable_checkpointing: bool = True,
        enable_progress_bar: bool = True,
        enable_agent_summary: bool = True,
        default_root_dir: PathLike | None = None,
        callbacks: Iterable[Callback] = (),
        loggers: Iterable[RunLogger] = (),
        **options: Unpack[TrainerOptions],
    ) -> None:
        switches = {
            "enable_agent_summary": enable_agent_summary,
            "enable_checkpointing": enable_checkpointing,
            "enable_progress_bar": enable_progress_bar,
        }
        check_habits(positional, switches)
        self.settings: Settings = settings_from(max_epochs, options)
        self.enable_checkpointing = enable_checkpointing
        self.enable_agent_summary = enable_agent_summary
        self.default_root_dir = _checked_root(default_root_dir)
        self.callbacks = checked_callbacks(callbacks)
        if enable_progress_bar and not any(
            isinstance(callback, ProgressBar) for callback in self.callbacks
        ):
            self.callbacks.append(ProgressBar())
        self.sink = RunSink(loggers)
        self._start_anew()

    def _start_anew(self) -> None:
        """Know nothing of any training yet."""
        self.optimizers: list[Any] = []
        self.current_epoch = 0
        self.global_step = 0
        self.history: list[Record] = []
        self.logged_metrics: dict[str, float] = {}
        self.mean_scores: dict[str, float | None] = {}
        self.test_looks = 0
        self.agent: Module | None = None
        self.initial_values: dict[str, Any] = {}
        self.decisions: list[Any] = []
        self.seconds: dict[str, float] = {}
        self.run_path: Path | None = None
        self.run_uuid: str | None = None
        self.fit_number = 1
        self.watches_found_clients = False
        self.stop_reason = ""
        self.interrupted = False
        self.calls_dropped = 0
        self.monitor = self.settings.monitor or "train_loss"
        self.totals: dict[str, int | None] = {}
        self.clock: Callable[[], float] = time.monotonic
        self.journal = Journal(self)
        self.spend = Spend()
        self.warnings: list[str] = []
        self.retries = 0
        self.look_outcomes: list[list[Outcome]] = []
        self.reused_looks = 0
        self.recordings = Recordings()
        self.checkpoints = self.new_checkpoints()

    @property
    def max_epochs(self) -> int:
        """Epochs in all."""
        return self.settings.epochs

    @property
    def higher_is_better(self) -> bool:
        """Whether high values of the monitored metric are good."""
        return self.settings.higher_is_better

    @property
    def best_path(self) -> Path | None:
        """The checkpoint of the best epoch."""
        return self.checkpoints.best_path

    @property
    def last_path(self) -> Path | None:
        """The checkpoint of the last step."""
        return self.checkpoints.last_path

    @property
    def best_score(self) -> float | None:
        """The best value of the monitored metric."""
        return self.checkpoints.best_score

    @property
    def total_cost(self) -> float:
        """US dollars spent by the clients watched, over all that this Trainer did."""
        return self.spend.cost()

    @property
    def tests(self) -> list[Record]:
        """The records of all looks at the test set, oldest first."""
        return [record for record in self.history if record.kind == "test"]

    def summary(self) -> Summary:
        """Return what was done so far: scores, changes, decisions, costs and files.

        ``print`` shows it as text, ``rich.print`` in colour, ``to_dict()`` is for
        programs. Parameters are compared as they were before the first fit and as the
        agent has them now.
        """
        return summarize(self)

    @property
    def should_stop(self) -> bool:
        """Whether the fit ends before its next step."""
        return bool(self.stop_reason)

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        self.stop_reason = (self.stop_reason or "should_stop was set") if value else ""

    def stop(self, reason: str = "stop() was called") -> None:
        """End the fit before its next step; the first reason given is kept."""
        self.stop_reason = self.stop_reason or reason

    @staticmethod
    def get_batch_size(batch: Any) -> int:
        """Return how many samples ``batch`` holds; see `get_batch_size`."""
        return get_batch_size(batch)

    def count_fit(self) -> None:
        """Note which fit of the active run this is."""
        if (run := get_active_run()) is not None:
            run.fits += 1
            self.run_uuid, self.fit_number = run.uuid, run.fits

    def undo_after_plan(self) -> None:
        """Know, after a plan, what was known before: stand-ins have brought nothing."""
        if (planned := active_plan()) is None:
            return
        kept = {
            name: copy.copy(value) if isinstance(value, (list, dict)) else value
            for name, value in vars(self).items()
        }
        states = [
            (c, copy.deepcopy(c.state_dict())) for c in self.callbacks if _has_state(c)
        ]

        def undo() -> None:
            vars(self).update(kept)
            for callback, state in states:
                callback.load_state_dict(state)

        planned.undo_after(self, undo)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Count wall-clock time of a stage; a test from within a fit counts in both."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def new_checkpoints(self) -> Checkpoints:
        """Return the files of a new fit: in the active run's directory, if any.

        Under a plan they are temporary: what stand-ins trained replaces nothing.
        """
        run = get_active_run()
        if run is not None:
            self.run_path = run.path
        folder = self.checkpoint_folder()
        is_planned = active_plan() is not None and self.enable_checkpointing
        if is_planned:
            folder = Path(tempfile.mkdtemp(prefix="afnio-plan-")) / "checkpoints"
        files = Checkpoints(
            folder,
            enabled=self.enable_checkpointing,
            higher_is_better=self.settings.higher_is_better,
        )
        if is_planned:
            weakref.finalize(files, shutil.rmtree, folder.parent, ignore_errors=True)
        return files

    def checkpoint_folder(self) -> Path:
        """Return where a fit would write, were it no plan."""
        root, run = self.default_root_dir, get_active_run()
        if root is None:
            root = Path() if run is None else run.path
        return Path(root) / "checkpoints"


def _has_state(callback: Any) -> bool:
    return hasattr(callback, "state_dict") and bool(callback.state_dict())


def _checked_root(root: PathLike | None) -> PathLike | None:
    if root is not None and not isinstance(root, (str, Path)):
        raise InputTypeError(
            f"default_root_dir is {type(root).__name__}; expected a path or None."
        )
    return root
