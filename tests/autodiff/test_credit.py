"""Who assigns credit: modes, labels, and what success costs."""

from __future__ import annotations

import asyncio
import threading

import pytest

import afnio.cognitive.functional as F
from afnio import Variable, autodiff
from afnio._home import home
from afnio.autodiff import (
    credit_mode,
    critic_prompt,
    get_credit_mode,
    get_critic_prompt,
)
from afnio.autodiff.evaluator import DeterministicEvaluator, ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.cognitive.parameter import Parameter
from afnio.models import set_backward_model_client
from afnio.models.testing import ScriptedModel, feedback


def call(*parts, answer="no"):
    """Return the reply to a message made of Variables."""
    model = ScriptedModel(answer)
    return ChatCompletion.apply(model, [{"role": "user", "content": list(parts)}])


class TestSuccess:
    @pytest.mark.parametrize("start", ["score", "explanation"])
    def test_a19_success_costs_nothing(self, start):
        """A19: a right answer appends one empty Variable and asks nobody."""
        prompt = Parameter("Answer.", role="system prompt")
        results = ExactMatchEvaluator.apply(call(prompt, answer="yes"), "yes")
        client = ScriptedModel([])
        with set_backward_model_client(client):
            results[0 if start == "score" else 1].backward()
        assert [grad.data for grad in prompt.grad] == [""]
        assert prompt.grad[0].role == "feedback to system prompt"
        assert prompt.grad[0].evidence[0].success is True
        assert client.requests == []

    def test_a19_through_two_calls(self):
        """Nothing to improve travels through every call on the way for free."""
        first, second = Parameter("a", role="first"), Parameter("b", role="second")
        reply = call(second, call(first), answer="yes")
        client = ScriptedModel([])
        with set_backward_model_client(client):
            ExactMatchEvaluator.apply(reply, "yes")[1].backward()
        assert [grad.data for grad in (*first.grad, *second.grad)] == ["", ""]
        assert client.requests == []

    def test_success_fn_decides(self):
        """A score that the evaluator calls the best costs nothing, whatever it is."""
        prompt = Parameter("Answer.", role="system prompt")
        result = DeterministicEvaluator.apply(
            call(prompt),
            "yes",
            lambda predicted, _: len(predicted),
            "length",
            success_fn=lambda scores: scores[0] <= 2,
        )
        client = ScriptedModel([])
        with set_backward_model_client(client):
            result[1].backward()
        assert [grad.data for grad in prompt.grad] == [""]
        assert client.requests == []


class TestLabels:
    @pytest.mark.parametrize(
        ("param", "label"),
        [
            (Parameter("x", role="style guide", name="guide"), "input_1: style guide"),
            (Parameter("x", name="guide"), "input_1: guide"),
            (Parameter("x"), "input_1: parameter"),
            (Variable("x", "tone", requires_grad=True), "input_1: tone"),
            (Variable("x", requires_grad=True), "input_1: an input of the call"),
        ],
    )
    def test_the_critic_is_told_what_each_input_is(self, param, label):
        """By its role, or else by the Parameter's name; never as None."""
        client = ScriptedModel(feedback("be exact"))
        reply = call(param)
        with set_backward_model_client(client):
            reply.backward(Variable("bad"))
        asked = client.requests[0].messages[1]["content"]
        assert f"\n{label}\n<input>\nx\n</input>" in asked
        assert "None" not in asked
        assert param.grad[0].data == "be exact"


class TestModes:
    def test_critic_is_the_default_and_blocks_nest(self):
        """The mode ends with its block, also after an error."""
        assert get_credit_mode() == "critic"
        with credit_mode("passthrough"):
            with credit_mode("critic"):
                assert get_credit_mode() == "critic"
            with pytest.raises(KeyError), credit_mode("critic"):
                raise KeyError
            assert get_credit_mode() == "passthrough"
        assert get_credit_mode() == "critic"

    def test_unknown_mode(self):
        """The error says which there are."""
        with (
            pytest.raises(ValueError, match="'critic' or 'passthrough', got 'both'"),
            credit_mode("both"),
        ):
            pass

    def test_tasks_and_threads_have_their_own(self):
        """A mode set here does not reach another thread, or a task made before."""
        seen = []
        with credit_mode("passthrough"):
            thread = threading.Thread(target=lambda: seen.append(get_credit_mode()))
            thread.start()
            thread.join()

        async def main():
            async def look():
                await asyncio.sleep(0)
                return get_credit_mode()

            before = asyncio.create_task(look())
            with credit_mode("passthrough"):
                return await before, await asyncio.create_task(look())

        assert seen == ["critic"]
        assert asyncio.run(main()) == ("critic", "passthrough")

    def test_passthrough_hands_on_as_it_is(self):
        """Every tracked input gets the words themselves, and no model is needed."""
        first, second = Parameter("a", role="first"), Parameter("b", role="second")
        client = ScriptedModel([])
        with set_backward_model_client(client), credit_mode("passthrough"):
            call(second, call(first)).backward(Variable("too long"))
        assert [grad.data for grad in first.grad] == ["too long"]
        assert [grad.data for grad in second.grad] == ["too long"]
        assert first.grad[0].evidence[0].critique == "too long"
        assert client.requests == []

    def test_passthrough_of_a_batch_keeps_samples_apart(self):
        """A batched input gets its own sample's words; right samples none."""
        items = Variable(["a", "b"], "items", requires_grad=True)
        reply = ChatCompletion.apply(
            ScriptedModel(lambda messages, **_: messages[0]["content"]),
            [{"role": "user", "content": [Variable("{x}")]}],
            inputs={"x": items},
        )
        with credit_mode("passthrough"):
            ExactMatchEvaluator.apply(reply, ["a", "?"])[1].backward()
        right, wrong = items.grad[0].data
        assert right == ""
        assert "gave a score of 0" in wrong

    def test_the_mode_of_the_backward_counts(self):
        """What was in force at the forward does not matter."""
        prompt = Parameter("a", role="prompt")
        with credit_mode("passthrough"):
            reply = call(prompt)
        client = ScriptedModel(feedback("from the critic"))
        with set_backward_model_client(client):
            reply.backward(Variable("bad"))
        assert prompt.grad[0].data == "from the critic"


@pytest.mark.parametrize("size", [4, 40])
def test_a_batch_is_copied_once_not_for_every_critic_call(size, monkeypatch):
    """Copies of lists do not grow with the number of samples that were wrong."""
    from afnio.autodiff import _inputs

    copied = []
    original = _inputs.copy_data
    monkeypatch.setattr(
        _inputs, "copy_data", lambda data: copied.append(data) or original(data)
    )
    question = Variable([f"q{n}" for n in range(size)], "questions", requires_grad=True)
    ask = [{"role": "user", "content": [Variable("{q}", "task", requires_grad=True)]}]
    answers = F.chat_completion(ScriptedModel("a"), ask, {"q": question})
    _, explanation = F.exact_match_evaluator(answers, ["b"] * size)
    with set_backward_model_client(ScriptedModel(feedback("No."))):
        explanation.backward()
    assert question.grad[0].data == ["No."] * size
    assert len([data for data in copied if isinstance(data, list)]) < 4


class TestFailure:
    @pytest.mark.parametrize("batched", [True, False])
    @pytest.mark.parametrize("create_graph", [True, False])
    def test_the_first_failure_cancels_all_other_critics(self, batched, create_graph):
        """Nobody would read what they say, and it would be paid for."""
        asked, cancelled = [], []

        async def critic(messages, **_):
            asked.append(messages)
            if len(asked) == 3:
                raise LookupError("boom")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(messages)
                raise

        prompt = Parameter("Answer.", role="system prompt")
        texts = ["a", "b", "c"]
        samples = [texts] if batched else texts
        losses = [
            ExactMatchEvaluator.apply(ask(prompt, sample), "yes")[1]
            for sample in samples
        ]
        with (
            set_backward_model_client(ScriptedModel(critic)),
            pytest.raises(LookupError, match="boom"),
        ):
            autodiff.backward(losses, create_graph=create_graph)
        assert (len(asked), len(cancelled)) == (3, 2)
        assert not home().pending
        assert prompt.grad == []


def ask(prompt, question):
    """Return the replies to a question, or to a batch of them."""
    turns = [
        {"role": "system", "content": [prompt]},
        {"role": "user", "content": [Variable("{question}")]},
    ]
    inputs = {"question": question}
    return ChatCompletion.apply(ScriptedModel("no"), turns, inputs=inputs)


def test_settings_in_an_async_generator():
    """One that is entered in one task may be left in another."""

    async def settings():
        with credit_mode("passthrough"), critic_prompt(Variable("Be kind.")):
            yield get_credit_mode(), get_critic_prompt().data

    async def main():
        generator = settings()
        first = await asyncio.create_task(following(generator))
        return first, await asyncio.create_task(following(generator))

    async def following(generator):
        return await anext(generator, "end")

    assert asyncio.run(main()) == (("passthrough", "Be kind."), "end")
    assert get_credit_mode() == "critic"
