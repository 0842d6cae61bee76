"""All changes of a step in one candidate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from optim_helpers import Rules, edits, param

from afnio.autodiff.credit import credit_mode
from afnio.cognitive import Parameter
from afnio.models.testing import ScriptedModel
from afnio.models.testing import edits as edits_of
from afnio.optim import PatchTGD
from afnio.optim.gates import Improve


@pytest.fixture(autouse=True)
def _no_critic():
    """Feedback of the evaluator is passed on as it is."""
    with credit_mode("passthrough"):
        yield


def stepped(texts, start="Answer.", constraints=None, **options):
    """Return a world after a step in which these texts were proposed as additions."""
    world, left = Rules(start), list(texts)
    model = ScriptedModel(
        lambda *a, **k: edits({"action": "add", "find": "", "text": left.pop(0)})
    )
    opt = PatchTGD(
        [world.prompt],
        model,
        constraints,
        proposals=len(texts),
        batch_size=12,
        **options,
    )
    opt.step(world.closure())
    return world, opt


def test_independent_repairs_are_accepted_together():
    """One test instead of three, and nothing of the three is lost."""
    world, opt = stepped(["alpha", "beta", "gamma"])
    assert world.prompt.data == "Answer.\nalpha\nbeta\ngamma"
    assert [record.accepted for record in opt.history] == [False] * 3 + [True]
    assert opt.history[0].reason == "part of candidate 4"
    [change] = opt.history[-1].changes
    assert (change.before, change.after) == ("Answer.", world.prompt.data)
    alone, _ = stepped(["alpha", "beta", "gamma"], unite=False)
    assert alone.prompt.data in ("Answer.\nalpha", "Answer.\nbeta", "Answer.\ngamma")


def test_each_is_tested_alone_if_all_together_fail():
    """One that does harm does not take the others with it."""
    world, left = Rules("alpha beta"), []
    left += [{"action": "add", "find": "", "text": "gamma"}]
    left += [{"action": "replace", "find": "alpha beta", "text": "nothing"}]
    model = ScriptedModel(lambda *a, **k: edits(left.pop(0)))
    opt = PatchTGD([world.prompt], model, proposals=2, batch_size=12, check=None)
    opt.step(world.closure())
    assert world.prompt.data == "alpha beta\ngamma"
    assert [record.accepted for record in opt.history] == [True, False, False]
    assert len(opt.candidates) == 2


def stuck(steps, start="Answer. Shout.", **options):
    """Return the reasons and texts of a search in which nothing ever helps."""
    world = Rules(start)
    count = iter(range(99))
    model = ScriptedModel(lambda *a, **k: edits_of(f"no use {next(count)}"))
    opt = PatchTGD(
        [world.prompt], model, proposals=2, batch_size=12, gate=Improve(), **options
    )
    for _ in range(steps):
        opt.step(world.closure())
    texts = [[change.after for change in record.changes] for record in opt.history]
    return [record.step for record in opt.history], [text for [text] in texts]


def test_what_fails_the_check_is_not_united():
    """The others go on together; what does harm takes none of them with it."""
    world = Rules("alpha")
    left = [{"action": "add", "find": "", "text": name} for name in ("beta", "gamma")]
    left.insert(1, {"action": "replace", "find": "alpha", "text": "nothing"})
    model = ScriptedModel(lambda *a, **k: edits(left.pop(0)))
    opt = PatchTGD([world.prompt], model, proposals=3, batch_size=12)
    opt.step(world.closure())
    assert world.prompt.data == "alpha\nbeta\ngamma"
    assert [record.accepted for record in opt.history] == [False, False, False, True]
    assert "training samples" in opt.history[1].reason


def test_while_nothing_succeeds_less_text_is_tried():
    """One sentence is left out, for no model call; a single one never is."""
    _, texts = stuck(3)
    assert {text for text in texts if "no use" not in text} <= {"Answer.", "Shout."}
    assert [("no use" in text) for text in texts].count(False) == 2
    assert all("no use" in text for text in stuck(3, start="Answer.")[1])
    assert all("no use" in text for text in stuck(3, prune=False)[1])


def test_what_does_harm_is_found_by_leaving_it_out():
    """No critic names it, and no proposal touches it."""

    def trapped(messages, **args):
        prompt = messages[0]["content"]
        return "?" if "Shout." in prompt else messages[-1]["content"].split()[-1]

    world = Rules("Answer. Shout.")
    world.forward = ScriptedModel(trapped)
    count = iter(range(99))
    model = ScriptedModel(lambda *a, **k: edits_of(f"no use {next(count)}"))
    opt = PatchTGD([world.prompt], model, proposals=1, batch_size=4, check=Improve())
    for _ in range(8):
        opt.step(world.closure())
    assert world.prompt.data == "Answer."
    assert [record.accepted for record in opt.history].count(True) == 1


def test_what_must_stay_is_not_left_out():
    """A sentence with a placeholder, for one."""
    prompt = param("Say {x}.", "f")
    prompt.data = "Say {x}. Be {y}."
    count = iter(range(99))
    model = ScriptedModel(lambda *a, **k: edits_of(f"more {next(count)}"))
    opt = PatchTGD([prompt], model, proposals=1)
    opt.parts = replace(opt.parts, gate=Improve())
    for _ in range(3):
        opt.step(lambda: [1.0] * 8)
    assert len(opt.history) == 3


def test_equal_proposals_are_not_united():
    """There is nothing to add, and nothing is tested twice."""
    _, opt = stepped(["alpha", "alpha"])
    assert [record.candidate for record in opt.history] == [1, 2]


def test_a_single_proposal_is_taken_as_it_is():
    """A line that the text has already may be part of what it adds."""
    world, _ = stepped(["{}\nalpha\n{}"], start="Answer.\n{}\nbeta")
    assert world.prompt.data == "Answer.\n{}\nbeta\n{}\nalpha\n{}"


def test_what_would_be_unsafe_is_not_united():
    """All together may be too long where each alone is not."""
    world = Rules()
    world.prompt = Parameter("Answer.", "prompt", max_length=15)
    left = ["alpha", "beta"]
    model = ScriptedModel(
        lambda *a, **k: edits({"action": "add", "find": "", "text": left.pop(0)})
    )
    PatchTGD([world.prompt], model, proposals=2).step(world.closure())
    assert len(world.prompt.data) <= 15
    assert world.prompt.data != "Answer."
