"""Evaluation dispatches many batches before it reads one; closures come in blocks."""

from __future__ import annotations

import asyncio

import pytest
from trainer_helpers import Agent, batch, quiet

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive import functional as F
from afnio.models.testing import ScriptedModel
from afnio.trainer._evaluate import ValidationClosure

DATA = [batch(str(number)) for number in range(12)]


class Gate:
    """A model that answers nobody before all have asked."""

    def __init__(self, size):
        self.size, self.asked, self.open = size, 0, None
        self.model = ScriptedModel(self.answer)

    async def answer(self, messages, **_args):
        self.open = self.open or asyncio.Event()
        self.asked += 1
        if self.asked == self.size:
            self.open.set()
        await self.open.wait()
        return f"good{messages[0]['content']}"


class Asking(cog.Module):
    """Answers with what a model says."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.chat = cog.ChatCompletion()

    def forward(self, text):
        messages = [{"role": "user", "content": [Variable("{text}")]}]
        return self.chat(self.model, messages, inputs={"text": text})

    def test_step(self, batch, batch_idx):
        return F.exact_match_evaluator(self(batch[0]), batch[1])


class Reading(Asking):
    """Reads the answer inside the step."""

    def test_step(self, batch, batch_idx):
        answer = self(batch[0])
        answer.data = [text.strip() for text in answer.data]
        return F.exact_match_evaluator(answer, batch[1])


def test_model_calls_of_all_batches_overlap():
    """Twelve batches are all asked before one is answered."""
    gate = Gate(len(DATA))
    assert quiet().test(Asking(gate.model), DATA) == {"loss": 1.0}


def test_async_steps_overlap():
    """The same with coroutines that wait inside."""

    class Async(Asking):
        async def test_step(self, batch, batch_idx):
            answer = await self.acall(batch[0])
            return F.exact_match_evaluator(answer, batch[1])

    gate = Gate(len(DATA))
    assert quiet().test(Async(gate.model), DATA) == {"loss": 1.0}


def test_steps_that_read_can_be_let_overlap():
    """concurrent_steps lets plain steps that wait inside wait together."""
    gate = Gate(len(DATA))
    trainer = quiet(concurrent_steps=len(DATA))
    assert trainer.test(Reading(gate.model), DATA) == {"loss": 1.0}


def test_plain_steps_take_turns_by_default():
    """A step that keeps state on the agent is safe: the next one waits for its end."""
    inside = []

    class Stateful(Reading):
        def test_step(self, batch, batch_idx):
            inside.append(batch_idx)
            output = super().test_step(batch, batch_idx)
            assert inside == [batch_idx]
            inside.clear()
            return output

    quiet().test(Stateful(Gate(1).model), DATA)


def test_batches_are_counted_in_order():
    """Hooks see results in the order of the loader, whichever came first."""
    order = []

    class Ordered(Asking):
        def on_test_batch_end(self, outputs, batch, batch_idx):
            order.append(batch_idx)

    quiet().test(Ordered(Gate(len(DATA)).model), DATA)
    assert order == list(range(12))


def test_one_failure_ends_the_evaluation():
    """The first error, in the order of the loader, is raised."""

    class Failing(Agent):
        def test_step(self, batch, batch_idx):
            if batch_idx > 3:
                raise ValueError(f"batch {batch_idx}")
            return super().test_step(batch, batch_idx)

    with pytest.raises(ValueError, match="batch 4"):
        quiet().test(Failing(), DATA)


@pytest.mark.parametrize(("size", "blocks"), [(1, 1), (3, 3), (12, 5)])
def test_blocks_partition_the_batches(size, blocks):
    """Block after block gives what the whole closure gives."""
    agent = Agent(word="good")
    closure = ValidationClosure(agent, DATA[:size])
    assert closure.blocks == blocks
    parts = [result for block in range(blocks) for result in closure(block)]
    assert len(parts) == len(closure()) == size
    order = [index for kind, index, _ in agent.seen]
    assert order == [*range(size), *range(size)]


def test_a_closure_does_not_wait():
    """Scores may be pending, and belong to the parameters at the time of the call."""
    gate = Gate(2)

    class Validating(Asking):
        def __init__(self, model):
            super().__init__(model)
            self.word = cog.Parameter("x", role="word", requires_grad=True)

        def validation_step(self, batch, batch_idx):
            text = Variable("{word}").format(word=self.word)
            return F.exact_match_evaluator(self(text), Variable("goody"))

    agent = Validating(gate.model)
    closure = ValidationClosure(agent, [None])
    (first,) = closure()
    agent.word.data = "y"
    (second,) = closure()
    assert (first[0].data, second[0].data) == (0, 1)
