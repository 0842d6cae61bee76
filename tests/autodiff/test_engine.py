"""The backward pass: routing, order, transactions, hooks, freeing."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest
from autodiff_helpers import Breaks
from hypothesis import given
from hypothesis import strategies as st

import afnio
from afnio import GradientEdge, Variable, autodiff
from afnio._dispatch import call_user, cancel_pending, run_sync
from afnio._home import home
from afnio.autodiff.basic_ops import Split
from afnio.autodiff.function import Function, Op
from afnio.autodiff.graph import get_gradient_edge
from afnio.errors import (
    CancelledError,
    GradientCountError,
    InputTypeError,
    InputValueError,
    StateError,
)


def leaf(data="a", role="x"):
    """Return a tracked leaf."""
    return Variable(data, role, requires_grad=True)


def said(variable):
    """Return the gradients of a Variable as texts."""
    return [grad.data for grad in variable.grad]


def passed_on(ctx, grads):
    """Return the gradients of a `Mix`: which input of which node, and from what."""
    text = "|".join(grad.data for grad in grads)
    return (
        None,
        [Variable(f"{ctx.name}.{i}({text})") for i in range(ctx.width)],
        None,
        None,
    )


class Mix(Op):
    """Any number of inputs; backward says which input of which node, maybe late."""

    @staticmethod
    def plan(name, inputs, steps, outputs=1):
        return (f"r{name}",) * outputs

    @staticmethod
    def forward(ctx, name, inputs, steps, outputs=1):
        ctx.name, ctx.width, ctx.steps = name, len(inputs), steps
        return name if outputs == 1 else (name,) * outputs

    @staticmethod
    async def backward(ctx, *grads):
        for _ in range(ctx.steps):
            await asyncio.sleep(0)
        return passed_on(ctx, grads)


class Late(Op):
    """The same value, a little later."""

    @staticmethod
    def plan(x):
        return (x.role,)

    @staticmethod
    async def forward(ctx, x):
        await asyncio.sleep(0.02)
        return x.data

    @staticmethod
    def backward(ctx, grad):
        return (grad,)


class FreesItself(Function):
    """Another backward frees the graph while its backward waits."""

    @staticmethod
    def forward(ctx, x):
        ctx.text = x.data
        return Variable(x.data)

    @staticmethod
    async def backward(ctx, grad):
        ctx._release()
        return Variable(ctx.text)


class Quick(Mix):
    """The same without waiting."""

    @staticmethod
    def backward(ctx, *grads):
        return passed_on(ctx, grads)


class TestRouting:
    def test_diamond(self):
        """A04: a leaf reached along two paths gets two entries, in graph order."""
        a = leaf("a", "a")
        d = Quick.apply("d", [Quick.apply("c", [Quick.apply("b", [a], 0)], 0)], 0)
        e = Quick.apply("e", [d, a], 0)
        e.backward(Variable("g"))
        assert said(a) == ["b.0(c.0(d.0(e.0(g))))", "e.1(g)"]

    def test_interior_value_with_two_consumers_runs_once(self):
        """Its gradients are merged, in graph order, before it runs."""
        a = leaf()
        b = Quick.apply("b", [a], 0)
        c, d = Quick.apply("c", [b], 0), Quick.apply("d", [b], 0)
        Quick.apply("e", [d, c], 0).backward(Variable("g"))
        assert said(a) == ["b.0(<ITEM>c.0(e.1(g))</ITEM><ITEM>d.0(e.0(g))</ITEM>)"]

    def test_used_twice_by_one_consumer(self):
        """Each edge counts as a path."""
        a = leaf()
        Quick.apply("b", [a, a], 0).backward(Variable("g"))
        assert said(a) == ["b.0(g)", "b.1(g)"]

    def test_untracked_inputs_get_nothing(self):
        """requires_grad=False means no feedback."""
        a, b = leaf(), Variable("b")
        Quick.apply("c", [a, b], 0).backward(Variable("g"))
        assert len(a.grad) == 1
        assert b.grad == []

    def test_outputs_used_in_part(self):
        """An output that nobody used counts as having empty feedback."""
        a = leaf()
        _, second = Quick.apply("b", [a], 0, 2)
        second.backward(Variable("g"))
        assert said(a) == ["b.0(|g)"]

    def test_several_roots(self):
        """Roots share a pass: what they share runs once."""
        a = leaf()
        b = Quick.apply("b", [a], 0)
        c, d = Quick.apply("c", [b], 0), Quick.apply("d", [b], 0)
        autodiff.backward([d, c], [Variable("1"), Variable("2")])
        assert said(a) == ["b.0(<ITEM>c.0(2)</ITEM><ITEM>d.0(1)</ITEM>)"]

    def test_root_inside_the_graph_of_another(self):
        """A root that is also an intermediate gets both gradients, its own first."""
        a = leaf()
        b = Quick.apply("b", [a], 0)
        c = Quick.apply("c", [b], 0)
        autodiff.backward([c, b], [Variable("1"), Variable("2")])
        assert said(a) == ["b.0(<ITEM>2</ITEM><ITEM>c.0(1)</ITEM>)"]

    def test_leaf_as_root(self):
        """Its gradient goes straight to it, as a copy with the right role."""
        a, g = leaf(), Variable("g", "mine")
        autodiff.backward(a, g)
        assert said(a) == ["g"]
        assert a.grad[0].role == "feedback to x"
        assert g.role == "mine"

    def test_none_stops_a_path(self):
        """A backward that returns None for an input says nothing further down."""

        class Stop(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                return None

        a, b = leaf(), leaf()
        ran = []
        inner = Quick.apply("q", [a], 0)
        inner.grad_fn.register_prehook(ran.append)
        Quick.apply("t", [Stop.apply(inner), b], 0).backward(Variable("g"))
        assert said(a) == []
        assert said(b) == ["t.1(g)"]
        assert ran == []

    def test_text_as_gradient(self):
        """A backward may return plain text; other types are refused."""

        class Plain(Function):
            @staticmethod
            def forward(ctx, x, reply):
                ctx.reply = reply
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                return ctx.reply, None

        a = leaf()
        Plain.apply(a, "words").backward(Variable("g"))
        assert said(a) == ["words"]
        with pytest.raises(InputTypeError, match="int"):
            Plain.apply(a, 3).backward(Variable("g"))
        assert said(a) == ["words"]

    def test_one_gradient_for_two_leaves(self):
        """The same object returned twice is stored with each leaf's own role."""

        class Both(Function):
            @staticmethod
            def forward(ctx, x, y):
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                return grad, grad

        a, b = leaf("a", "a"), leaf("b", "b")
        g = Variable("g")
        Both.apply(a, b).backward(g)
        assert (a.grad[0].role, b.grad[0].role) == ("feedback to a", "feedback to b")
        assert g.role == ""

    def test_empty_feedback_is_appended(self):
        """Nothing to improve is an entry too: empty text, the right role."""
        a = leaf()
        (a + "b").upper().backward(Variable(""))
        assert said(a) == [""]
        assert a.grad[0].role == "feedback to x"

    def test_gradients_keep_evidence(self):
        """Evidence passes through operations, and merging keeps all of it, once."""
        from afnio.autodiff.evidence import Evidence

        g = Variable("g")
        g.evidence = (Evidence(index=0, score=0), Evidence(index=1, score=1))
        a = leaf(["p", "q"])
        y = a.upper()
        (y + y)[::-1].backward(g)
        assert [(r.index, r.score) for r in a.grad[0].evidence] == [(1, 0), (0, 1)]


class TestArguments:
    def test_inputs_restrict(self):
        """A16: only the wanted leaves grow; edges may be given too."""
        a, b, c = leaf(), leaf(), leaf()
        y = Quick.apply("y", [Quick.apply("z", [a], 0), b, c], 0)
        y.backward(Variable("1"), retain_graph=True, inputs=[a])
        y.backward(Variable("2"), retain_graph=True, inputs=get_gradient_edge(b))
        assert (said(a), said(b), said(c)) == (["z.0(y.0(1))"], ["y.1(2)"], [])

    def test_inputs_leave_out_what_is_not_needed(self):
        """Nodes that lead nowhere wanted do not run, and are not freed."""
        a, b = leaf(), leaf()
        inner = Quick.apply("z", [a], 0)
        ran = []
        inner.grad_fn.register_hook(lambda *_: ran.append(1))
        Quick.apply("y", [inner, b], 0).backward(Variable("g"), inputs=b)
        assert ran == []
        inner.backward(Variable("h"))
        assert said(a) == ["z.0(h)"]

    def test_inputs_refused(self):
        """A17: non-leaves, untracked leaves, nothing, and other types."""
        a = leaf()
        y = a + "b"
        z = y + "c"
        for bad in ([y], [], [Variable()], get_gradient_edge(y)):
            with pytest.raises(StateError):
                z.backward(Variable("g"), inputs=bad)
        for bad in (["x"], 3):
            with pytest.raises(InputTypeError):
                z.backward(Variable("g"), inputs=bad)
        assert a.grad == []

    def test_edges_refused(self):
        """An edge must be one of a node, and of one of its outputs."""
        y = leaf() + "b"
        node = y.grad_fn
        for output_nr in (1, -1, "0"):
            with pytest.raises(ValueError, match="AddBackward0, which has 1"):
                autodiff.grad(y, GradientEdge(node, output_nr), Variable("g"))
        for bad in (GradientEdge(None, 0), GradientEdge("x", 0)):
            with pytest.raises(InputTypeError, match="no node"):
                autodiff.grad(y, bad, Variable("g"))
        with pytest.raises(InputTypeError, match="got str"):
            get_gradient_edge("x")

    @pytest.mark.parametrize(
        ("data", "feedback"),
        [
            ("a", ["1"]),
            ("a", []),
            (["a", "b"], [["1"], "2"]),
            ([["a"], ["b"]], [["1"], ["2", "3"]]),
        ],
    )
    @pytest.mark.parametrize("is_pending", [False, True])
    def test_feedback_of_another_shape(self, data, feedback, is_pending):
        """Feedback is one text, or has the shape of the value; pending ones too."""
        a = leaf(data)
        y = Late.apply(a) if is_pending else a + ""
        with pytest.raises(InputValueError, match="the feedback is a list"):
            y.backward(Variable(feedback))
        assert a.grad == []
        y.backward(Variable("one text"))
        assert len(a.grad) == 1

    def test_frozen_since_it_was_used(self):
        """A leaf that no longer requires grad gets nothing, and its hooks are quiet."""
        a, b, seen = leaf(), leaf(), []
        a.register_hook(lambda g: seen.append(g))
        y = Quick.apply("y", [a, b], 0)
        a.requires_grad = False
        y.backward(Variable("g"))
        assert (a.grad, seen, said(b)) == ([], [], ["y.1(g)"])

    def test_leaf_that_became_a_result(self):
        """A leaf moved into the graph in place could never show its feedback."""
        a, b = leaf(), leaf()
        y = Quick.apply("y", [a, b], 0)
        a.requires_grad = False
        a += b
        with pytest.raises(StateError, match="in place"):
            y.backward(Variable("g"))
        assert b.grad == []

    def test_roots_refused(self):
        """Untracked roots, missing gradients, wrong numbers and types."""
        y = leaf() + "b"
        with pytest.raises(RuntimeError, match="requires grad"):
            autodiff.backward(Variable("u"), Variable("g"))
        with pytest.raises(RuntimeError, match="gradient"):
            y.backward()
        with pytest.raises(RuntimeError, match="2 variables"):
            autodiff.backward([y, y], [Variable("g")])
        for bad in ("x", ["x"], None):
            with pytest.raises(TypeError):
                autodiff.backward(bad, Variable("g"))
        with pytest.raises(TypeError):
            autodiff.backward(y, "g")
        with pytest.raises(ValueError, match="2 samples"):
            (leaf(["a", "b"]) + "c").backward(Variable(["1", "2", "3"]))

    def test_evaluator_needs_no_gradient(self):
        """A14: a class marked as evaluator starts by itself."""

        @autodiff.decorators.evaluator
        class Judge(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.text = x.data
                return Variable(0, "score"), Variable("bad", "explanation")

            @staticmethod
            def backward(ctx, score, explanation):
                assert (score.data, explanation.data) == ("", "")
                return Variable(f"improve {ctx.text}")

        for output in (0, 1):
            a = leaf()
            Judge.apply(a)[output].backward()
            assert said(a) == ["improve a"]


class TestGradFunction:
    def test_returns_and_writes_nothing(self):
        """Gradients of leaves and of intermediates, merged, in input order."""
        a, b = leaf(), leaf()
        y = Quick.apply("y", [a, b], 0)
        z = Quick.apply("z", [y, b], 0)
        gb, gy = autodiff.grad(z, [b, y], Variable("g"))
        assert gy.data == "z.0(g)"
        assert gb.data == "<ITEM>y.1(z.0(g))</ITEM><ITEM>z.1(g)</ITEM>"
        assert (a.grad, b.grad) == ([], [])

    def test_intermediate_is_not_run(self):
        """Asking for a value's gradient does not go back through that value."""
        a = leaf()
        y = Breaks.apply(a)
        z = Quick.apply("z", [y], 0)
        assert autodiff.grad(z, y, Variable("g"))[0].data == "z.0(g)"
        Breaks.broken = False
        try:
            y.backward(Variable("still usable"))
        finally:
            Breaks.broken = True
        assert said(a) == ["still usable"]

    def test_unused(self):
        """An input that was not reached is an error, or None if allowed."""
        a, other = leaf(), leaf()
        y = a + "b"
        with pytest.raises(StateError, match="input 1"):
            autodiff.grad(y, [a, other], Variable("g"), retain_graph=True)
        found = autodiff.grad(y, [other, a], Variable("g"), allow_unused=True)
        assert found[0] is None
        assert found[1] is not None

    def test_untracked_input(self):
        """An input that does not require grad is an error in any case."""
        with pytest.raises(StateError, match="does not require grad"):
            autodiff.grad(leaf() + "b", Variable(), Variable("g"), allow_unused=True)

    def test_unused_output_of_a_node(self):
        """Of a node with several outputs only those that were reached have one."""
        first, second = Split.apply(leaf("a b"))
        found = autodiff.grad(first, [first, second], Variable("g"), allow_unused=True)
        assert found[0].data == "g"
        assert found[1] is None

    def test_awaited(self):
        """The a-form does the same."""
        a = leaf()

        async def main():
            return await autodiff.agrad(Quick.apply("y", [a], 0), a, Variable("g"))

        assert asyncio.run(main())[0].data == "y.0(g)"

    def test_root_itself(self):
        """The gradient of the root is what was given."""
        y = leaf() + "b"
        assert autodiff.grad(y, y, Variable("g"))[0].data == "g"

    def test_leaf_hooks_apply(self):
        """Hooks on a leaf change what grad returns, as in PyTorch."""
        a = leaf()
        a.register_hook(lambda g: Variable(g.data + "!"))
        assert (
            autodiff.grad(Quick.apply("y", [a], 0), a, Variable("g"))[0].data
            == "y.0(g)!"
        )


class TestFreeing:
    def test_second_backward(self):
        """A15: the graph is freed unless retained."""
        a = leaf()
        y = a + "b"
        y.backward(Variable("g"), retain_graph=True)
        y.backward(Variable("g"))
        with pytest.raises(RuntimeError, match="second time"):
            y.backward(Variable("g"))
        assert len(a.grad) == 2

    def test_second_backward_at_the_same_time(self):
        """One of them frees the graph; the others say so, and write nothing."""
        a = leaf()
        y = Quick.apply("y", [Mix.apply("m", [a.upper()], 500)], 0)

        async def main():
            work = [y.abackward(Variable(f"g{number}")) for number in range(8)]
            return await asyncio.gather(*work, return_exceptions=True)

        errors = [error for error in asyncio.run(main()) if error is not None]
        assert errors
        assert all("freed by the first" in str(error) for error in errors)
        assert len(a.grad) == 8 - len(errors)

    def test_freed_while_it_runs(self):
        """A node whose saved values go away in the midst of its backward says so."""
        a = leaf()
        y = FreesItself.apply(a)
        with pytest.raises(StateError, match="freed by the first"):
            y.backward(Variable("g"))
        assert a.grad == []

    def test_shared_part_of_two_graphs(self):
        """What the first backward freed, the second cannot use, and writes nothing."""
        a, b = leaf(), leaf()
        shared = a + "s"
        first, second = shared + "1", shared + b
        first.backward(Variable("g"))
        with pytest.raises(RuntimeError, match="second time"):
            second.backward(Variable("g"))
        assert b.grad == []

    def test_create_graph_retains(self):
        """retain_graph defaults to create_graph."""
        a = leaf()
        y = a + "b"
        y.backward(Variable("g"), create_graph=True)
        y.backward(Variable("g"))
        assert len(a.grad) == 2

    def test_backward_lets_go(self):
        """Saved Variables die with the first backward, though the loss lives."""

        class Keeps(Function):
            @staticmethod
            def forward(ctx, x):
                big = Variable("big")
                ctx.save_for_backward(big)
                ctx.more = Variable("more")
                Keeps.seen = [weakref.ref(big), weakref.ref(ctx.more)]
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                assert ctx.saved_variables[0].data == "big"
                return grad

        y = Keeps.apply(leaf())
        y.backward(Variable("g"))
        assert [ref() for ref in Keeps.seen] == [None, None]

    def test_nothing_keeps_nodes_after_errors(self):
        """A failed backward leaves no reference behind once its error is gone."""
        a = leaf()
        y = Breaks.apply(a) + "b"
        node = weakref.ref(y.grad_fn)
        with pytest.raises(KeyError):
            y.backward(Variable("g"))
        del y
        # Both threads of ours have moved on once they have served another request.
        run_sync(call_user(lambda: None))
        gc.collect()
        assert node() is None


class TestVersions:
    def test_changed_leaf(self):
        """Writing to a leaf that the graph saved makes its backward raise."""

        class Saves(Function):
            @staticmethod
            def forward(ctx, x, y):
                ctx.save_for_backward(x, y)
                return Variable(x.data + y.data)

            @staticmethod
            def backward(ctx, grad):
                return tuple(Variable(v.data) for v in ctx.saved_variables)

        a, b = leaf("a", "the prompt"), leaf("b")
        y = b + "c"
        z = Saves.apply(a, y)
        y.data = "an output may change"
        z.backward(Variable("g"), retain_graph=True)
        assert said(a) == ["a"]
        a.data = "new"
        with pytest.raises(RuntimeError, match=r"the prompt.*version 1"):
            z.backward(Variable("g"))
        assert said(a) == ["a"]


class TestTransactions:
    def test_failure_writes_nothing(self):
        """A failing node anywhere leaves every grad as it was; then it works again."""
        a, b = leaf(), leaf()
        kept = b + "kept"
        kept.retain_grad()
        y = Mix.apply("y", [Breaks.apply(a), kept, a], 3)
        with pytest.raises(KeyError, match="broken") as caught:
            y.backward(Variable("g"))
        assert "in the backward of BreaksBackward0" in caught.value.__notes__
        assert (a.grad, b.grad, kept.grad) == ([], [], [])
        Breaks.broken = False
        try:
            y.backward(Variable("g"))
        finally:
            Breaks.broken = True
        assert said(a) == ["y.0(g)", "y.2(g)"]
        assert said(kept) == ["y.1(g)"]

    def test_failing_leaf_hook(self):
        """A hook on the last leaf that fails undoes the whole backward too."""
        a, b = leaf(), leaf()
        handle = b.register_hook(lambda _: 1 / 0)
        y = a + b
        with pytest.raises(ZeroDivisionError):
            y.backward(Variable("g"))
        assert (a.grad, b.grad) == ([], [])
        handle.remove()
        y.backward(Variable("g"))
        assert (len(a.grad), len(b.grad)) == (1, 1)

    def test_failure_cancels_the_others(self):
        """Work that is still running is stopped before the error is raised."""
        events = []

        class Hangs(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data)

            @staticmethod
            async def backward(ctx, grad):
                try:
                    await asyncio.Event().wait()
                finally:
                    events.append("stopped")

        y = Mix.apply("y", [Hangs.apply(leaf()), Breaks.apply(leaf())], 0)
        with pytest.raises(KeyError):
            y.backward(Variable("g"))
        assert events == ["stopped"]

    def test_cancelled(self):
        """Cancelling everything in flight ends a waiting backward, writing nothing."""
        entered = threading.Event()

        class Hangs(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data)

            @staticmethod
            async def backward(ctx, grad):
                entered.set()
                await asyncio.Event().wait()

        a = leaf()
        y = Hangs.apply(a)

        def stop():
            entered.wait()
            cancel_pending("stop")

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(CancelledError, match="stop"):
            y.backward(Variable("g"))
        thread.join()
        assert a.grad == []

    def test_poisoned_root(self):
        """A root whose operation failed raises that error."""
        gate = asyncio.Event()

        class Fails(Op):
            @staticmethod
            def plan(x):
                return ("r",)

            @staticmethod
            async def forward(ctx, x):
                await gate.wait()
                raise KeyError("forward")

        a = leaf()
        y = Fails.apply(a) + "b"
        home().loop.call_soon_threadsafe(gate.set)
        with pytest.raises(KeyError, match="forward"):
            y.backward(Variable("g"))
        assert a.grad == []


class TestHooks:
    def test_retain_grad(self):
        """A20: an intermediate that retains is filled as well, with its own role."""
        a = leaf()
        y = Quick.apply("y", [a], 0)
        y.retain_grad()
        Quick.apply("z", [y], 0).backward(Variable("g"))
        assert said(y) == ["z.0(g)"]
        assert y.grad[0].role == "feedback to ry"
        assert said(a) == ["y.0(z.0(g))"]

    def test_on_variables(self):
        """A hook sees the merged gradient and may replace it; removed, it is gone."""
        a = leaf()
        y = Quick.apply("y", [a], 0)
        seen = []
        handles = [
            y.register_hook(lambda g: seen.append(g.data)),
            y.register_hook(lambda g: Variable(g.data + "!")),
            a.register_hook(lambda g: Variable(g.data + "?")),
        ]
        z = Quick.apply("z", [y], 0)
        z.backward(Variable("g"), retain_graph=True)
        assert seen == ["z.0(g)"]
        assert said(a) == ["y.0(z.0(g)!)?"]
        for handle in handles:
            handle.remove()
            handle.remove()
        z.backward(Variable("h"))
        assert said(a)[1] == "y.0(z.0(h))"

    def test_hook_runs_before_retain(self):
        """What is retained is what the hooks made of it."""
        y = Quick.apply("y", [leaf()], 0)
        y.retain_grad()
        y.register_hook(lambda g: Variable(g.data + "!"))
        y.backward(Variable("g"))
        assert said(y) == ["g!"]

    def test_no_list_is_shared(self):
        """What is retained shares no list with the feedback, or with other grads."""
        a, given_feedback = leaf(["a", "b"]), Variable(["1", "2"])
        y = a.upper()
        y.retain_grad()
        y.backward(given_feedback)
        y.grad[0].data.append("3")
        assert given_feedback.data == ["1", "2"]
        assert len(a.grad[0].data) == len(a.grad[0].body) == 2

    def test_async_hook(self):
        """Hooks may be coroutine functions."""

        async def hook(grad):
            await asyncio.sleep(0)
            return Variable(grad.data + "!")

        a = leaf()
        a.register_hook(hook)
        Quick.apply("y", [a], 0).backward(Variable("g"))
        assert said(a) == ["y.0(g)!"]

    def test_each_path_to_a_leaf(self):
        """A hook on a leaf is called for every gradient that reaches it, in order."""
        a, seen = leaf(), []
        a.register_hook(lambda g: seen.append(g.data))
        Quick.apply("y", [a, a], 0).backward(Variable("g"))
        assert seen == ["y.0(g)", "y.1(g)"]

    def test_on_nodes(self):
        """Pre-hooks may replace what a node gets, post-hooks what it returns."""
        a, b = leaf(), Variable("u")
        y = Quick.apply("y", [a, b], 0)
        seen = []
        y.grad_fn.register_prehook(lambda grads: (Variable("pre"),))

        def post(grad_inputs, grad_outputs):
            seen.append([g.data for g in grad_outputs])
            return tuple(g and Variable(g.data + "+") for g in grad_inputs)

        with y.grad_fn.register_hook(post):
            y.backward(Variable("g"), retain_graph=True)
        y.backward(Variable("g"))
        assert seen == [["pre"]]
        assert said(a) == ["y.0(pre)+", "y.0(pre)"]

    def test_on_the_end_of_the_graph(self):
        """The node of a leaf has hooks as well."""
        a, seen = leaf(), []
        y = a + "b"
        node = y.grad_fn.next_functions[0].node
        node.register_prehook(lambda grads: (Variable("pre"),))
        node.register_hook(lambda gi, go: seen.append((gi, go[0].data)))
        y.backward(Variable("g"))
        assert said(a) == ["pre"]
        assert seen == [((), "pre")]

    def test_refused(self):
        """Untracked Variables have no hooks; a hook returns a Variable or None."""
        with pytest.raises(StateError):
            Variable().register_hook(print)
        a = leaf()
        y = a + "b"
        for register, bad, error in (
            (y.register_hook, "text", InputTypeError),
            (a.register_hook, 3, InputTypeError),
            (y.grad_fn.register_prehook, (), GradientCountError),
            (y.grad_fn.register_hook, 3, InputTypeError),
            (y.grad_fn.register_prehook, (3,), InputTypeError),
            (y.grad_fn.register_hook, (3, None), InputTypeError),
        ):
            with register(lambda *_, bad=bad: bad), pytest.raises(error) as caught:
                y.backward(Variable("g"), retain_graph=True)
            assert any(
                "AddBackward0" in n or "leaf" in n for n in caught.value.__notes__
            )
        assert a.grad == []
        for register in (
            y.register_hook,
            a.register_hook,
            y.grad_fn.register_hook,
            y.grad_fn.register_prehook,
        ):
            with pytest.raises(InputTypeError, match="a hook must be a function"):
                register(None)

    def test_node_hooks_may_return_texts(self):
        """Before and after the node; a text is as good as a Variable."""
        a = leaf()
        y = Quick.apply("y", [a], 0)
        y.grad_fn.register_prehook(lambda grads: ("pre",))
        y.grad_fn.register_hook(lambda gi, go: (gi[0].data + "+",))
        y.backward(Variable("g"))
        assert said(a) == ["y.0(pre)+"]

    def test_never_on_the_loop(self):
        """Hooks run where users' functions run."""
        names = []
        y = leaf() + "b"
        y.register_hook(lambda _: names.append(threading.current_thread().name))
        y.backward(Variable("g"))
        assert names == ["afnio-user"]


class TestSize:
    def test_long_chain(self):
        """100,000 additions: forward, backward, and letting go of them."""
        a = y = leaf("", "seed")
        for _ in range(100_000):
            y = y + ""
        y.backward(Variable("g"))
        assert len(a.grad) == 1
        assert len(a.grad[0].data) < 300
        assert len(y.role) <= 200

    def test_wide_fan_of_a_leaf(self):
        """A leaf used 100,000 times by one operation gets as many entries."""
        from afnio.autodiff.basic_ops import Sum

        a = leaf(1)
        y = Sum.apply([a] * 100_000)
        assert y.data == 100_000
        y.backward(Variable("g"))
        assert len(a.grad) == 100_000

    def test_wide_fan_of_an_intermediate(self):
        """10,000 different criticisms of an intermediate become one, cut at a limit."""
        a = leaf(1)
        y = a + 0
        uses = [y + 0 for _ in range(10_000)]
        autodiff.backward(uses, [Variable(f"g{i}") for i in range(10_000)])
        (grad,) = a.grad
        assert len(grad.data) < 21_000
        assert "characters cut" in grad.data


def reference(nodes, roots):
    """Run the tiny sequential engine: descending creation order, merge, call."""
    arrived = {}
    for place, (node, text) in enumerate(roots):
        arrived.setdefault(node, []).append(((-1, place), text))
    leaves = {}
    for node in range(len(nodes) - 1, -1, -1):
        if node not in arrived:
            continue
        texts = list(dict.fromkeys(text for _, text in sorted(arrived[node]) if text))
        text = (
            "".join(f"<ITEM>{t}</ITEM>" for t in texts) if len(texts) > 1 else texts[0]
        )
        for i, source in enumerate(nodes[node]):
            box = arrived if source >= 0 else leaves
            box.setdefault(source, []).append(((node, i), f"n{node}.{i}({text})"))
    return {leaf: [text for _, text in sorted(found)] for leaf, found in leaves.items()}


@st.composite
def graphs(draw):
    """Draw a graph: per node its inputs; negative numbers are leaves."""
    size = draw(st.integers(1, 8))
    nodes = [
        draw(st.lists(st.integers(-3, i - 1), min_size=1, max_size=3))
        for i in range(size)
    ]
    picked = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3))
    steps = draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    return nodes, [(node, f"g{i}") for i, node in enumerate(picked)], steps


def build(nodes, steps):
    """Build the drawn graph; a node without steps is one that never waits."""
    leaves = {-i: leaf(f"l{i}", f"l{i}") for i in (1, 2, 3)}
    made = []
    for number, sources in enumerate(nodes):
        inputs = [leaves[s] if s < 0 else made[s] for s in sources]
        op = Mix if steps[number] else Quick
        made.append(op.apply(f"n{number}", inputs, steps[number]))
    return leaves, made


class TestLaws:
    @given(graphs())
    def test_same_as_the_reference_engine(self, graph):
        """Any graph, completed in any order, gives what a sequential engine gives."""
        nodes, roots, steps = graph
        leaves, made = build(nodes, steps)
        autodiff.backward(
            [made[node] for node, _ in roots], [Variable(text) for _, text in roots]
        )
        expected = reference(nodes, roots)
        assert {n: said(v) for n, v in leaves.items() if v.grad} == expected

    @given(graphs(), st.sampled_from([-1, -2, -3]))
    def test_inputs_select_from_the_same(self, graph, wanted):
        """Restricting to one leaf gives that leaf's gradients and no others."""
        nodes, roots, steps = graph
        leaves, made = build(nodes, steps)
        autodiff.backward(
            [made[node] for node, _ in roots],
            [Variable(text) for _, text in roots],
            inputs=leaves[wanted],
        )
        expected = reference(nodes, roots).get(wanted, [])
        assert said(leaves[wanted]) == expected
        assert all(v.grad == [] for n, v in leaves.items() if n != wanted)

    @given(graphs(), st.data())
    def test_a_failure_anywhere_writes_nothing(self, graph, data):
        """Whichever node fails, no gradient is written, and a retry gives them all."""
        nodes, roots, steps = graph
        leaves, made = build(nodes, steps)
        failing = made[data.draw(st.sampled_from([node for node, _ in roots]))]

        def fail(*_):
            raise KeyError("injected")

        args = [made[node] for node, _ in roots], [Variable(text) for _, text in roots]
        with (
            failing.grad_fn.register_hook(fail),
            pytest.raises(KeyError, match="injected"),
        ):
            autodiff.backward(*args)
        assert all(v.grad == [] for v in leaves.values())
        autodiff.backward(*args)
        found = {n: said(v) for n, v in leaves.items() if v.grad}
        assert found == reference(nodes, roots)


class TestCreateGraph:
    def test_feedback_stays_connected(self):
        """With create_graph, gradients lead back to the feedback they were made of."""
        a, critique = leaf(), leaf("too long", "critique")
        (a + "b").upper().backward(critique, create_graph=True)
        (grad,) = a.grad
        assert grad.requires_grad
        grad.backward(Variable("be more specific"))
        assert len(critique.grad) == 1
        assert "be more specific" in critique.grad[0].data
        assert critique.grad[0].role == "feedback to critique"

    def test_without_it_gradients_are_plain(self):
        """The default gives values without history."""
        a, critique = leaf(), leaf("too long", "critique")
        (a + "b").backward(critique)
        assert a.grad[0].requires_grad is False
        assert a.grad[0].grad_fn is None

    def test_pending_gradients_are_waited_for(self):
        """A backward may return values that are still pending."""
        gate = asyncio.Event()

        class Late(Op):
            @staticmethod
            def plan(x):
                return (x.role,)

            @staticmethod
            async def forward(ctx, x):
                await gate.wait()
                return x.data + "!"

        class Asks(Function):
            @staticmethod
            def forward(ctx, x):
                return Variable(x.data)

            @staticmethod
            def backward(ctx, grad):
                late = Late.apply(grad)
                home().loop.call_soon_threadsafe(gate.set)
                return late

        a, b = leaf(), leaf()
        Asks.apply(Quick.apply("q", [a], 0)).backward(Variable("g"))
        Asks.apply(b).backward(Variable("g"))
        assert said(a) == ["q.0(g!)"]
        assert said(b) == ["g!"]


class TestAnomaly:
    def test_names_the_forward_call(self):
        """In anomaly mode a failing backward shows the line of its forward."""
        with autodiff.detect_anomaly():
            y = Breaks.apply(leaf())
            line = y.grad_fn._site
            with pytest.raises(KeyError) as caught:
                y.backward(Variable("g"))
        assert __file__ in line
        assert line in caught.value.__notes__[0]

    def test_off_by_default_and_restored(self):
        """Outside, nothing is remembered; set_detect_anomaly turns it on and off."""
        with autodiff.detect_anomaly():
            pass
        assert not hasattr(Breaks.apply(leaf()).grad_fn, "_site")
        autodiff.set_detect_anomaly(True)
        assert hasattr((leaf() + "b").grad_fn, "_site")
        autodiff.set_detect_anomaly(False)
        with autodiff.set_detect_anomaly(True):
            assert hasattr((leaf() + "b").grad_fn, "_site")
        assert not hasattr((leaf() + "b").grad_fn, "_site")


def test_edges_are_named_tuples():
    """An edge unpacks into node and output number."""
    y = leaf() + "b"
    node, number = get_gradient_edge(y)
    assert node is y.grad_fn
    assert GradientEdge(node, number) == get_gradient_edge(y)
    with pytest.raises(StateError):
        get_gradient_edge(Variable())


def test_backward_under_no_grad():
    """Going back works while recording is off."""
    a = leaf()
    y = a + "b"
    with afnio.no_grad():
        y.backward(Variable("g"))
    assert len(a.grad) == 1
