"""Add, Sum and Split: values, roles, gradients, and what they refuse."""

from __future__ import annotations

import pytest

import afnio
from afnio import Variable, autodiff
from afnio.autodiff.basic_ops import Add, Split, Sum
from afnio.autodiff.graph import AccumulateGrad, Node


def var(data, role="", tracked=False):
    """Return a leaf."""
    return Variable(data, role, requires_grad=tracked)


class TestAdd:
    def test_text(self):
        """B01, A01: texts are joined, and so are roles."""
        x, y = var("abc", "first input", True), var("def", "second input")
        z = Add.apply(x, y)
        assert (z.data, z.role) == ("abcdef", "first input and second input")
        assert (z.requires_grad, z.is_leaf) == (True, False)
        assert str(z.grad_fn).startswith("<AddBackward0 object at 0x")
        assert repr(z.grad_fn).startswith("<afnio.autodiff.function.AddBackward")

    def test_edges(self):
        """A02: an untracked input has an edge to no node."""
        x, y = var("abc", "x", True), var("def")
        first, second = Add.apply(x, y).grad_fn.next_functions
        assert (first.node.name(), first.output_nr) == ("AccumulateGrad", 0)
        assert (second.node, second.output_nr) == (None, 0)
        assert str(second) == "(None, 0)"
        assert str(first).startswith("(<AccumulateGrad object at 0x")

    def test_backward(self):
        """B02: the gradient names the input and ends with the feedback."""
        x, y = var("abc", "first input", True), var("def", "second input")
        Add.apply(x, y).backward(Variable("MY_FEEDBACK", "add gradient"))
        (grad,) = x.grad
        assert "first input" in grad.data
        assert grad.data.endswith(": MY_FEEDBACK")
        assert grad.role == "feedback to first input"
        assert (grad.requires_grad, grad.grad_fn) == (False, None)
        assert y.grad == []

    @pytest.mark.parametrize(
        ("x", "y", "z"),
        [
            ([1, 2, 3], [4, 5, 6], [5, 7, 9]),
            (1, 2.5, 3.5),
            ("a", 1, "a1"),
            (1, "a", "1a"),
            (["a", None], ["b", "c"], ["ab", None]),
            ([[1], [2, 3]], [[4], [5, 6]], [[5], [7, 9]]),
            ([[1], None], [[4], [5]], [[5], None]),
            ([], [], []),
            (["a"], [1], ["a1"]),
        ],
    )
    def test_values(self, x, y, z):
        """B03 to B05: numbers, texts, mixtures, batches, missing samples, nests."""
        assert Add.apply(var(x), var(y)).data == z

    @pytest.mark.parametrize(
        ("x", "y", "error"),
        [
            (var("a"), var(["b"]), ValueError),
            (var([1]), var([1, 2]), ValueError),
            (var([[1]]), var([1]), ValueError),
            (var("a"), "b", TypeError),
            (1, var("a"), TypeError),
            (var(None), var("a"), TypeError),
            (var(["a"]), var(None), TypeError),
        ],
    )
    def test_refused(self, x, y, error):
        """B06 to B08: scalars with lists, unequal lengths, other types, None."""
        with pytest.raises(error):
            Add.apply(x, y)

    def test_keyword_arguments(self):
        """Arguments may be given by name; a missing one is a TypeError."""
        assert Add.apply(x=var("a"), y=var("b")).data == "ab"
        with pytest.raises(TypeError):
            Add.apply(var("a"))


class TestSum:
    def test_text(self):
        """B09, B10, A05: texts become items, roles are joined."""
        z = Sum.apply(
            [var("abc", "input1", True), var("def", "input2"), var("", "input3")]
        )
        assert z.data == "<ITEM>abc</ITEM><ITEM>def</ITEM><ITEM></ITEM>"
        assert z.role == "input1 and input2 and input3"
        assert z.grad_fn.name() == "SumBackward0"
        assert isinstance(z.grad_fn, Node)
        assert len(z.grad_fn.next_functions) == 3

    @pytest.mark.parametrize(
        ("values", "total"),
        [
            ([[1, 2, 3.5], [4, 5, 6]], [5, 7, 9.5]),
            (
                [["a", "b"], ["c", "d"]],
                ["<ITEM>a</ITEM><ITEM>c</ITEM>", "<ITEM>b</ITEM><ITEM>d</ITEM>"],
            ),
            ([1, 2, 3], 6),
            (["a"], "<ITEM>a</ITEM>"),
            ([[1, None], [2, 3]], [3, None]),
        ],
    )
    def test_values(self, values, total):
        """B11 to B13: position by position; an item even for one text."""
        assert Sum.apply([var(v) for v in values]).data == total
        assert Sum.apply(tuple(var(v) for v in values)).data == total

    def test_backward(self):
        """B14: every tracked input gets the shared feedback."""
        inputs = [var(f"{i}", f"input{i}", i != 1) for i in range(3)]
        Sum.apply(inputs).backward(Variable("MY_FEEDBACK"))
        assert [len(x.grad) for x in inputs] == [1, 0, 1]
        for x in (inputs[0], inputs[2]):
            assert x.role in x.grad[0].data
            assert x.grad[0].data.endswith(": MY_FEEDBACK")
            assert x.grad[0].role == f"feedback to {x.role}"

    @pytest.mark.parametrize(
        ("bad", "error"),
        [
            (["a", "b"], TypeError),
            (var("a"), TypeError),
            ([], TypeError),
            ([var("a"), var(1)], TypeError),
            ([var(["a"]), var(["a", "b"])], ValueError),
            ([var("a"), var(["a"])], ValueError),
            ([var(1), var(None)], TypeError),
        ],
    )
    def test_refused(self, bad, error):
        """No sequence of Variables, text with numbers, unequal lengths."""
        with pytest.raises(error):
            Sum.apply(bad)


class TestSplit:
    def test_text(self):
        """B15, A06, B19: one tracked Variable per part, numbered."""
        x = var("afnio is great!", "sentence", True)
        parts = Split.apply(x, sep=" ", maxsplit=1)
        assert [p.data for p in parts] == ["afnio", "is great!"]
        assert [p.role for p in parts] == [
            "split part 0 of sentence",
            "split part 1 of sentence",
        ]
        assert [p.output_nr for p in parts] == [0, 1]
        for part in parts:
            ((node, number),) = part.grad_fn.next_functions
            assert isinstance(node, AccumulateGrad)
            assert number == 0
            assert part.requires_grad
        assert len(Split.apply(var("a b c", "", True), " ")) == 3

    def test_backward_from_one_part_at_a_time(self):
        """B16: parts without feedback have empty items."""
        x = var("afnio is great!", "sentence", True)
        first, second = Split.apply(x, " ", 1)
        first.backward(Variable("MY_FIRST_FEEDBACK"), retain_graph=True)
        second.backward(Variable("MY_SECOND_FEEDBACK"))
        a, b = (grad.data for grad in x.grad)
        assert a.endswith(": <ITEM>MY_FIRST_FEEDBACK</ITEM><ITEM></ITEM>")
        assert b.endswith("<ITEM></ITEM><ITEM>MY_SECOND_FEEDBACK</ITEM>")

    def test_backward_from_all_parts_at_once(self):
        """Two roots share one pass and one gradient."""
        x = var("a b", "sentence", True)
        first, second = Split.apply(x)
        afnio.autodiff.backward([first, second], [Variable("1"), Variable("2")])
        (grad,) = x.grad
        assert grad.data.endswith("<ITEM>1</ITEM><ITEM>2</ITEM>")

    def test_batch(self):
        """B17, B18: shorter samples are padded; a scalar gradient is for all."""
        x = var(["afnio is great!", "Deep learning"], "sentences", True)
        parts = Split.apply(x, " ", 2)
        assert [p.data for p in parts] == [
            ["afnio", "Deep"],
            ["is", "learning"],
            ["great!", ""],
        ]
        parts[1].backward(Variable("MY_FEEDBACK"))
        assert x.grad[0].data.endswith(
            ": <ITEM></ITEM><ITEM>MY_FEEDBACK</ITEM><ITEM></ITEM>"
        )

    def test_batch_with_feedback_per_sample(self):
        """Feedback per sample stays per sample; a right sample stays empty."""
        x = var(["a b", "c d"], "sentences", True)
        Split.apply(x)[0].backward(Variable(["", "bad"]))
        first, second = x.grad[0].data
        assert first == ""
        assert second.endswith(": <ITEM>bad</ITEM><ITEM></ITEM>")

    def test_missing_sample(self):
        """None stays None in every part."""
        parts = Split.apply(var(["a b", None]))
        assert [p.data for p in parts] == [["a", None], ["b", None]]

    def test_options_as_variables(self):
        """B21: sep and maxsplit may be Variables."""
        parts = Split.apply(var("a b c"), var(" "), var(1))
        assert [p.data for p in parts] == ["a", "b c"]

    def test_nothing_to_split(self):
        """Empty text has no parts; that is no error."""
        assert Split.apply(var("")) == ()
        assert Split.apply(var([])) == ()

    @pytest.mark.parametrize(
        "args",
        [
            (var(5),),
            ("a b",),
            (var("a"), 3),
            (var("a"), " ", "1"),
            (var("a"), " ", True),
            (var([1]),),
            (var(None),),
        ],
    )
    def test_refused(self, args):
        """B20: data that is not text, and options of other types."""
        with pytest.raises(TypeError):
            Split.apply(*args)


HOSTILE = "a</ITEM><ITEM>b"


class TestItems:
    def test_text_cannot_end_its_item(self):
        """A text with half an item in it gets tags that it does not contain."""
        x = var(HOSTILE, "x", tracked=True)
        y = Sum.apply([x, var("c", "y")])
        assert y.data == f"<ITEM2>{HOSTILE}</ITEM2><ITEM2>c</ITEM2>"
        roots = [y + "1", y + "2"]
        autodiff.backward(roots, [Variable(HOSTILE), Variable("</item2>")])
        said = f"<ITEM3>{HOSTILE}</ITEM3><ITEM3></item2></ITEM3>"
        assert x.grad[0].data.endswith(f": {said}")

    def test_in_feedback_on_parts(self):
        """Feedback on one part cannot pass for feedback on another."""
        x = var("a b", "x", tracked=True)
        Split.apply(x)[0].backward(Variable(HOSTILE))
        said = f"<ITEM2>{HOSTILE}</ITEM2><ITEM2></ITEM2>"
        assert x.grad[0].data.endswith(f": {said}")

    def test_items_may_nest(self):
        """Whole items in a text stay inside their item."""
        z = Sum.apply([Sum.apply([var("a"), var("b")]), var("c")])
        nested = "<ITEM><ITEM>a</ITEM><ITEM>b</ITEM></ITEM><ITEM>c</ITEM>"
        assert z.data == nested
