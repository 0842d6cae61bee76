"""Bars on terminals, lines elsewhere."""

from __future__ import annotations

import asyncio
import io
import re

import pytest
from rich.console import Console
from trainer_helpers import Agent, Growing, batch, quiet

import afnio.cognitive as cog
from afnio.cognitive import functional as F
from afnio.models.testing import ScriptedModel
from afnio.trainer import Callback, ProgressBar, _progress

DATA = [batch("1", "2"), batch("3")]


class Ticking:
    """A clock that moves by a second whenever it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def shown(every_s=1e9, terminal=False, loader=DATA, **options):
    """Return what a fit has shown."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    bar = ProgressBar(every_s, console=console, clock=Ticking())
    quiet(callbacks=[bar], **options).fit(Agent(), loader, DATA)
    return file.getvalue()


def test_lines_are_rare():
    """Between the first and the last line of a phase there is one now and then."""
    lines = shown().splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "Epoch",
        "[Training]",
        "[Validation]",
    ]
    assert len(shown(every_s=0).splitlines()) == 7


def test_lines_tell_pace_cost_and_metrics():
    """The pace is seconds per step of this phase, not of all the time before."""
    line = shown().splitlines()[1]
    assert re.fullmatch(
        r"\[Training\] 2/2 \d\.\d\ds/step tot_cost: \$0\.0000 "
        r"train_loss: 0\.3333 \(mean per sample\) - train_accuracy: 0\.3333",
        line,
    )


def test_a_sum_is_shown_with_its_mean_per_sample():
    """Evaluators add up the scores of a batch; lines and summary say the mean too."""
    file = io.StringIO()
    bar = ProgressBar(console=Console(file=file, width=120))
    agent = Agent(lambda params: Growing(params, ("good",)), word="good")
    trainer = quiet(callbacks=[bar])
    trainer.test(agent, DATA)
    trainer.fit(agent, DATA, [batch("1", "2", "3")])
    assert "test_loss: 1.667 (mean 1 per sample)" in file.getvalue()
    assert "val_loss: 3 (mean 1 per sample)" in file.getvalue()
    assert "best val_loss 3 (mean 1 per sample)" in str(trainer.summary())
    assert trainer.logged_metrics["val_loss"] == 3
    assert [record.mean_score for record in trainer.history] == [1.0, 1.0, 1.0, 1.0]


def test_a_loader_without_length():
    """The total is unknown."""

    class Stream:
        def __iter__(self):
            yield from DATA

    assert "[Training] 2/? " in shown(loader=Stream())


def test_bars_on_a_terminal():
    """A terminal gets a live bar, and keeps the last state of each phase."""
    text = shown(terminal=True)
    assert "\x1b[?25l" in text
    assert text.endswith("\x1b[?25h") or "\x1b[?25h" in text.splitlines()[-1]
    assert "[Training] 2/2" in text
    assert "[Validation] 2/2" in text


def test_brackets_in_names_are_text():
    """Nothing a user names is read as markup."""

    class Tagged(Agent):
        def validation_step(self, batch, batch_idx):
            return {**self.evaluate(batch), "[red]x[/]": 1.0}

    file = io.StringIO()
    bar = ProgressBar(console=Console(file=file, width=200))
    quiet(callbacks=[bar]).fit(Tagged(), DATA, DATA)
    assert "val_[red]x[/]: 1" in file.getvalue()


def test_the_terminal_is_given_back_after_an_error():
    """The cursor is shown again."""

    class Failing(Agent):
        def validation_step(self, batch, batch_idx):
            raise ValueError("bug")

    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    trainer = quiet(callbacks=[ProgressBar(console=console)])
    with pytest.raises(ValueError, match="bug"):
        trainer.fit(Failing(), DATA, DATA)
    assert "\x1b[?25h" in file.getvalue()


def test_a_stop_is_explained():
    """The last line says why a fit ended early."""
    assert "Stopped: max_steps=1 is reached" in shown(max_steps=1)


class Waiting(Agent):
    """Has a training step that takes as long as the test wants."""

    def __init__(self):
        super().__init__()
        self.model = ScriptedModel("x")
        self.shown = asyncio.Event()

    async def training_step(self, batch, batch_idx):
        await self.model.achat([{"role": "user", "content": "?"}])
        await self.shown.wait()
        return F.exact_match_evaluator(self(batch[0]), batch[1])


class Watched(io.StringIO):
    """Lets the step go on when a line about model calls is written."""

    def __init__(self, agent):
        super().__init__()
        self.agent = agent

    def write(self, text):
        if "1 call" in text:
            self.agent.shown.set()
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_long_step_shows_its_model_calls(monkeypatch, terminal):
    """While a step runs, its calls are counted in front of the user."""
    monkeypatch.setattr(_progress, "_PULSE_S", 0.001)
    agent = Waiting()
    file = Watched(agent)
    console = Console(file=file, force_terminal=terminal, width=120)
    bar = ProgressBar(10, console=console, clock=Ticking())
    quiet(callbacks=[bar]).fit(agent, DATA[:1], llm_clients=[agent.model])
    assert "(forward, 1 call)" in file.getvalue()


def test_clients_that_nobody_named_are_watched_too():
    """Without llm_clients, the agent's own are counted."""

    class Asking(Waiting):
        async def training_step(self, batch, batch_idx):
            self.shown.set()
            return await super().training_step(batch, batch_idx)

    agent = Asking()
    agent.chat = cog.ChatCompletion(agent.model)
    trainer = quiet()
    trainer.fit(agent, DATA)
    assert trainer.summary().usage["forward"].calls == 2


def test_a_test_in_between_gives_the_bar_back():
    """After a test from within an epoch, the training is shown again."""

    class Peeking(Callback):
        async def on_train_batch_end(self, trainer, agent, outputs, batch, number):
            if not number:
                await trainer.atest(agent, DATA)

    file = io.StringIO()
    bar = ProgressBar(console=Console(file=file, width=200))
    quiet(callbacks=[Peeking(), bar]).fit(Agent(), DATA)
    heads = re.findall(r"^\[\w+\] ./.", file.getvalue(), re.MULTILINE)
    assert heads == ["[Test] 2/2", "[Training] 2/2"]
