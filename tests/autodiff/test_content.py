"""Tests of content blocks among the Variables of a message."""

import copy
import io

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable, set_backward_model_client
from afnio.models import blocks
from afnio.models.testing import ScriptedModel, feedback

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
LOOK = Variable("Look:", "task", requires_grad=True)


def sent(content, inputs=None):
    """Return what the model was sent, per sample."""
    model = ScriptedModel("seen")
    F.chat_completion(model, [{"role": "user", "content": content}], inputs).data
    return [request.messages[0]["content"] for request in model.requests]


def test_text_alone_stays_text():
    """Without blocks nothing changes."""
    assert sent([Variable("a"), Variable("b")]) == ["a\nb"]


def test_an_image_among_texts():
    """Blocks and Variables keep their order."""
    image = blocks.image(PNG)
    (content,) = sent([LOOK, image, Variable("Brief.")])
    assert content == [blocks.text("Look:"), image, blocks.text("Brief.")]


def test_a_text_block_may_hold_a_variable():
    """It is filled as Variables are, and keeps its other keys."""
    block = blocks.cached({"type": "text", "text": Variable("Look at {thing}.")})
    (content,) = sent([block], {"thing": "cats"})
    assert content == [blocks.cached(blocks.text("Look at cats."))]


def test_a_block_fills_a_placeholder_per_sample():
    """What stands around the placeholder becomes text of its own."""
    first, second = blocks.image(PNG), blocks.document(b"hello")
    contents = sent(
        [Variable("Describe {it} in one word.")], {"it": [first, None, second]}
    )
    assert contents == [
        [blocks.text("Describe"), block, blocks.text(" in one word.")]
        for block in (first, second)
    ]


def test_a_batch_within_a_block():
    """A Variable that holds a batch gives every sample its own text."""
    block = {"type": "text", "text": Variable(["a", "b"])}
    assert sent([block]) == ["a", "b"]


def test_feedback_reaches_a_variable_in_a_block():
    """The critic sees the image in words, never its data."""
    prompt = Variable("Look at it.", "task", requires_grad=True)
    content = [{"type": "text", "text": prompt}, blocks.image(PNG)]
    critic = ScriptedModel(feedback("Say what to look for."))
    with set_backward_model_client(critic):
        reply = F.chat_completion(
            ScriptedModel("a cat"), [{"role": "user", "content": content}]
        )
        reply.backward(Variable("wrong"))
    (gradient,) = prompt.grad
    assert gradient.data == "Say what to look for."
    shown = critic.requests[0].messages[1]["content"]
    assert "(image, image/png" in shown
    assert content[1]["source"]["data"] not in shown
    assert "image/png" in gradient.evidence[0].messages[0]["content"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"type": "zz"}], r"content'\]\[0\].*'zz'"),
        ([{"type": "text"}], "lacks 'text'"),
        ([{}], "no 'type'"),
        (["plain"], "a Variable or a content block, got str"),
    ],
)
def test_what_is_no_content_is_refused(content, words):
    """The error names the place and what is wrong there."""
    with pytest.raises(TypeError, match=words):
        sent(content)


def test_an_input_that_is_no_block_is_refused():
    """A dict among the inputs has to be a block."""
    with pytest.raises(TypeError, match="inputs\\['it'\\]"):
        sent([Variable("{it}")], {"it": {"type": "zz"}})
    with pytest.raises(ValueError, match="holds a Variable"):
        sent([Variable("{it}")], {"it": {"type": "text", "text": Variable("x")}})


class Looker(cog.Module):
    """A program with an image and a prompt inside a block."""

    def __init__(self, image=PNG):
        super().__init__()
        prompt = cog.Parameter("Look at {thing}.", role="task")
        content = [{"type": "text", "text": prompt}, blocks.image(image)]
        self.chat = [{"role": "user", "content": content}]
        self.ask = cog.ChatCompletion(ScriptedModel("seen"))


def test_modules_find_save_and_load_what_is_in_blocks():
    """The Parameter has a name, is saved with the image, and is copied."""
    program = Looker()
    ((name, prompt),) = program.named_parameters()
    assert name == "chat.0.0"
    prompt.data = "Stare at {thing}."
    file = io.BytesIO()
    afnio.save(program.state_dict(), file)
    state = afnio.load(io.BytesIO(file.getvalue()))
    assert state["chat"][0]["content"][1] == blocks.image(PNG)
    fresh = Looker()
    assert repr(fresh.load_state_dict(state)) == "<All keys matched successfully>"
    assert next(fresh.parameters()).data == "Stare at {thing}."
    twin = copy.deepcopy(program)
    assert next(twin.parameters()) is not prompt
    assert twin.chat[0]["content"][1] == blocks.image(PNG)


def test_another_image_in_the_state_is_reported():
    """Nothing is loaded over a block that is not the same."""
    other = Looker(PNG + b"more")
    before = next(other.parameters())
    with pytest.raises(RuntimeError, match="image, image/png"):
        other.load_state_dict(Looker().state_dict())
    assert next(other.parameters()) is before


def test_exports_hold_texts_only(tmp_path):
    """A program with an image says so instead of leaving it out."""
    with pytest.raises(ValueError, match="image, image/png"):
        afnio.exporting.export_program(Looker(), tmp_path / "x.md")
