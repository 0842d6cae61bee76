"""Warnings point at the user's line, on whatever thread afnio notices something."""

from __future__ import annotations

import asyncio
import inspect
import warnings

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio._warn import warn
from afnio.cognitive import functional as F
from afnio.models import Reply, UnknownPriceWarning
from afnio.models.openai import OpenAI
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD
from afnio.trainer import Trainer


def line_of(marker):
    """Return the number of the line of this file that holds a marker."""
    source = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    (found,) = [n for n, text in enumerate(source, 1) if text.endswith(f"# {marker}")]
    return found


def refused():
    """Return an optimizer whose model never answers in the form asked for."""
    prompt = Variable("Be kind.", "prompt", requires_grad=True)
    prompt.append_grad(Variable("It is vague."))
    return TGD([prompt], ScriptedModel("no"))


def test_a_step_in_a_script():
    """The work is done on afnio's thread; the line is that of the call."""
    optimizer = refused()
    with pytest.warns(RuntimeWarning, match="stays as it was") as caught:
        optimizer.step()  # step
    assert (caught[0].filename, caught[0].lineno) == (__file__, line_of("step"))


def test_a_step_in_a_coroutine():
    """The awaiting line is it there."""

    async def main():
        await refused().astep()  # astep

    with pytest.warns(RuntimeWarning, match="stays as it was") as caught:
        asyncio.run(main())
    assert (caught[0].filename, caught[0].lineno) == (__file__, line_of("astep"))


class Idle(cog.Module):
    """Trains nothing."""

    def training_step(self, batch, number):
        return F.exact_match_evaluator(*batch)

    def configure_optimizers(self):
        return None


def test_a_fit():
    """What a Trainer warns of points at the call of fit."""
    shows = ("checkpointing", "progress_bar", "agent_summary")
    trainer = Trainer(max_epochs=1, **{f"enable_{name}": False for name in shows})
    with pytest.warns(RuntimeWarning, match="no optimizer") as caught:
        trainer.fit(Idle(), [(Variable("a", requires_grad=True), "b")])  # fit
    assert (caught[0].filename, caught[0].lineno) == (__file__, line_of("fit"))


def test_an_operation_that_nobody_waits_for_yet(monkeypatch):
    """A pending operation knows the line that dispatched it."""
    model = OpenAI(api_key="k", base_url="https://example.test/v1", model="mystery")

    async def send(request):
        return Reply("Hello!")

    monkeypatch.setattr(model, "_send", send)
    messages = [{"role": "user", "content": [Variable("hi")]}]
    with pytest.warns(UnknownPriceWarning) as caught:
        _ = F.chat_completion(model, messages).data  # operation
    assert (caught[0].filename, caught[0].lineno) == (__file__, line_of("operation"))


def test_once_for_each_line_unless_asked_otherwise():
    """The default filter shows a warning once for each place, as for any other."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            warn("again and again")
        warn("again and again")
    assert [each.filename for each in caught] == [__file__, __file__]


def test_without_a_user_there_is_still_a_warning():
    """On a thread that nobody's code has led to."""
    with pytest.warns(RuntimeWarning, match="alone"):
        asyncio.run(_alone())


async def _alone():
    await asyncio.get_running_loop().run_in_executor(None, warn, "alone")
