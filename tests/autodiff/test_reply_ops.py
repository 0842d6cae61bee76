"""Tests of afnio.autodiff.reply_ops, and gradcheck of every operation of agents."""

import pytest

import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable, set_backward_model_client
from afnio.autodiff.gradcheck import gradcheck
from afnio.autodiff.reply_ops import JsonField, Pick
from afnio.models.testing import ScriptedModel, feedback


def leaf(data, role="reply"):
    """Return a Variable that wants feedback."""
    return Variable(data, role, requires_grad=True)


def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


def chat(prompt, tool):
    """Ask once, in two conversations."""
    threads = cog.Conversations.start(2, [prompt])
    made = cog.Tool(shout, tool)
    return F.chat(ScriptedModel("ok"), threads, tools=[made]).output


def agent(prompt, tool):
    """Run an agent on a batch."""
    messages = [{"role": "user", "content": [prompt]}]
    made = cog.Agent(ScriptedModel("ok"), messages, [cog.Tool(shout, tool)])
    return made(inputs={"x": ["a", "b"]})


@pytest.mark.parametrize(
    ("fn", "inputs"),
    [
        (lambda x: JsonField.apply(x, "a"), [leaf('{"a": "b"}')]),
        (lambda x: JsonField.apply(x, "a"), [leaf(['{"a": 1}', None, "no"])]),
        (lambda *xs: Pick.apply(xs, (0, 1)), [leaf(["a", "b"]), leaf(["c", "d"])]),
        (chat, [leaf("Say it."), leaf("Noise.")]),
        (chat, [leaf(["Say a.", "Say b."]), leaf("Noise.")]),
        (agent, [leaf("Say {x}."), leaf("Noise.")]),
    ],
)
def test_operations_keep_their_promises(fn, inputs):
    """Arity, purity, determinism, shapes; saying nothing costs nothing."""
    with set_backward_model_client(ScriptedModel(feedback("Name the year."))):
        assert gradcheck(fn, inputs)


def test_fields_keep_their_kind():
    """Numbers stay numbers unless text is among them; objects become JSON."""
    replies = ['{"a": 1}', '{"a": 2.5}', '{"b": 0}', "no JSON", None]
    assert JsonField.apply(leaf(replies), "a").data == [1, 2.5, None, None, None]
    mixed = ['{"a": 1}', '{"a": "x"}', '{"a": {"é": []}}', '{"a": true}']
    assert JsonField.apply(leaf(mixed), "a").data == ["1", "x", '{"é": []}', "true"]
    assert JsonField.apply(leaf('{"a": 3}'), "a").data == 3


def test_picked_samples_send_feedback_where_they_came_from():
    """A sample that was never picked is missing, and gets none."""
    first, second = leaf(["a", "b", "c"]), leaf(["d", "e", "f"])
    picked = Pick.apply([first, second], (0, 1, None))
    assert picked.data == ["a", "e", None]
    picked.backward(Variable(["A", "E", "?"]))
    assert first.grad[0].data == ["A", "", ""]
    assert second.grad[0].data == ["", "E", ""]
