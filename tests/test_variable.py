"""Variable: data, shape, roles, gradients, copies, and how it is written as text."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio import Variable, is_scalar_variable, is_variable
from afnio._variable import JAGGED
from afnio.errors import InputTypeError, InputValueError, StateError
from afnio.models.testing import ScriptedModel


def tracked(data="foo", role="r"):
    """Return a non-leaf."""
    return Variable(data, role, requires_grad=True) + Variable("", role)


class Colour(str, Enum):  # noqa: UP042 - the odd kind
    """Text that an f-string writes as the member's name."""

    RED = "red"


HOLDS_ITSELF = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


class TestData:
    def test_defaults(self):
        """V01: an empty Variable is an untracked leaf with empty text."""
        v = Variable()
        assert (v.data, v.role, v.requires_grad) == ("", "", False)
        assert (v.grad, v.is_leaf, v.output_nr, v.grad_fn) == ([], True, 0, None)

    @pytest.mark.parametrize(
        ("given", "stored"),
        [
            ([1, 2.5], [1.0, 2.5]),
            ([[1, 2.0], [None, 3]], [[1.0, 2.0], [None, 3.0]]),
            ([True, 2.0], [1.0, 2.0]),
            (["a", None], ["a", None]),
            ((1, 2), [1, 2]),
            ([(1,)], [[1]]),
            (None, None),
            (True, True),
            (7, 7),
            ([], []),
        ],
    )
    def test_kinds_that_are_accepted(self, given, stored):
        """V02 to V06: ints become floats beside floats; tuples become lists."""
        data = Variable(given).data
        assert data == stored
        assert repr(data) == repr(stored)

    @pytest.mark.parametrize(
        "bad",
        [
            ["a", 1],
            [["a"], [1]],
            {},
            b"x",
            object(),
            {1},
            [b"x"],
            ["a", {}],
            [[1], ["a"]],
            Colour.RED,
            [Colour.RED],
            HOLDS_ITSELF,
        ],
    )
    def test_kinds_that_are_refused(self, bad):
        """V07, V08: anything else, and text mixed with numbers, is a TypeError."""
        with pytest.raises(InputTypeError):
            Variable(bad)
        v = Variable("keep")
        with pytest.raises(TypeError):
            v.data = bad
        assert v.data == "keep"
        assert v.version == 0

    def test_setter_stores_tuples_as_lists(self):
        """V36: the setter accepts tuples as the constructor does."""
        v = Variable()
        v.data = (1, 2)
        assert v.data == [1, 2]

    def test_callers_list_is_not_shared(self):
        """What the caller does to a list afterwards changes nothing, nested or not."""
        rows = [["a"], ["b"]]
        v = Variable(rows)
        rows[0][0] = "z"
        rows.append(["c"])
        assert v.data == [["a"], ["b"]]

    def test_detached_and_copied_lists_are_not_shared(self):
        """Detaching and copying copy lists."""
        v = Variable([["a"]])
        d, c = v.detach(), Variable([["x"]])
        c.copy_(v)
        v.data[0][0] = "z"
        assert d.data == [["a"]]
        assert c.data == [["a"]]

    def test_item_of_a_batch_is_not_shared(self):
        """An item that is itself a list is a copy."""
        v = Variable([["a"], ["b"]])
        item = v[0]
        item.data.append("z")
        assert v.data == [["a"], ["b"]]

    def test_version_counts_writes(self):
        """Every write in place counts, reading does not."""
        v = Variable("a")
        v.data
        v.data = "b"
        v.data = "b"
        assert v.version == 2

    def test_identity_equality(self):
        """Two Variables with equal data are different dict keys."""
        a, b = Variable("a"), Variable("a")
        assert a != b
        assert len({a, b}) == 2
        assert bool(Variable("")) is True

    def test_membership_asks_the_data(self):
        """``in`` looks at the data, not at the identity of items."""
        assert "b" in Variable("abc")
        assert "b" in Variable(["a", "b"])
        assert Variable("b") in Variable(["a", "b"])
        assert "z" not in Variable(["a", "b"])

    def test_output_nr_is_validated(self):
        """V21: output_nr is an int >= 0, and True is not one."""
        v = Variable()
        for bad in (-1, "1", True, 1.0):
            with pytest.raises(TypeError):
                v.output_nr = bad
        v.output_nr = 2
        assert v.output_nr == 2

    def test_grad_fn_cannot_be_assigned(self):
        """V22: grad_fn is read-only."""
        with pytest.raises(AttributeError):
            Variable().grad_fn = None

    def test_variable_id_is_unique_and_lasting(self):
        """The id is made on demand and stays."""
        a, b = Variable(), Variable()
        assert a.variable_id == a.variable_id != b.variable_id

    def test_predicates(self):
        """is_variable and is_scalar_variable know Variables, and None is no scalar."""
        assert is_variable(Variable())
        assert not is_variable("x")
        assert is_scalar_variable(Variable(1))
        assert not is_scalar_variable(Variable(None))
        assert not is_scalar_variable(Variable(["a"]))
        assert not is_scalar_variable("a")

    @given(st.recursive(st.text() | st.none(), lambda x: st.lists(x, max_size=4)))
    def test_text_data_survives(self, data):
        """Any nesting of texts is stored as it is, and is our own copy."""
        v = Variable(data)
        assert v.data == data
        assert v.data is not data or not isinstance(data, list)


class TestShape:
    @pytest.mark.parametrize(
        ("data", "shape"),
        [
            (None, ()),
            ("abc", ()),
            ([], (0,)),
            ([[]], (1, 0)),
            ([[1, 2], [3, 4]], (2, 2)),
            ([[1, 2], [3]], (2, JAGGED)),
            ([1, [2, 3]], (2, JAGGED)),
            ([[1, 2], None], (2, JAGGED)),
            ([[[1], [2]], [[3]]], (2, JAGGED, JAGGED)),
        ],
    )
    def test_shapes(self, data, shape):
        """V09 to V11: uneven levels, and all below them, are JAGGED."""
        found = Variable(data).shape
        assert found == shape
        assert all(
            (a is JAGGED) == (b is JAGGED) for a, b in zip(found, shape, strict=True)
        )

    def test_jagged_is_one_object(self):
        """JAGGED prints as j and survives copying."""
        assert repr(JAGGED) == "j"
        assert copy.deepcopy(JAGGED) is JAGGED

    def test_floating_point(self):
        """V28: floats only, at least one of them."""
        data = [1.0, 1, [1.0, None], [None], [], "a", [1.0, 2], True]
        found = [Variable(item).is_floating_point() for item in data]
        assert found == [True, False, True, False, False, False, True, False]


class TestGrad:
    def test_leaf_backward_raises(self):
        """V15: a leaf has nothing to go back through."""
        for flag in (True, False):
            with pytest.raises(RuntimeError):
                Variable("a", requires_grad=flag).backward()

    def test_non_leaf_grad_needs_retain(self):
        """V16: reading, setting and appending all raise."""
        y = tracked()
        with pytest.raises(StateError, match="retain_grad"):
            y.grad
        with pytest.raises(RuntimeError):
            y.grad = []
        with pytest.raises(RuntimeError):
            y.append_grad(Variable())
        y.retain_grad()
        assert y.grad == []

    def test_retain_grad_on_leaf_does_nothing(self):
        """V17: as in PyTorch."""
        x = Variable("a", requires_grad=True)
        x.retain_grad()
        assert x.grad == []
        assert x.is_leaf

    def test_grad_setter(self):
        """V18: None clears; anything but a list of Variables is a TypeError."""
        v = Variable()
        kept = v.grad
        v.grad = [Variable("g")]
        assert [g.data for g in v.grad] == ["g"]
        v.grad = None
        assert v.grad == []
        assert v.grad is kept
        for bad in ((), "x", [1], [Variable(), None]):
            with pytest.raises(TypeError):
                v.grad = bad

    def test_setting_grad_to_itself_keeps_it(self):
        """Assigning the very list is harmless."""
        v = Variable()
        v.append_grad(Variable("g"))
        v.grad = v.grad
        assert len(v.grad) == 1

    def test_append_grad(self):
        """V19, V20: appends the same object, in order, to the same list."""
        v = Variable()
        with pytest.raises(TypeError):
            v.append_grad("x")
        before = id(v.grad)
        a, b = Variable("a"), Variable("b")
        v.append_grad(a)
        v.append_grad(b)
        assert id(v.grad) == before
        assert v.grad[0] is a
        assert v.grad[1] is b

    def test_requires_grad_(self):
        """V35: returns the Variable, and is_leaf is never stale."""
        y = tracked()
        assert not y.is_leaf
        assert y.requires_grad_(False) is y
        assert y.is_leaf
        y.requires_grad = True
        assert not y.is_leaf


class TestCopies:
    def test_detach(self):
        """The same data and role, no history, no gradient."""
        y = tracked("abc", "role")
        d = y.detach()
        assert (d.data, d.role, d.requires_grad, d.grad_fn) == (
            "abc",
            "role",
            False,
            None,
        )
        assert type(d) is Variable

    def test_copy_refuses(self):
        """V23, V24: other shapes and kinds are ValueErrors; nothing has changed."""
        v = Variable("a", "mine", requires_grad=True)
        with pytest.raises(ValueError, match="shape"):
            v.copy_(Variable(["a"]))
        with pytest.raises(TypeError):
            v.copy_("b")
        with pytest.raises(InputValueError, match="number"):
            v.copy_(Variable(123, "copied"))
        assert (v.data, v.role, v.requires_grad, v.version) == ("a", "mine", True, 0)

    def test_copy_takes_role_and_flag_along(self):
        """V25: data, role and requires_grad are overwritten; it returns itself."""
        v = Variable("a", "mine", requires_grad=True)
        assert v.copy_(Variable("b", "copied")) is v
        assert (v.data, v.role, v.requires_grad) == ("b", "copied", False)

    def test_copy_between_jagged(self):
        """V26: jagged shapes compare equal."""
        v = Variable([[1, 2], [3]]).copy_(Variable([[1], [2, 3]]))
        assert v.data == [[1], [2, 3]]

    def test_to(self):
        """V27: converts leaves, keeps None, role and flag; makes a fresh leaf."""
        v = Variable([["1", None], ["2", "3"]], "r", requires_grad=True)
        w = v.to(int)
        assert w.data == [[1, None], [2, 3]]
        assert (w.role, w.requires_grad, w.is_leaf) == ("r", True, True)
        assert v.to().data == v.data
        assert v.to() is not v
        with pytest.raises(ValueError, match="invalid literal"):
            Variable("x").to(int)

    def test_deepcopy_of_leaf(self):
        """V33: a new object and id; gradients are copied too."""
        v = Variable(["a"], "r", requires_grad=True)
        v.append_grad(Variable("g", "feedback to r"))
        w = copy.deepcopy(v)
        assert w is not v
        assert w.variable_id != v.variable_id
        assert w.grad[0] is not v.grad[0]
        assert w.grad[0].data == "g"
        w.data[0] = "z"
        assert v.data == ["a"]

    def test_deepcopy_of_real_gradients(self):
        """Gradients that an operation passed on can be copied and used again."""
        x = Variable("a", "x", requires_grad=True)
        (x + "b").backward(Variable("too short"))
        copied = copy.deepcopy(x).grad[0]
        assert copied.data == x.grad[0].data
        y = Variable("q", "y", requires_grad=True)
        (y + "b").backward(copied)
        assert y.grad[0].data.endswith(": too short")

    def test_deepcopy_of_non_leaf(self):
        """V34: only leaves."""
        with pytest.raises(StateError, match="detach"):
            copy.deepcopy(tracked())

    def test_shallow_copy_is_a_leaf_of_its_own(self):
        """Feedback on a copy is its own, also while the original is in a graph."""
        v = Variable(["a"], "r", requires_grad=True)
        v.register_hook(lambda _: Variable("hooked"))
        graph = v + "b"
        w = copy.copy(v)
        (w + "c").backward(Variable("g"))
        assert (v.grad, len(w.grad)) == ([], 1)
        assert "hooked" not in w.grad[0].data[0]
        assert w.variable_id != v.variable_id
        w.data.append("d")
        assert v.data == ["a"]
        graph.backward(Variable("h"))
        assert (len(v.grad), len(w.grad)) == (1, 1)

    def test_shallow_copy_of_non_leaf(self):
        """It stands at the same place of the graph."""
        x = Variable("a", "x", requires_grad=True)
        y = x + "b"
        z = copy.copy(y)
        assert z.grad_fn is y.grad_fn
        z.backward(Variable("g"))
        assert len(x.grad) == 1

    def test_pickle_of_leaf(self):
        """Also while it is part of a graph and has hooks; grads come along."""
        v = afnio.cognitive.Parameter("a", "r")
        v.register_hook(lambda _: None)
        graph = v + "b"
        graph.backward(Variable("g"), retain_graph=True)
        w = pickle.loads(pickle.dumps(v))
        assert (type(w), w.data, w.role) == (type(v), "a", "r")
        assert w.grad[0].data == v.grad[0].data
        (w + "c").backward(Variable("h"))
        assert (len(v.grad), len(w.grad)) == (1, 2)

    def test_pickle_of_others(self):
        """Pending values are waited for; a graph stays in its process."""
        model = ScriptedModel("reply", latency_s=0.05)
        messages = [{"role": "user", "content": [Variable("q")]}]
        reply = afnio.cognitive.functional.chat_completion(model, messages)
        assert pickle.loads(pickle.dumps(reply)).data == "reply"
        frozen = tracked("a").requires_grad_(False)
        assert pickle.loads(pickle.dumps(frozen)).grad_fn is None
        with pytest.raises(StateError, match="detach"):
            pickle.dumps(tracked())

    def test_deepcopy_keeps_sharing(self):
        """A Variable met twice is copied once."""
        v = Variable("a")
        a, b = copy.deepcopy([v, v])
        assert a is b


class TestText:
    def test_repr(self):
        """V29: raw data and role; the node's name when there is history."""
        assert (
            repr(Variable("abc", "r"))
            == "Variable(data=abc, role=r, requires_grad=False)"
        )
        assert (
            repr(tracked("abc")) == "Variable(data=abc, role=r, grad_fn=AddBackward0)"
        )

    def test_str_shortens_texts(self):
        """V30: more than 40 characters become the first and last 20."""
        shown = str(Variable("x" * 50, "y" * 41))
        assert shown == (
            f"variable({'x' * 20}...{'x' * 20}, role={'y' * 20}...{'y' * 20}, "
            "requires_grad=False)"
        )
        assert "..." not in str(Variable("x" * 40))

    def test_str_shortens_lists(self):
        """V31, V32: more than six items become the first and last three."""
        assert str(Variable(list("abcdefgh"), "r")) == (
            "variable([a, b, c, ..., f, g, h], role=r, requires_grad=False)"
        )
        assert "[a, b, c, d, e, f]" in str(Variable(list("abcdef")))

    def test_format(self):
        """An f-string shows the data itself."""
        assert f"<{Variable('abc')}>" == "<abc>"
        assert f"{Variable(1.5):.2f}" == "1.50"


class TestInPlaceAdd:
    @pytest.mark.parametrize(("a", "b"), [(False, False), (False, True)])
    def test_rebinds_an_untracked_variable(self, a, b):
        """V14: the same object and id, now holding the sum."""
        x, y = Variable("foo", requires_grad=a), Variable("bar", requires_grad=b)
        same, name = x, x.variable_id
        x += y
        assert x is same
        assert (x.data, x.variable_id) == ("foobar", name)
        assert x.requires_grad is (a or b)
        assert (x.grad_fn is not None) is (a or b)

    def test_refused_on_a_tracked_leaf(self):
        """It would cut the leaf off from its gradient."""
        x = Variable("foo", requires_grad=True)
        with pytest.raises(StateError, match="leaf"):
            x += "bar"
        assert x.data == "foo"

    def test_gradient_flows_through(self):
        """A non-leaf that was added to still leads back to the leaf."""
        x = Variable("a", "x", requires_grad=True)
        y = x + "b"
        y += "c"
        y.backward(Variable("g"))
        assert y.data == "abc"
        assert len(x.grad) == 1

    def test_retained_gradient_follows(self):
        """retain_grad holds for the new value, once, and not for the old one."""
        x = Variable("a", "x", requires_grad=True)
        y = x + "b"
        y.retain_grad()
        y += "c"
        y.backward(Variable("g", "note"))
        assert [g.data for g in y.grad] == ["g"]


class TestLifetime:
    def test_nothing_keeps_a_graph_alive(self):
        """Dropping the last Variable frees all nodes, without the garbage collector."""
        gc.collect()
        gc.disable()
        try:
            x = Variable("a", requires_grad=True)
            y = (x + "b").upper()
            node, leaf = weakref.ref(y.grad_fn), weakref.ref(x)
            y.backward(Variable("g"), retain_graph=True)
            del y
            assert node() is None
            del x
            assert leaf() is None
        finally:
            gc.enable()

    def test_no_grad_records_nothing(self):
        """A03: data and role as usual, but a leaf."""
        x = Variable("a", "x", requires_grad=True)
        with afnio.no_grad():
            y = x + Variable("b", "y")
        assert (y.data, y.role) == ("ab", "x and y")
        assert (y.requires_grad, y.grad_fn, y.is_leaf) == (False, None, True)


def test_a_role_that_is_no_text_says_what_was_meant():
    """``Variable("t", True)`` gives the role True."""
    with pytest.raises(InputTypeError, match="requires_grad="):
        Variable("t", True) + Variable("k")
