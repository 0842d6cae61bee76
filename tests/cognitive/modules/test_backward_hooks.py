"""Tests of backward hooks: feedback that comes in at results, and goes out."""

import asyncio

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.errors import GradientCountError, InputTypeError
from afnio.models.testing import ScriptedModel, feedback


class Join(cog.Module):
    def forward(self, x, y):
        return x + y


class AsyncJoin(Join):
    async def forward(self, x, y):
        return x + y


class Pair(cog.Module):
    def forward(self, x):
        return {"loud": x.upper(), "quiet": [x.lower()]}


class Scored(cog.Module):
    def forward(self, x):
        return F.exact_match_evaluator(x, "wanted")


def word(text="hi", role="word"):
    """Return a leaf."""
    return Variable(text, role, requires_grad=True)


def said(text):
    """Return a gradient."""
    return Variable(text, "feedback")


class Log(list):
    """A hook that keeps what it is called with."""

    def __call__(self, *args):
        self.append(args)


@pytest.mark.parametrize("kind", [Join, AsyncJoin])
def test_both_hooks_see_the_gradients(kind):
    """Pre-hooks see what comes in; hooks what goes out, one per argument."""
    module, before, after = kind(), Log(), Log()
    module.register_full_backward_pre_hook(before)
    module.register_full_backward_hook(after)
    x, y = word(role="x"), word(role="y")
    module(x, y=y).backward(said("Shorter."))
    assert [(m, [g.data for g in grads]) for m, grads in before] == [
        (module, ["Shorter."])
    ]
    ((seen, grad_input, grad_output),) = after
    assert seen is module
    assert [g.role for g in grad_input] == ["feedback to x", "feedback to y"]
    assert [g.data for g in grad_output] == ["Shorter."]
    assert [g.data for g in x.grad] == [grad_input[0].data]


def test_hooks_replace_gradients():
    """What they return is passed on."""
    module = Join()
    module.register_full_backward_pre_hook(lambda _m, _g: said("In other words."))
    module.register_full_backward_hook(lambda _m, _in, _out: (said("X!"), None))
    x, y = word(role="x"), word(role="y")
    module(x, y).backward(said("Shorter."))
    assert [g.data for g in x.grad] == ["X!"]
    assert y.grad == []


def test_results_of_several_nodes_are_seen_together():
    """Nested results have one gradient each, None for those without feedback."""
    module, before, after = Pair(), Log(), Log()
    module.register_full_backward_pre_hook(before)
    module.register_full_backward_hook(after)
    x = word()
    result = module(x)
    afnio.autodiff.backward(result["quiet"][0], said("Louder."))
    ((_, grads),) = before
    assert [g and g.data for g in grads] == [None, "Louder."]
    ((_, grad_input, _),) = after
    assert len(grad_input) == 1
    assert len(x.grad) == 1


def test_an_evaluator_module_still_starts_backward():
    """A module with hooks that returns scores needs no gradient to begin with."""
    module, after = Scored(), Log()
    module.register_full_backward_hook(after)
    x = word("other")
    _, explanation = module(x)
    explanation.backward()
    assert "wanted" in x.grad[0].data
    assert len(after) == 1


def test_a_module_without_tracked_arguments_reports_what_came_in():
    """Feedback that ends at the module's own Parameters is seen too."""
    task = cog.Parameter("Say hello.", role="task")
    messages = [{"role": "user", "content": [task]}]
    module, after = cog.ChatCompletion(ScriptedModel("Bye"), messages), Log()
    module.register_full_backward_hook(after)
    _, explanation = F.exact_match_evaluator(module(), "Hello")
    with afnio.set_backward_model_client(ScriptedModel(feedback("Greet."))):
        explanation.backward()
    ((_, grad_input, grad_output),) = after
    assert grad_input == ()
    assert "Hello" in grad_output[0].data
    assert [g.data for g in task.grad] == ["Greet."]


def test_nothing_happens_without_grad_or_after_removal():
    """No graph, no hook; and a removed hook is not called by older graphs either."""
    module, log = Join(), Log()
    handle = module.register_full_backward_hook(log)
    with afnio.no_grad():
        assert module(word(), word()).grad_fn is None
    result = module(word(), word())
    handle.remove()
    result.backward(said("Shorter."))
    assert log == []


def test_hooks_prepend_and_await():
    """The order is that of registration, unless one goes first; async hooks work."""
    module, order = Join(), []
    module.register_full_backward_hook(lambda *_: order.append("second"))

    async def first(*_):
        await asyncio.sleep(0)
        order.append("first")

    module.register_full_backward_hook(first, prepend=True)
    module(word(), word()).backward(said("Shorter."))
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [("text", InputTypeError), ((None, None, None), GradientCountError)],
)
def test_wrong_answers_fail_the_backward(answer, error):
    """Nothing is written, and the error names the hook."""
    module = Join()

    def wrong(*_):
        return answer

    module.register_full_backward_hook(wrong)
    x = word()
    with pytest.raises(error, match="wrong"):
        module(x, word()).backward(said("Shorter."))
    assert x.grad == []
