"""The end of a fit: optimizers choose what it returns, once."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from trainer_helpers import Agent, Gated, Growing, batch, quiet

import afnio
from afnio.errors import InputValueError, StateError
from afnio.models.testing import ScriptedModel
from afnio.optim import PatchTGD

DATA = [batch("a", "b"), batch("c", "d")]


def edit(find, text):
    """Return a reply that replaces a word."""
    row = {"action": "replace", "find": find, "text": text}
    return json.dumps({"edits": [row]})


class Searching(Agent):
    """Has a word, and a model that proposes the next one."""

    def __init__(self, *words):
        super().__init__(lambda params: self.make(params), word=words[0])
        self.model = ScriptedModel([edit(*pair) for pair in pairwise(words)])
        self.evaluated = 0

    def make(self, params):
        self.optimizer = PatchTGD(params, self.model, proposals=1)
        return self.optimizer

    def training_step(self, batch, batch_idx):
        self.word.append_grad(type(self.word)("f", role="feedback"))
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.evaluated += 1
        return super().validation_step(batch, batch_idx)


def test_a_fit_ends_with_the_return_rule():
    """It is recorded, its result is the best file, and what it costs is counted."""
    agent, trainer = Searching("bad", "good"), quiet(max_steps=1)
    val = [batch(*"abcdefgh")]
    trainer.fit(agent, DATA, val)
    assert agent.word.data == "good"
    assert "better than the start" in agent.optimizer.history[-1].reason
    assert agent.optimizer.is_finished
    assert trainer.decisions[-1] == agent.optimizer.history[-1]
    fresh = Searching("bad")
    assert quiet().validate(fresh, val, ckpt_path=trainer.best_path)
    assert fresh.word.data == "good"


def test_a_resumed_fit_does_not_pay_for_it_again():
    """Only further steps make it necessary once more."""
    agent, trainer = Searching("bad", "good"), quiet(max_steps=1)
    val = [batch(*"abcdefgh")]
    trainer.fit(agent, DATA, val)
    again = Searching("bad")
    quiet(max_steps=1).fit(again, DATA, val, ckpt_path=trainer.last_path)
    assert again.word.data == "good"
    assert again.evaluated == 0
    assert len(again.optimizer.history) == len(agent.optimizer.history)


def test_a_budget_that_is_spent_leaves_what_the_last_step_installed():
    """The fit ends as it would without a return rule, and says why."""

    class Counting(Searching):
        def validation_step(self, batch, batch_idx):
            answered = self.model.chat([{"role": "user", "content": "?"}])
            assert answered is not None
            return super().validation_step(batch, batch_idx)

    agent, val = Counting("bad", "good"), [batch(*"abcdefgh")]
    agent.model = ScriptedModel([edit("bad", "good"), *"abcdef"])
    trainer = quiet(max_steps=1, max_calls=3)
    trainer.fit(agent, DATA, val)
    assert agent.word.data == "good"
    assert not agent.optimizer.is_finished
    assert len(agent.optimizer.history) == 1


def test_an_empty_validation_loader_is_named():
    """Before anything is paid, and not by the optimizer that misses the scores."""
    with pytest.raises(InputValueError, match="validation loader gave no batches"):
        quiet().fit(Agent(Gated), DATA, [])


def test_nothing_that_requires_grad_is_named():
    """Frozen Parameters and no_grad are the user's words; grad_fn is not."""
    agent = Agent()
    for param in agent.parameters():
        param.requires_grad = False
    with pytest.raises(StateError, match="no Parameter of Agent requires grad"):
        quiet().fit(agent, DATA)
    with afnio.no_grad(), pytest.raises(StateError, match=r"under no_grad\(\)"):
        quiet().fit(Agent(), DATA)


def test_a_step_that_misreads_its_batch_says_what_it_was_given():
    """In a note: kind and message are the user's."""

    class Misreads(Agent):
        def training_step(self, batch, batch_idx):
            return batch["text"]

    with pytest.raises(KeyError, match="text") as caught:
        quiet().fit(Misreads(), [{"txt": ["a"]}])
    (note,) = caught.value.__notes__
    assert note == (
        "in Misreads.training_step; the batch is a dict with the keys 'txt'"
    )


def test_a_validation_step_that_misreads_its_batch_says_so_too():
    """Also where an optimizer asks for it."""

    class Misreads(Agent):
        def validation_step(self, batch, batch_idx):
            return batch["text"]

    for optimizer in (Gated, Growing):
        with pytest.raises(TypeError) as caught:
            quiet().fit(Misreads(optimizer), DATA, DATA)
        assert any(
            "in Misreads.validation_step; the batch is a tuple of 2" in note
            for note in caught.value.__notes__
        )
