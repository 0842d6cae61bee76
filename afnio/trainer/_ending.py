"""When a fit ends before its last epoch: limits, and wishes that have to wait."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from afnio.models import Budget

if TYPE_CHECKING:
    from afnio.trainer._loop import FitLoop
    from afnio.trainer._settings import Settings

_logger: Final = logging.getLogger(__name__)


def budget_of(settings: Settings) -> Budget | None:
    """Return what limits the model calls of a fit, if anything does."""
    if settings.max_cost is None and settings.max_calls is None:
        return None
    return Budget(usd=settings.max_cost, calls=settings.max_calls)


def is_over(loop: FitLoop) -> bool:
    """Whether a fit ends before its next step.

    A limit ends it at once; a wish to stop waits for ``min_epochs`` and ``min_steps``.
    """
    trainer = loop.trainer
    if reason := _limit(loop):
        if trainer.should_stop and _missing(loop):
            trainer.stop_reason = ""  # the wish was not granted
        trainer.stop(reason)
        return True
    if trainer.should_stop and (missing := _missing(loop)):
        if not loop.has_been_told:
            _logger.info("fit goes on until %s: %s", missing, trainer.stop_reason)
        loop.has_been_told = True
        return False
    return trainer.should_stop


def _limit(loop: FitLoop) -> str:
    """Return which limit is reached; empty if none is."""
    settings = loop.trainer.settings
    if settings.max_steps is not None and loop.at.step >= settings.max_steps:
        return f"max_steps={settings.max_steps} is reached"
    if settings.max_time is not None and loop.seconds() >= settings.max_time:
        return f"max_time={settings.max_time} seconds have passed"
    if loop.budget is not None and loop.budget.is_exhausted():
        return f"{loop.budget!r} is spent"
    return ""


def _missing(loop: FitLoop) -> str:
    """Return the minimum that is not reached yet; empty if there is none."""
    settings, at = loop.trainer.settings, loop.at
    if settings.min_epochs is not None and at.next_epoch <= settings.min_epochs:
        return f"min_epochs={settings.min_epochs}"
    if settings.min_steps is not None and at.step < settings.min_steps:
        return f"min_steps={settings.min_steps}"
    return ""
