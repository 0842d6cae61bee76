"""A whole program: forward, backward, and both kinds of optimizers."""

from __future__ import annotations

import json

import pytest
from optim_helpers import Rules, answer

import afnio.cognitive as cog
from afnio import Variable
from afnio.autodiff.credit import credit_mode
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.models._roles import set_backward_model_client
from afnio.models.testing import ScriptedModel
from afnio.optim import GEPA, TGD, FewShot, PatchTGD
from afnio.optim.gates import Improve
from afnio.trainer import Trainer

WORDS = {"cat": "cats", "box": "boxes", "bus": "buses", "dog": "dogs"}


def student(messages, **args):
    """Answer right with the rule in the prompt, or with an example to copy."""
    word = messages[-1]["content"]
    shown = any(turn["role"] == "assistant" for turn in messages)
    return WORDS[word] if shown or "plural" in messages[0]["content"] else word


def critic(messages, **args):
    """Say the same of every input."""
    schema = args["response_format"]["json_schema"]["schema"]
    return json.dumps(dict.fromkeys(schema["required"], "Ask for the plural."))


class Program:
    """A prompt, demonstrations, and a call that uses both."""

    def __init__(self):
        self.model = ScriptedModel(student)
        self.prompt = Parameter("Repeat the word.", "system prompt")
        self.demos = Demonstrations(fields=("word",))
        self.messages = [
            {"role": "system", "content": [self.prompt]},
            {"role": "demonstrations", "content": [self.demos]},
            {"role": "user", "content": [Variable("{word}", "user prompt")]},
        ]

    def evaluate(self):
        words, wanted = list(WORDS), Variable(list(WORDS.values()))
        reply = ChatCompletion.apply(self.model, self.messages, inputs={"word": words})
        return ExactMatchEvaluator.apply(reply, wanted)

    def backward(self):
        with set_backward_model_client(ScriptedModel(critic)):
            self.evaluate()[1].backward()


def test_feedback_on_a_prompt_becomes_a_better_prompt():
    """The rewriter sees the critique and the failing samples."""
    program = Program()
    model = ScriptedModel(lambda m, **args: answer(m, "Give the plural of the word."))
    program.backward()
    opt = TGD([program.prompt], model, gate=Improve(), momentum=2)
    score, _ = opt.step(program.evaluate)
    assert program.prompt.data == "Give the plural of the word."
    assert score.data == 4
    asked = model.requests[0].messages[1]["content"]
    assert "Ask for the plural." in asked
    assert "\nboxes\n" in asked
    assert opt.history[0].parent_scores == (0, 0, 0, 0)
    assert opt.history[0].candidate_scores == (1, 1, 1, 1)


def test_training_samples_become_demonstrations():
    """Targets of failing samples are tried as rows, and kept because they help."""
    program = Program()
    program.backward()
    opt = FewShot([program.demos], demos=2, candidates=2, rounds=1)
    opt.step(program.evaluate)
    assert len(program.demos.data) == 2
    assert all(WORDS[word] == plural for word, plural in program.demos.data)
    assert program.evaluate()[0].data == 4


class Agent(cog.Module):
    """Rules, as a module that a Trainer trains."""

    def __init__(self, kind):
        super().__init__()
        self.world = Rules(edits=kind is PatchTGD)
        self.prompt = Parameter("Answer.", "prompt")
        self.world.prompt = self.prompt
        self.kind = kind

    def training_step(self, batch, batch_idx):
        return self.world.evaluate(batch)

    validation_step = training_step

    def configure_optimizers(self):
        return self.kind(self.parameters(), self.world.optimizer, seed=1)


@pytest.mark.parametrize("kind", [PatchTGD, GEPA])
def test_a_trainer_runs_a_search(kind, tmp_path):
    """Feedback of its batches, its validation closure, and one record per decision."""
    agent = Agent(kind)
    batches = [agent.world.train[n : n + 4] for n in (0, 4, 8)] * 2
    val = [agent.world.val[:6], agent.world.val[6:]]
    trainer = Trainer(
        max_epochs=1, default_root_dir=tmp_path, enable_progress_bar=False
    )
    with credit_mode("passthrough"):
        trainer.fit(agent, batches, val)
    assert agent.world.evaluate(agent.world.val)[0].data == 12
    [optimizer] = trainer.optimizers
    assert len(trainer.decisions) == len(optimizer.history) > 3
