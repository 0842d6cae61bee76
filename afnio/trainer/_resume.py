"""Where a fit stands, and how that gets into a checkpoint and out again."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from afnio._dispatch import call_user
from afnio.errors import InputValueError
from afnio.trainer._checked import taking
from afnio.trainer._checkpoint import clients_of, loader_state, set_loader_state
from afnio.trainer._hooks import fire
from afnio.trainer._metrics import Record
from afnio.trainer._random import random_state, set_random_state

if TYPE_CHECKING:
    from pathlib import Path

    from afnio.trainer._loop import FitLoop


@dataclass(slots=True)
class Position:
    """Where a fit stands.

    A loader is brought back to where it was by putting its state, and the global random
    numbers, back to what they were when the epoch began, and reading as many batches
    again; so any iterable that repeats itself can be resumed.
    """

    epoch: int = 0
    """The epoch that something was done in last, from 1."""
    batch: int | None = None
    """The last batch done in it, from 0; None when the epoch is complete."""
    step: int = 0
    """Training steps done."""
    seconds_before: float = 0.0
    """Seconds that the fit had taken when it was resumed."""
    began: dict[str, Any] | None = None
    """The loader's state and the random numbers when the epoch began."""
    fetched: int = 0
    """Batches read in that epoch."""
    is_cut: bool = False
    """Whether that epoch was complete before its batches were."""
    pending_random: list[Any] | None = None
    """Random numbers to set when the batches that were done have been left out."""

    @property
    def next_epoch(self) -> int:
        """The epoch to go on with."""
        return self.epoch + 1 if self.batch is None else self.epoch

    @property
    def done(self) -> int:
        """Batches done in an epoch that is not complete."""
        return 0 if self.batch is None else self.batch + 1

    async def enter(self, loader: Any) -> Iterator[Any]:
        """Begin an epoch, or begin it once more to go on with it."""
        if self.batch is None:
            numbers = random_state()
            iterator = await call_user(iter, loader)
            state = await call_user(loader_state, loader)
            self.began = {"loader": state, "random": numbers}
            self.fetched, self.is_cut = 0, False
        else:
            iterator = await self._enter_again(loader)
        return cast("Iterator[Any]", iterator)

    async def _enter_again(self, loader: Any) -> Iterator[Any]:
        assert self.began is not None
        await call_user(set_loader_state, loader, self.began["loader"])
        set_random_state(self.began["random"])
        return cast("Iterator[Any]", await call_user(iter, loader))

    async def catch_up(self, loader: Any) -> None:
        """Read a complete epoch again, so that the loader begins the one after it."""
        if self.pending_random is not None:
            iterator = await self._enter_again(loader)
            count = self.fetched if self.is_cut else self.fetched + 1  # and its end
            await call_user(deque, itertools.islice(iterator, count), 0)
            self.caught_up()

    def caught_up(self) -> None:
        """Set the random numbers to what they were when the checkpoint was written."""
        if self.pending_random is not None:
            set_random_state(self.pending_random)
            self.pending_random = None

    def end_batch(self, epoch: int, batch: int) -> None:
        """Note that ``batch`` is done."""
        self.epoch, self.batch = epoch, batch

    def end_epoch(self, epoch: int) -> None:
        """Note that ``epoch`` is complete."""
        self.epoch, self.batch = epoch, None


async def make_checkpoint(loop: FitLoop) -> dict[str, Any]:
    """Return everything that is needed to go on from here."""
    trainer, at = loop.trainer, loop.at
    states = [loop.encoded.state_of(optimizer) for optimizer in loop.optimizers]
    checkpoint: dict[str, Any] = {
        "epoch": at.epoch,
        "batch": at.batch,
        "agent_state_dict": loop.agent.state_dict(),
        "optimizer_state_dict": states[0] if len(states) == 1 else states,
        "trainer": {
            "step": at.step,
            "seconds": loop.seconds(),
            "stages": {k: s for k, s in trainer.seconds.items() if k != "fit"},
            "spend": trainer.spend.state_dict(),
            "initial_values": trainer.initial_values,
            "began": at.began,
            "fetched": at.fetched,
            "is_cut": at.is_cut,
            "random": random_state(),
            "val_loader": loop.val_state,
            "meter": loop.meter.state_dict(),
            "history": [record.saved() for record in trainer.history],
            "logged_metrics": dict(trainer.logged_metrics),
            "best_score": trainer.checkpoints.best_score,
            "stop_reason": trainer.stop_reason,
            "test_looks": trainer.test_looks,
            "run": trainer.run_uuid,
            "fit": trainer.fit_number,
            "asked": loop.asked,
            "budget": None if loop.budget is None else loop.budget.state_dict(),
            "callbacks": _callback_states(trainer.callbacks),
        },
    }
    await fire(trainer, loop.agent, "on_save_checkpoint", checkpoint)
    return checkpoint


async def apply_checkpoint(
    loop: FitLoop, checkpoint: Mapping[str, Any], file: Path
) -> None:
    """Put a fit where a checkpoint, read from ``file``, says it was.

    Raises:
        FileFormatError: Some of it cannot be taken over.
        InputValueError: It was written with another number of optimizers.
    """
    agent, trainer, state = loop.agent, loop.trainer, checkpoint["trainer"]
    saved = checkpoint["optimizer_state_dict"]
    states = saved if isinstance(saved, list) else [saved]
    if len(states) != len(loop.optimizers):
        raise InputValueError(
            f"the checkpoint holds {len(states)} optimizers, but "
            f"configure_optimizers() made {len(loop.optimizers)}."
        )
    with taking(file, "agent_state_dict"):
        agent.load_state_dict(
            checkpoint["agent_state_dict"], model_clients=dict(agent.named_models())
        )
    for optimizer, kept in zip(loop.optimizers, states, strict=True):
        clients = clients_of(optimizer)
        with taking(file, "optimizer_state_dict"):
            optimizer.load_state_dict(
                kept, **({"model_clients": clients} if clients else {})
            )
    loop.val_state = state["val_loader"]
    loop.at = Position(
        epoch=checkpoint["epoch"],
        batch=checkpoint["batch"],
        step=state["step"],
        seconds_before=state["seconds"],
        began=state["began"],
        fetched=state["fetched"],
        is_cut=state["is_cut"],
        pending_random=state["random"],
    )
    loop.asked = state.get("asked", 0)
    with taking(file, "trainer.meter"):
        loop.meter.load_state_dict(state["meter"])
    with taking(file, "trainer.budget"):
        if loop.budget is not None and state["budget"] is not None:
            loop.budget.load_state_dict(state["budget"])
    _restore_trainer(loop, state, file)
    await fire(trainer, agent, "on_load_checkpoint", checkpoint)


def _restore_trainer(loop: FitLoop, state: Mapping[str, Any], file: Path) -> None:
    """Give the Trainer back what it knew."""
    trainer = loop.trainer
    with taking(file, "trainer.history"):
        trainer.history[:] = [Record.from_dict(item) for item in state["history"]]
    with taking(file, "trainer.spend"):
        trainer.spend.load_state_dict(state["spend"])
    trainer.logged_metrics.update(state["logged_metrics"])
    trainer.seconds["fit"] = state["seconds"]
    for stage, seconds in state.get("stages", {}).items():  # of another process, mostly
        trainer.seconds[stage] = max(seconds, trainer.seconds.get(stage, 0.0))
    trainer.initial_values = dict(state["initial_values"])
    trainer.decisions = [
        record
        for optimizer in loop.optimizers
        for record in getattr(optimizer, "history", ())
    ]
    trainer.test_looks += state["test_looks"] - trainer.reused_looks
    trainer.reused_looks = 0
    trainer.global_step, trainer.current_epoch = loop.at.step, loop.at.epoch
    if state["stop_reason"]:
        trainer.stop(state["stop_reason"])
    with taking(file, "trainer.callbacks"):
        _restore_callbacks(trainer.callbacks, state["callbacks"])


def _names(callbacks: list[Any]) -> list[str]:
    """Name callbacks by class, and number further ones of the same class."""
    names: list[str] = []
    for callback in callbacks:
        name = type(callback).__name__
        same = sum(known.split("#")[0] == name for known in names)
        names.append(f"{name}#{same + 1}" if same else name)
    return names


def _callback_states(callbacks: list[Any]) -> dict[str, Any]:
    states = {
        name: callback.state_dict()
        for name, callback in zip(_names(callbacks), callbacks, strict=True)
        if hasattr(callback, "state_dict")
    }
    return {name: state for name, state in states.items() if state}


def _restore_callbacks(callbacks: list[Any], states: Mapping[str, Any]) -> None:
    for name, callback in zip(_names(callbacks), callbacks, strict=True):
        if name in states:
            callback.load_state_dict(states[name])
