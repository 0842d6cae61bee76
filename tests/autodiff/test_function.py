"""Users' own Functions: both context styles, gradients per input, async, and errors."""

from __future__ import annotations

import asyncio
import threading

import pytest

import afnio
from afnio import Node, Variable, autodiff
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.function import Function, Op
from afnio.errors import GradientCountError, StateError


def leaf(data="a", role="x"):
    """Return a tracked leaf."""
    return Variable(data, role, requires_grad=True)


class Glue(Function):
    """The first style: forward gets ctx."""

    @staticmethod
    def forward(ctx, x, y, sep="-"):
        ctx.save_for_backward(x, y)
        ctx.sep = sep
        return Variable(x.data + sep + y.data, f"{x.role} and {y.role}")

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_variables
        return (
            Variable(f"{ctx.sep}{y.data}:{grad.data}")
            if ctx.needs_input_grad[0]
            else None,
            Variable(f"{x.data}{ctx.sep}:{grad.data}")
            if ctx.needs_input_grad[1]
            else None,
            None,
        )


class Shout(Function):
    """The second style: forward without ctx, and setup_context."""

    @staticmethod
    def forward(x, mark="!"):
        return Variable(x.data.upper() + mark, x.role)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.inputs_seen, ctx.output_seen = inputs, output.data

    @staticmethod
    def backward(ctx, grad):
        return Variable(f"{ctx.output_seen}: {grad.data}"), None


class TestStyles:
    def test_with_ctx(self):
        """A18: values, roles, saved Variables, and what needs a gradient."""
        x, y = leaf("a", "x"), Variable("b", "y")
        z = Glue.apply(x, y)
        assert (z.data, z.role, z.requires_grad) == ("a-b", "x and y", True)
        assert z.grad_fn.needs_input_grad == (True, False)
        z.backward(Variable("g"))
        assert x.grad[0].data == "-b:g"
        assert x.grad[0].role == "feedback to x"
        assert y.grad == []

    def test_with_setup_context(self):
        """The same without ctx in forward; inputs include what was given by name."""
        x = leaf()
        z = Shout.apply(x, mark="?")
        assert z.data == "A?"
        assert z.grad_fn.inputs_seen == (x, "?")
        z.backward(Variable("g"))
        assert x.grad[0].data == "A?: g"

    def test_names_of_users_attributes_are_free(self):
        """A context may carry attributes named like anything users think of."""

        class Free(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.name, ctx.outputs, ctx.job, ctx.hooks = "n", 3, "j", "h"
                ctx.function, ctx.site, ctx.release, ctx.trusted = "f", "s", "r", True
                ctx.roles, ctx.flatten, ctx.freed, ctx.quick = "r", 1, True, True
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                return Variable(f"{ctx.name}{ctx.outputs}{ctx.job}{ctx.function}")

        x = leaf()
        y = Free.apply(x)
        assert "FreeBackward0" in repr(y.grad_fn)
        y.backward(Variable("g"))
        assert x.grad[0].data == "n3jf"

    def test_names(self):
        """The node is called after the class, and is a Node."""
        node = Shout.apply(leaf()).grad_fn
        assert node.name() == "ShoutBackward0"
        assert isinstance(node, Node)
        assert node.node_id != Shout.apply(leaf()).grad_fn.node_id

    def test_base_class(self):
        """A07, A08: not instantiated; the three methods must be defined."""
        for cls in (Function, Glue):
            with pytest.raises(RuntimeError, match="apply"):
                cls()
        for method in (Function.forward, Function.backward, Function.setup_context):
            with pytest.raises(NotImplementedError):
                method(None, None, None)
        with pytest.raises(NotImplementedError):
            Op.plan()

    def test_no_backward(self):
        """Without a backward, forward works and going back does not."""

        class Half(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data)

        y = Half.apply(leaf())
        with pytest.raises(NotImplementedError):
            y.backward(Variable("g"))


class TestInputs:
    def test_containers(self):
        """Lists and dicts of Variables: one edge each, nested gradients back."""

        class Gather(Function):
            @staticmethod
            def forward(ctx, items, named, flag=True):
                texts = [v.data for v in items] + [v.data for v in named.values()]
                return Variable("".join(texts))

            @staticmethod
            def backward(ctx, grad):
                return (
                    [Variable("l0"), Variable("l1")],
                    {"k": Variable("k")},
                    None,
                )

        a, b, k = leaf("a"), leaf("b"), leaf("k")
        y = Gather.apply([a, b], {"k": k})
        assert y.data == "abk"
        assert y.grad_fn.needs_input_grad == (True, True)
        assert len(y.grad_fn.next_functions) == 3
        y.backward(Variable("g"))
        assert [v.grad[0].data for v in (a, b, k)] == ["l0", "l1", "k"]

    def test_keyword_only_variables(self):
        """Variables given by keyword only are tracked, after the positional ones."""

        class Named(Function):
            @staticmethod
            def forward(ctx, x, *, y, **more):
                return Variable(x.data + y.data + more["z"].data)

            @staticmethod
            def backward(ctx, grad):
                return Variable("gx"), Variable("gy"), Variable("gz")

        x, y, z = leaf("x"), leaf("y"), leaf("z")
        out = Named.apply(x, y=y, z=z)
        assert out.data == "xyz"
        out.backward(Variable("g"))
        assert [v.grad[0].data for v in (x, y, z)] == ["gx", "gy", "gz"]

    def test_none_of_them_tracked(self):
        """Without a tracked input, or with grad mode off, nothing is recorded."""
        assert Shout.apply(Variable("a")).grad_fn is None
        with afnio.no_grad():
            z = Shout.apply(leaf())
        assert (z.requires_grad, z.grad_fn, z.is_leaf) == (False, None, True)

    def test_forward_records_nothing_itself(self):
        """Operations inside forward are not part of the graph."""

        class Inner(Function):
            @staticmethod
            def forward(ctx, x):
                y = x.upper()
                assert y.grad_fn is None
                return y

            @staticmethod
            def backward(ctx, grad):
                return grad

        y = Inner.apply(leaf())
        assert y.grad_fn.name() == "InnerBackward0"

    def test_returning_an_input(self):
        """An output is a Variable of its own, sharing no list with the input."""

        class Same(Function):
            @staticmethod
            def forward(ctx, x):
                return x

            @staticmethod
            def backward(ctx, grad):
                return grad

        x = leaf(["a"])
        y = Same.apply(x)
        assert y is not x
        y.data.append("b")
        assert x.data == ["a"]
        assert x.is_leaf


class TestOutputs:
    def test_tuple(self):
        """Each output knows its number; backward gets one gradient for each."""

        class Two(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data[0], "first"), Variable(x.data[1:], "rest")

            @staticmethod
            def backward(ctx, first, rest):
                return Variable(f"{first.data}+{rest.data}")

        x = leaf("abc")
        first, rest = Two.apply(x)
        assert (first.output_nr, rest.output_nr) == (0, 1)
        assert first.grad_fn is rest.grad_fn
        autodiff.backward([rest, first], [Variable("r"), Variable("f")])
        assert x.grad[0].data == "f+r"

    @pytest.mark.parametrize("bad", ["text", None, [Variable()], (Variable(), "x")])
    def test_refused(self, bad):
        """Forward returns a Variable or a tuple of them."""

        class Bad(Function):
            @staticmethod
            def forward(ctx, x):
                return bad

        with pytest.raises(TypeError, match=r"Bad\.forward"):
            Bad.apply(leaf())


class TestGradientCount:
    @pytest.mark.parametrize(
        ("returned", "works"),
        [
            ((Variable("g"), Variable("h"), None), True),
            ([Variable("g"), Variable("h"), None], True),
            ((Variable("g"), None, None), True),
            ((Variable("g"), Variable("h"), None, None, (None,)), True),
            ((Variable("g"), Variable("h"), (None, None)), True),
            (Variable("g"), False),
            ((Variable("g"), Variable("h")), False),
            ((Variable("g"), Variable("h"), None, Variable("i")), False),
            ((Variable("g"), Variable("h"), Variable("i")), False),
            ((), False),
        ],
    )
    def test_counts(self, returned, works):
        """One per input; surplus None is allowed, anything else says how many."""

        class Three(Function):
            @staticmethod
            def forward(ctx, x, y, option):
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                return returned

        x, y = leaf(), leaf()
        z = Three.apply(x, y, "option")
        if works:
            z.backward(Variable("g"))
            assert len(x.grad) == 1
        else:
            with pytest.raises(GradientCountError, match=r"Three.backward returned \d"):
                z.backward(Variable("g"))
            assert x.grad == []

    def test_nested_counts(self):
        """A list of Variables wants as many gradients as it is long."""

        class Many(Function):
            @staticmethod
            def forward(ctx, items):
                return Variable("x")

            @staticmethod
            def backward(ctx, grad):
                return ([Variable("only one")],)

        with pytest.raises(ValueError, match="holds 2 Variables"):
            Many.apply([leaf(), leaf()]).backward(Variable("g"))


class TestAsync:
    def test_async_forward_and_backward(self):
        """Both may be coroutine functions; backwards overlap."""
        arrived = []

        class Async(Function):
            @staticmethod
            async def forward(ctx, x, meeting):
                await asyncio.sleep(0)
                ctx.meeting = meeting
                return Variable(x.data + "!")

            @staticmethod
            async def backward(ctx, grad):
                arrived.append(1)
                if len(arrived) == 2:
                    ctx.meeting.set()
                await ctx.meeting.wait()
                return Variable(grad.data + "?"), None

        meeting = asyncio.Event()
        x, y = leaf("x"), leaf("y")
        z = Async.apply(x, meeting) + Async.apply(y, meeting)
        assert z.data == "x!y!"
        z.backward(Variable("g"))
        assert x.grad[0].data.endswith(": g?")
        assert y.grad[0].data.endswith(": g?")

    def test_plain_backward_runs_off_the_loop(self):
        """A user's plain backward never blocks the event loop; it may even wait."""
        names = []

        class Plain(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                names.append(threading.current_thread().name)
                inner = leaf("inner", "inner")
                with afnio.enable_grad():
                    y = inner + "x"
                y.backward(Variable("nested"))
                return inner.grad[0]

        x = leaf()
        Plain.apply(x).backward(Variable("g"))
        assert names == ["afnio-user"]
        assert x.grad[0].data.endswith(": nested")
        assert x.grad[0].role == "feedback to x"

    def test_grad_mode_in_backward(self):
        """Recording is off in a backward, unless it is to create a graph."""
        modes = []

        class Looks(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                modes.append(afnio.is_grad_enabled())
                return grad

        y = Looks.apply(leaf())
        y.backward(Variable("g"), create_graph=True)
        y.backward(Variable("g"))
        assert modes == [True, False]
        assert afnio.is_grad_enabled()


class TestEvaluatorDecorator:
    def test_refused(self):
        """A09: only subclasses of Function."""
        for bad in (3, dict, lambda: None):
            with pytest.raises(TypeError):
                evaluator(bad)

    def test_returns_the_class(self):
        """It marks the class itself, not its parent."""

        class Score(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(1, "score")

            @staticmethod
            def backward(ctx, grad):
                return Variable("do better")

        class Marked(Score):
            pass

        assert evaluator(Marked) is Marked
        with pytest.raises(StateError):
            Score.apply(leaf()).backward()
        x = leaf()
        Marked.apply(x).backward()
        assert x.grad[0].data == "do better"


def test_save_for_backward_takes_variables():
    """Anything else belongs in an attribute of ctx."""

    class Keeps(Glue):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, "text")
            return Variable(x.data)

    with pytest.raises(TypeError, match="argument 1 is a str"):
        Keeps.apply(leaf())
