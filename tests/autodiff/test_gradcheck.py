"""gradcheck passes what keeps its promises and names each promise that is broken."""

from __future__ import annotations

import itertools

import pytest

from afnio import Variable
from afnio.autodiff import basic_ops
from afnio.autodiff.function import Function
from afnio.autodiff.gradcheck import GradcheckError, gradcheck

COUNTER = itertools.count()


def leaf(data="a b", role="x"):
    """Return a tracked leaf."""
    return Variable(data, role, requires_grad=True)


@pytest.mark.parametrize(
    ("fn", "inputs"),
    [
        (basic_ops.Add.apply, [leaf(), leaf()]),
        (basic_ops.Add.apply, [leaf(["a", "b"]), Variable(["c", "d"])]),
        (basic_ops.Sum.apply, [[leaf(), leaf()]]),
        (basic_ops.Split.apply, [leaf(), " "]),
        (Variable.upper, [leaf()]),
        (lambda x: x[1:], [leaf()]),
        (lambda x: x[0], [leaf(["a", "b"])]),
        (lambda x: x.map(len), [leaf()]),
        (lambda t, v: t.format(a=v), [leaf("{a}"), leaf(["1", "2"])]),
        (lambda s, v: s.join([v, "z"]), [leaf(","), leaf(["1", "2"])]),
    ],
)
def test_our_own_operations_pass(fn, inputs):
    """Every operation of the package keeps its promises, and no grad is written."""
    assert gradcheck(fn, inputs)
    assert all(v.grad == [] for v in inputs if isinstance(v, Variable))


def broken(forward=None, backward=None):
    """Make a Function with one part exchanged."""

    class Broken(Function):
        @staticmethod
        def forward(ctx, x):
            return forward(x) if forward else Variable(x.data)

        @staticmethod
        def backward(ctx, grad):
            return backward(grad) if backward else grad

    return Broken.apply


def _mutate(x):
    x.data = "changed"
    return Variable("a")


@pytest.mark.parametrize(
    ("fn", "complaint"),
    [
        (broken(lambda _: Variable(next(COUNTER))), "forward is not deterministic"),
        (broken(_mutate), "changed its inputs"),
        (broken(backward=lambda g: Variable(f"{g.data}{next(COUNTER)}")), "two passes"),
        (broken(backward=lambda _: None), "no gradient"),
        (broken(backward=lambda _: Variable("")), "empty gradient"),
        (broken(backward=lambda _: Variable("always")), "empty feedback"),
        (broken(backward=lambda g: Variable([g.data, g.data])), "shape"),
        (lambda _: Variable("untracked"), "part of a graph"),
    ],
)
def test_broken_promises(fn, complaint):
    """Each is found, and said in words; or False is returned on request."""
    with pytest.raises(GradcheckError, match=complaint):
        gradcheck(fn, [leaf()])
    assert gradcheck(fn, [leaf()], raise_exception=False) is False


def test_refused():
    """There must be something to check."""
    with pytest.raises(TypeError):
        gradcheck(basic_ops.Add.apply, [Variable("a"), Variable("b")])
    with pytest.raises(TypeError):
        gradcheck(lambda x: "text", [leaf()])
    with pytest.raises(TypeError):
        gradcheck("upper", [leaf()])


def test_single_input():
    """The only input need not stand in a list."""
    assert gradcheck(Variable.upper, leaf())
