"""Operators and string methods: tracked, batched, and waiting only when read."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import Variable
from afnio.autodiff.graph import topological
from afnio.cognitive import functional as F
from afnio.errors import InputTypeError, InputValueError, TemplateError
from afnio.models import set_backward_model_client
from afnio.models.testing import ScriptedModel
from afnio.models.testing import feedback as says

METHODS = [
    ("capitalize", ()), ("casefold", ()), ("center", (9, "*")), ("expandtabs", (4,)),
    ("ljust", (9,)), ("lower", ()), ("lstrip", ()), ("removeprefix", ("a",)),
    ("removesuffix", ("b",)), ("replace", ("a", "bb")), ("rjust", (9, ".")),
    ("rstrip", ("b",)), ("strip", ()), ("swapcase", ()), ("title", ()), ("upper", ()),
    ("translate", ({97: "x"},)), ("zfill", (7,)),
]  # fmt: skip


def feedback(result, x, text="FEEDBACK"):
    """Go back from ``result`` and return the data of the one gradient of ``x``."""
    result.backward(Variable(text))
    (grad,) = x.grad
    assert grad.role == f"feedback to {x.role}"
    return grad.data


class TestStringMethods:
    @pytest.mark.parametrize(("name", "args"), METHODS)
    @given(text=st.text(st.sampled_from("abAB \t.1"), max_size=8))
    def test_same_as_str(self, name, args, text):
        """Scalars, batches and missing samples all match what str does."""
        expected = getattr(text, name)(*args)
        assert getattr(Variable(text), name)(*args).data == expected
        batch = getattr(Variable([text, None, [text]]), name)(*args)
        assert batch.data == [expected, None, [expected]]

    @pytest.mark.parametrize(("name", "args"), METHODS)
    def test_tracked(self, name, args):
        """Each is a node of its own, and its gradient says what was done."""
        x = Variable("abc", "greeting", requires_grad=True)
        y = getattr(x, name)(*args)
        assert y.grad_fn.name() == f"{name.capitalize()}Backward0"
        assert y.role == "greeting"
        said = feedback(y, x)
        assert said.endswith(": FEEDBACK")
        assert f".{name}(" in said
        assert "greeting" in said

    def test_refusals(self):
        """Numbers and None have no string methods; wrong arguments are TypeErrors."""
        for bad in (1, None, [1.5]):
            with pytest.raises(InputTypeError):
                Variable(bad).upper()
        with pytest.raises(InputTypeError, match="replace"):
            Variable("a").replace("a", 3)

    def test_argument_may_be_a_variable(self):
        """A Variable as an argument counts as its data."""
        assert Variable("abc").replace(Variable("b"), "x").data == "axc"

    def test_batch_gradient(self):
        """Feedback per sample stays per sample; right samples stay empty."""
        x = Variable(["a", "b"], "texts", requires_grad=True)
        x.upper().backward(Variable(["", "bad"]))
        first, second = x.grad[0].data
        assert first == ""
        assert second.endswith(": bad")

    def test_trail_of_several_steps(self):
        """A chain of methods is told as a whole, once."""
        x = Variable(" abc ", "greeting", requires_grad=True)
        said = feedback(x.strip().upper(), x)
        assert ".strip().upper()" in said
        assert said.count("Feedback on") == 1

    def test_chain_does_not_grow(self):
        """A thousand steps keep the lead-in short."""
        x = Variable("abc", "greeting", requires_grad=True)
        y = x
        for _ in range(500):
            y = y.upper().lower()
        assert len(feedback(y, x)) < 400


class TestIndexing:
    @given(st.text(max_size=6), st.slices(6))
    def test_slice_of_text(self, text, part):
        """The same as for str."""
        assert Variable(text)[part].data == text[part]

    @given(st.lists(st.text(max_size=2), max_size=5), st.slices(5))
    def test_slice_of_batch_and_its_gradient(self, texts, part):
        """Feedback on samples returns to their places, all others stay empty."""
        x = Variable(texts, "texts", requires_grad=True)
        y = x[part]
        assert y.data == texts[part]
        marks = [f"#{i}" for i in range(len(texts))]
        y.backward(Variable(marks[part]))
        kept = set(marks[part])
        assert x.grad[0].data == [mark if mark in kept else "" for mark in marks]

    def test_sample_of_a_batch(self):
        """An int picks a sample, also from the end."""
        x = Variable(["a", "b", "c"], "texts", requires_grad=True)
        assert x[-1].data == "c"
        x[-1].backward(Variable("bad"))
        assert x.grad[0].data == ["", "", "bad"]

    def test_part_of_a_text(self):
        """Feedback on a slice names the slice."""
        x = Variable("hello world", "greeting", requires_grad=True)
        y = x[6:]
        assert y.data == "world"
        said = feedback(y, x)
        assert "[6:]" in said
        assert "greeting" in said
        assert said.endswith(": FEEDBACK")

    def test_a_critique_of_a_slice_is_feedback_on_that_slice(self):
        """What a critic says of the part that was sent names the part, to the whole."""
        x = Variable("Be kind. Be very brief.", "style guide", requires_grad=True)
        reply = F.chat_completion(
            ScriptedModel("Hi."), [{"role": "system", "content": [x[9:].strip()]}]
        )
        with set_backward_model_client(ScriptedModel(says("drop 'very'"))):
            reply.backward(Variable("too short"))
        assert x.grad[0].data == (
            "Feedback on characters [9:] of style guide (.strip() was applied to it): "
            "drop 'very'"
        )
        assert x.grad[0].role == "feedback to style guide"

    def test_slice_of_a_slice(self):
        """Both slices are told, so that feedback keeps its place."""
        x = Variable("hello world", "greeting", requires_grad=True)
        said = feedback(x[6:][:2], x)
        assert "[6:]" in said
        assert "[:2]" in said

    def test_steps_after_picking_a_sample(self):
        """What was done to a sample is told where the sample was."""
        x = Variable(["ab", "cd"], "texts", requires_grad=True)
        x[1].upper().backward(Variable("bad"))
        first, second = x.grad[0].data
        assert first == ""
        assert ".upper()" in second

    def test_errors(self):
        """Out of range is an IndexError and a ValueError of ours; keys are refused."""
        with pytest.raises(IndexError):
            Variable(["a"])[1]
        with pytest.raises(InputValueError):
            Variable("")[0]
        with pytest.raises(InputTypeError):
            Variable(1)[0]
        for key in ("0", True, None, 1.0):
            with pytest.raises(InputTypeError):
                Variable("ab")[key]

    def test_iteration_and_length(self):
        """Iterating yields tracked samples."""
        x = Variable(["a", "b"], requires_grad=True)
        assert [v.data for v in x] == ["a", "b"]
        assert all(v.requires_grad for v in x)
        assert len(x) == 2
        with pytest.raises(TypeError):
            len(Variable(1))
        with pytest.raises(TypeError):
            iter(Variable(1))

    def test_feedback_of_the_wrong_length(self):
        """Feedback for another number of samples is refused, naming both."""
        x = Variable(["a", "b", "c"], requires_grad=True)
        with pytest.raises(InputValueError, match=r"length 3.*2 samples"):
            x[:2].backward(Variable(["1", "2", "3"]))
        assert x.grad == []


class TestPlus:
    def test_constants_on_either_side(self):
        """Text and numbers are added as they are; the role stays."""
        x = Variable("b", "r", requires_grad=True)
        y = "a" + x + "c"
        assert (y.data, y.role, y.requires_grad) == ("abc", "r", True)
        assert (Variable(1) + 2.5).data == 3.5
        assert (1 + Variable(2)).data == 3
        assert (Variable("a") + 1).data == "a1"

    def test_constant_is_added_to_every_sample(self):
        """A constant broadcasts over a batch; None stays None."""
        assert (Variable(["a", None]) + "!").data == ["a!", None]
        assert ("<" + Variable([["a"], "b"])).data == [["<a"], "<b"]
        assert (Variable([1, 2]) + 1).data == [2, 3]

    def test_refused(self):
        """Anything else is a TypeError."""
        for bad in (None, b"x", ["a"], object()):
            with pytest.raises(InputTypeError):
                Variable("a") + bad
            with pytest.raises(TypeError):
                bad + Variable("a")

    def test_none(self):
        """A scalar None cannot be added to."""
        with pytest.raises(TypeError):
            Variable(None) + 1
        with pytest.raises(TypeError):
            Variable(["a"]) + Variable(None)


class TestFormat:
    def test_values_and_template_get_feedback(self):
        """Template and values are all told, each in its own words."""
        t = Variable("Dear {name}, {x} {{y}}", "letter", requires_grad=True)
        n = Variable("Bo", "name", requires_grad=True)
        y = t.format(name=n)
        assert (y.data, y.role) == ("Dear Bo, {x} {y}", "letter")
        y.backward(Variable("FEEDBACK"))
        for v in (t, n):
            assert len(v.grad) == 1
            assert v.role in v.grad[0].data
            assert v.grad[0].data.endswith(": FEEDBACK")

    def test_batched_value_makes_a_batch(self):
        """A template that is one text gets one text as feedback."""
        t = Variable("<{a}>", "template", requires_grad=True)
        a = Variable(["1", None, "3"], "value", requires_grad=True)
        y = t.format(a=a)
        assert y.data == ["<1>", None, "<3>"]
        y.backward(Variable(["", "", "bad"]))
        assert isinstance(t.grad[0].data, str)
        assert t.grad[0].data.endswith(": bad")
        assert a.grad[0].data[0] == ""
        assert a.grad[0].data[2].endswith(": bad")

    def test_batched_template(self):
        """A batch of templates, some missing, is filled one by one."""
        t = Variable(["{a}", None, "-{a}"])
        assert t.format(a="x").data == ["x", None, "-x"]

    def test_unknown_name(self):
        """A value without a placeholder is refused, naming what there is."""
        with pytest.raises(TemplateError, match="placeholders"):
            Variable("{a}").format(b="x")
        with pytest.raises(ValueError, match="nope"):
            Variable("{a}").format(a="x", nope="y")

    def test_lengths(self):
        """Batches of different lengths are refused; so is a scalar None."""
        with pytest.raises(InputValueError, match="equal length"):
            Variable("{a}{b}").format(a=Variable(["1"]), b=Variable(["1", "2"]))
        with pytest.raises(TypeError):
            Variable("{a}{b}").format(a=Variable(["1"]), b=None)
        with pytest.raises(InputTypeError):
            Variable(1).format()


class TestJoinSplitMap:
    def test_join(self):
        """One node; the roles of the parts are joined."""
        a = Variable("a", "first", requires_grad=True)
        y = Variable(", ").join([a, "b", Variable("c", "third")])
        assert (y.data, y.role) == ("a, b, c", "first and third")
        assert len(topological([y.grad_fn])) == 2
        assert feedback(y, a).endswith(": FEEDBACK")

    def test_join_of_batches(self):
        """Batches are joined sample by sample; scalars broadcast."""
        y = Variable("-").join([Variable(["a", None]), "x"])
        assert y.data == ["a-x", None]
        sep = Variable("-", "separator", requires_grad=True)
        sep.join([Variable(["a", "b"]), "x"]).backward(Variable(["", "bad"]))
        assert sep.grad[0].data.endswith(": bad")

    def test_join_of_few(self):
        """No parts give empty text; numbers are refused."""
        assert Variable(", ", "sep").join([]).data == ""
        assert Variable(", ").join(["a"]).data == "a"
        assert Variable("").join("abc").data == "abc"
        with pytest.raises(InputTypeError):
            Variable(",").join([1, 2])

    def test_split(self):
        """The method is the operation."""
        x = Variable("a b", "pair", requires_grad=True)
        first, second = x.split()
        assert (first.data, second.data) == ("a", "b")
        assert second.output_nr == 1

    def test_map(self):
        """A user's function is applied to every value and named in feedback."""
        x = Variable(["1", None], "numbers", requires_grad=True)
        y = x.map(int, "parse the number")
        assert y.data == [1, None]
        y.backward(Variable(["bad", ""]))
        assert "parse the number" in x.grad[0].data[0]

    def test_map_refuses(self):
        """What is no function, or returns no data, is a TypeError."""
        with pytest.raises(InputTypeError):
            Variable("a").map("upper")
        with pytest.raises(InputTypeError):
            Variable("a").map(lambda _: object())


class TestGrowth:
    def test_doubling(self):
        """``y = y + y`` 25 times keeps role and feedback short."""
        x = Variable("", "seed", requires_grad=True)
        y = x
        for _ in range(25):
            y = y + y
        assert y.role == "seed"
        y.backward(Variable("too long"))
        assert len(x.grad) == 2
        assert len(x.grad[0].data) < 300

    def test_doubling_feedback_with_different_words(self):
        """Different feedback on two uses does not double at every level."""
        x = Variable("a", "seed", requires_grad=True)
        y = x
        for _ in range(14):
            y = y.upper() + y.lower()
        y.backward(Variable("too long"))
        assert sum(len(g.data) for g in x.grad) < 1000

    def test_copied_gradients_have_no_history(self):
        """A gradient is a plain value: not tracked, and copyable."""
        x = Variable("a", "x", requires_grad=True)
        (x + "b").backward(Variable("g", requires_grad=True))
        (grad,) = x.grad
        assert (grad.requires_grad, grad.grad_fn) == (False, None)
        assert copy.deepcopy(grad).data == grad.data

    @pytest.mark.parametrize("role", ["", None])
    def test_values_without_a_role(self, role):
        """Critics read a name for them, not ``None`` and not a gap."""
        for step in (
            lambda x: x + "!",
            lambda x: x.upper(),
            lambda x: x[0],
            lambda x: x.split()[0],
        ):
            x = Variable("a b", role, requires_grad=True)
            step(x).backward(Variable("too long"))
            assert "this input" in x.grad[0].data
            assert "None" not in x.grad[0].data


def test_format_takes_any_name_and_only_names():
    """A placeholder may be called self; values without names are refused."""
    assert Variable("{self}").format(self="a").data == "a"
    with pytest.raises(InputTypeError, match=r"\.format\(name='a'\)"):
        Variable("{}").format("a")


def test_map_of_none():
    """A scalar None is refused, as other operations refuse it."""
    with pytest.raises(InputTypeError, match="map got None"):
        Variable(None).map(str.upper)
