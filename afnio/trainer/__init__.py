"""The training loop: `Trainer`, its callbacks, and the records of what happened."""

from afnio.trainer._hooks import MissingHookError
from afnio.trainer._metrics import Record
from afnio.trainer._progress import ProgressBar
from afnio.trainer._settings import Settings
from afnio.trainer._steps import get_batch_size
from afnio.trainer.callbacks import Callback, EarlyStopping, HistoryLogger
from afnio.trainer.trainer import Trainer

__all__ = [
    "Callback",
    "EarlyStopping",
    "HistoryLogger",
    "MissingHookError",
    "ProgressBar",
    "Record",
    "Settings",
    "Trainer",
    "get_batch_size",
]
