"""Proposers: what they send, pinned, and how they read what comes back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from optim_helpers import FULL, answer, edits, sample

from afnio._dispatch import run_sync
from afnio.models.testing import ScriptedModel
from afnio.optim.proposers import (
    Ask,
    Merge,
    Patch,
    Proposer,
    Reflect,
    Rewrite,
    changed_lines,
)

SNAPSHOTS = Path(__file__).parent


def asked(proposer, task, model, **args):
    """Return the one outcome."""
    return run_sync(proposer.propose([Ask(task, model, args)]))[0]


def replying(proposer, text):
    """Return a model that answers a proposer in its form."""
    if isinstance(proposer, Patch):
        return ScriptedModel(
            edits({"action": "replace", "find": "Answer", "text": text})
        )
    return ScriptedModel(
        lambda messages, **args: answer(messages, f"{text} {{question}}.")
    )


@pytest.mark.parametrize("proposer", [Patch(), Reflect(), Merge()])
def test_the_whole_prompt_is_pinned(proposer):
    """Change the snapshot on purpose only; prompts are product."""
    model = replying(proposer, "Reply to")
    assert asked(proposer, FULL, model).text == "Reply to {question}."
    request = model.requests[0]
    written = "\n".join(f"== {t['role']}\n{t['content']}" for t in request.messages)
    name = f"{type(proposer).__name__.lower()}_prompt.txt"
    mark = re.search(r"<current_(\w+)>", written)[1]
    found = written.replace(mark, "MARK")
    assert found == (SNAPSHOTS / name).read_text("utf-8")


@pytest.mark.parametrize("proposer", [Patch(), Reflect(), Merge(), Rewrite()])
def test_a_failing_reply_is_asked_for_again_and_then_refused(proposer):
    """Two reasons are sent back; the outcome has the last one."""
    model = ScriptedModel(["no", "nor this", "never"])
    outcome = asked(proposer, FULL, model)
    assert isinstance(proposer, Proposer)
    assert (outcome.text, outcome.attempts) == (None, 3)
    assert outcome.reason
    last = model.requests[2].messages
    assert [turn["content"] for turn in last[2::2]] == ["no", "nor this"]
    assert "cannot be used" in last[-1]["content"]


def test_edits_are_asked_for_as_json():
    """In a response format, which the user may override."""
    model = replying(Patch(), "x")
    asked(Patch(), FULL, model)
    wanted = model.requests[0].args["response_format"]
    assert wanted["json_schema"]["name"] == "edits"
    asked(Patch(), FULL, model, response_format={"type": "json_object"})
    assert model.requests[1].args["response_format"] == {"type": "json_object"}


def test_feedback_stands_beside_its_example():
    """The summary of all feedback is shown only where no example has any."""
    said = sample(0, "It broke", output="Sorry", target="pump").but(critique="Name it.")
    task = replace(FULL, failures=(said,), feedback=("Name it and more.",))
    for proposer in (Patch(), Reflect()):
        model = replying(proposer, "Do")
        asked(proposer, task, model)
        assert "feedback: <value_" in model.requests[0].messages[1]["content"]
        assert "and more" not in model.requests[0].messages[1]["content"]
    model = replying(Rewrite(), "Do")
    asked(Rewrite(), task, model)
    assert "and more" in model.requests[0].messages[1]["content"]


def test_placeholders_are_kept_by_edits_too():
    """An edit that removes one is refused with the reason."""
    bad = edits({"action": "delete", "find": "{question}", "text": ""})
    good = edits({"action": "add", "find": "", "text": "Be brief."})
    model = ScriptedModel([bad, good])
    outcome = asked(Patch(), FULL, model)
    assert outcome.text == "Answer {question}.\nBe brief."
    assert (outcome.attempts, outcome.note) == (2, "1 edit (add)")
    assert "{question}" in model.requests[1].messages[-1]["content"]


def test_frozen_parts_are_listed_and_kept():
    """The request names them; what loses one is refused."""
    from afnio.cognitive import Parameter
    from afnio.optim import TGD

    prompt = Parameter("Keep me. Change me.", role="p", frozen=["Keep me."])
    from afnio import Variable

    prompt.append_grad(Variable("f"))
    left = ["Changed.", "Keep me. Changed."]
    model = ScriptedModel(lambda messages, **args: answer(messages, left.pop(0)))
    TGD([prompt], model).step()
    assert prompt.data == "Keep me. Changed."
    first, second = (request.messages for request in model.requests)
    assert "letter for letter:\n<keep_" in first[1]["content"]
    assert "frozen parts" in second[-1]["content"]


def test_only_changed_lines_are_shown_and_only_a_few():
    """Long texts do not fill the request."""
    before = "\n".join(f"line {n}" for n in range(100))
    assert changed_lines(before, before) == ""
    assert changed_lines("-- a\nb", "-- c\nb") == "- -- a\n+ -- c"
    shown = changed_lines(before, before.upper())
    assert shown.count("\n") == 12
    assert shown.endswith("(188 lines more)")
