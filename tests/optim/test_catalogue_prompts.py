"""The words of the catalogue's presets, pinned."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from catalogue_helpers import Desk
from optim_helpers import FULL, Rules, answer, between

from afnio._dispatch import run_sync
from afnio.models.testing import ScriptedModel
from afnio.optim import MIPRO, BeamTGD, FeedbackDescent
from afnio.optim.proposers import (
    AppendRule,
    Ask,
    Graph,
    History,
    Paraphrase,
    Reconsider,
)

SNAPSHOTS = Path(__file__).parent / "prompts"


def pinned(name, model, number=0):
    """Compare a request with its snapshot; marks are cut out."""
    turns = model.requests[number].messages
    written = "\n".join(f"== {turn['role']}\n{turn['content']}" for turn in turns)
    found = re.sub(r"(<\w*?[a-z]+_)[0-9a-f]{4,}>", r"\1MARK>", written)
    found = re.sub(r"(</\w*?[a-z]+_)[0-9a-f]{4,}>", r"\1MARK>", found)
    path = SNAPSHOTS / f"{name}.txt"
    assert found == path.read_text("utf-8")


def reply(messages, **args):
    """Answer any request of a proposer in its form."""
    text = messages[1]["content"]
    if '"values"' in text:
        value = {"name": "p0", "value": "Reply to {question}."}
        return json.dumps({"reasoning": "r", "values": [value]})
    if '"rule"' in text:
        return json.dumps({"rule": "Name it."})
    return answer(messages, "Reply to {question}.")


@pytest.mark.parametrize(
    "proposer", [Paraphrase(), History(), Graph(), AppendRule(), Reconsider()]
)
def test_the_whole_prompt_is_pinned(proposer):
    """Change the snapshot on purpose only; prompts are product."""
    model = ScriptedModel(reply)
    [outcome] = run_sync(proposer.propose([Ask(FULL, model)]))
    assert "{question}." in outcome.text
    pinned(type(proposer).__name__.lower(), model)


@pytest.mark.parametrize(
    "proposer", [Paraphrase(), History(), Graph(), AppendRule(), Reconsider()]
)
def test_user_text_is_filled_in_once(proposer):
    """Placeholders of ours in it stay text, and the answer keeps its own."""
    task = replace(FULL, current="Answer {question}. {{reply}} {history}")
    model = ScriptedModel(
        lambda messages, **args: reply(messages).replace(
            "{question}.", "{question} {{reply}} {history}"
        )
    )
    run_sync(proposer.propose([Ask(task, model)]))
    text = model.requests[0].messages[1]["content"]
    assert between(text, "current") == task.current


def test_critiques_comparisons_and_grounded_texts_are_pinned():
    """The other requests, as their presets send them."""

    def any_reply(messages, **args):
        text = messages[1]["content"]
        if '"reason_1"' in text:
            return json.dumps({"reason_1": "It lacks a rule."})
        if '"preferred"' in text:
            return json.dumps({"rationale": "Better.", "preferred": "first"})
        if '"summary"' in text:
            return json.dumps({"summary": "Questions."})
        return answer(messages, "Answer well.")

    models = [ScriptedModel(any_reply) for _ in range(3)]
    world = Rules()
    BeamTGD([world.prompt], models[0], batch_size=2).step(world.closure())
    pinned("critique", models[0])
    world = Rules()
    opt = FeedbackDescent([world.prompt], models[1], batch_size=1)
    opt.step(world.closure())
    pinned("comparison", models[1], 1)
    pytest.importorskip("optuna")
    world = Desk()
    opt = MIPRO([world.prompt, world.demos], models[2], bootstrap=2, instructions=2)
    opt.step(world.closure())
    pinned("summary", models[2])
    pinned("grounded", models[2], 1)
