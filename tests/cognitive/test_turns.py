"""Tests of afnio.cognitive.turns: several chat turns as one Parameter."""

import copy
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable, set_backward_model_client
from afnio.autodiff._turns import parse_turns, write_turns
from afnio.models.testing import ScriptedModel, feedback, in_tags
from afnio.optim import TGD

PAIRS = [("user", "I am {name}."), ("assistant", "Hello, {name}! { }")]


def make():
    """Return turns, and messages that hold them."""
    turns = cog.Turns(PAIRS, role="how it began")
    question = Variable("And you?", role="question")
    return turns, [
        {"role": "turns", "content": [turns]},
        {"role": "user", "content": [question]},
    ]


def test_turns_expand_and_are_filled():
    """Each becomes a message of its own, per sample."""
    _, messages = make()
    model = ScriptedModel("x")
    F.chat_completion(model, messages, {"name": ["Ann", "Bob"]}).data
    assert model.requests[1].messages == (
        {"role": "user", "content": "I am Bob."},
        {"role": "assistant", "content": "Hello, Bob! { }"},
        {"role": "user", "content": "And you?"},
    )


def test_turns_are_learned():
    """The critic and the optimizer see them as one text."""
    turns, messages = make()
    better = write_turns([("user", "I am {name}."), ("assistant", "Hi, {name}.")])
    with set_backward_model_client(ScriptedModel(feedback("Be brief."))):
        reply = F.chat_completion(ScriptedModel("x"), messages, {"name": "Ann"})
        reply.backward(Variable("too long"))
    assert turns.grad[0].data == "Be brief."
    optimizer = ScriptedModel(in_tags(better))
    TGD([turns], model_client=optimizer).step()
    assert turns.turns()[1] == ("assistant", "Hi, {name}.")
    assert "[assistant]" in str(optimizer.requests[0].messages)


def test_a_rewrite_that_is_no_turns_is_refused():
    """The Parameter stays as it was."""
    turns, messages = make()
    with set_backward_model_client(ScriptedModel(feedback("Be brief."))):
        reply = F.chat_completion(ScriptedModel("x"), messages, {"name": "Ann"})
        reply.backward(Variable("too long"))
    optimizer = TGD([turns], model_client=ScriptedModel(in_tags("Hi {name}.")))
    with pytest.warns(RuntimeWarning, match="begin with a turn"):
        optimizer.step()
    assert turns.turns() == PAIRS


def test_save_load_and_copy():
    """They come back as Turns."""
    turns, _ = make()
    file = io.BytesIO()
    afnio.save({"turns": turns}, file)
    loaded = afnio.load(io.BytesIO(file.getvalue()))["turns"]
    for twin in (loaded, copy.deepcopy(turns)):
        assert isinstance(twin, cog.Turns)
        assert twin.turns() == PAIRS
        assert twin.role == "how it began"


def test_turns_are_exported_as_they_are_sent(tmp_path):
    """A program with turns needs no afnio either."""

    class Program(cog.Module):
        def __init__(self):
            super().__init__()
            self.opening, messages = make()
            self.chat = cog.ChatCompletion(ScriptedModel("x"), messages)

    path = afnio.exporting.export_program(Program(), tmp_path / "x.md")
    text = path.read_text("utf-8")
    assert "I am {name}." in text
    assert "[user]" not in text


@pytest.mark.parametrize(
    ("turns", "error", "words"),
    [
        ("Hello", ValueError, "does not begin with a turn"),
        ("Hello\n[user]\nHi", ValueError, "begin with a turn: 'Hello'"),
        ([], ValueError, "does not begin"),
        (None, TypeError, "pairs of role and text"),
        ([("bot", "Hi")], ValueError, "turn 0 has the role 'bot'"),
        ([("user", "a\n[assistant]\nb")], ValueError, "begin another turn"),
        ([("user", 3)], TypeError, "turn 0 must be a pair"),
        (["user"], TypeError, "turn 0 must be a pair"),
    ],
)
def test_what_is_no_turns_is_refused(turns, error, words):
    """The error says which turn, and what is expected."""
    with pytest.raises(error, match=words):
        cog.Turns(turns)


def test_messages_with_turns_are_checked():
    """Text that is no turns is refused at the call; so are demonstrations before."""
    turns, _ = make()
    wrong = [{"role": "turns", "content": [Variable("Hi")]}]
    with pytest.raises(ValueError, match=r"messages\[0\].*begin with a turn"):
        F.chat_completion(ScriptedModel("x"), wrong)
    demos = cog.Demonstrations([["a", "b"]])
    before = [
        {"role": "demonstrations", "content": [demos]},
        {"role": "turns", "content": [turns]},
    ]
    with pytest.raises(ValueError, match="demonstrations before turns"):
        F.chat_completion(ScriptedModel("x"), before)


TEXTS = st.text(st.characters(exclude_characters="[", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), min_size=1))
def test_writing_and_reading_are_inverse(pairs):
    """Up to line breaks at the ends of a turn."""
    expected = [(role, text.strip("\n")) for role, text in pairs]
    assert parse_turns(write_turns(pairs)) == expected
