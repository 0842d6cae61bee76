"""Asynchronous dispatch: pending values, snapshots, failures, threads, loops, exits."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import traceback
import weakref

import pytest

import afnio
from afnio import Variable, _dispatch
from afnio._home import HEAD_START, Home, home
from afnio.autodiff.function import Function, Op
from afnio.errors import AfnioError, CancelledError, LoopError


class Gate:
    """Holds back operations until it is opened; no clocks involved."""

    def __init__(self):
        self._event = asyncio.Event()
        self.entered = threading.Event()

    async def wait(self):
        self.entered.set()
        await self._event.wait()

    def open(self):
        home().loop.call_soon_threadsafe(self._event.set)


class Wait(Op):
    """Return the input's data once the gate is open."""

    @staticmethod
    def plan(x, gate):
        return (x.role,)

    @staticmethod
    async def forward(ctx, x, gate):
        await gate.wait()
        return x.data

    @staticmethod
    def backward(ctx, grad):
        return (grad, None)


class Fail(Op):
    """Raise the given error."""

    @staticmethod
    def plan(x, error):
        return (x.role,)

    @staticmethod
    async def forward(ctx, x, error):
        raise error


class Ask(Op):
    """Call a user's function with the data, on the user lane."""

    @staticmethod
    def calls_user(x, fn):
        return True

    @staticmethod
    def plan(x, fn):
        return (x.role,)

    @staticmethod
    def forward(ctx, x, fn):
        return fn(x.data)


@pytest.fixture
def gate():
    """A gate that is open at the end, so that nothing stays pending."""
    gate = Gate()
    yield gate
    gate.open()
    afnio.synchronize()


def run_python(code, **env):
    """Run a script in a fresh interpreter and return its outcome."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
        check=False,
    )


class TestPending:
    def test_returns_at_once_and_waits_when_read(self, gate):
        """An operation on a pending value is pending too; reading waits for both."""
        y = Wait.apply(Variable("a", "r"), gate)
        z = y + "b"
        assert not y.is_ready()
        assert not z.is_ready()
        assert z.role == "r"
        gate.open()
        assert z.data == "ab"
        assert z.is_ready()

    @pytest.mark.parametrize(
        ("read", "expected"),
        [
            (str, "variable(ab, role=r, requires_grad=False)"),
            (repr, "Variable(data=ab, role=r, requires_grad=False)"),
            (lambda v: f"{v}", "ab"),
            (len, 2),
            (lambda v: [c.data for c in v], ["a", "b"]),
            (lambda v: "b" in v, True),
            (lambda v: v.shape, ()),
        ],
    )
    def test_every_way_of_reading_waits(self, gate, read, expected):
        """Printing, iterating and measuring wait as reading data does."""
        y = Wait.apply(Variable("ab", "r"), gate)
        threading.Thread(target=gate.open).start()
        assert read(y) == expected

    def test_pending_constant_still_broadcasts(self, gate):
        """A constant added to a batch that is still pending reaches every sample."""
        y = Wait.apply(Variable(["a", None]), gate) + "!"
        gate.open()
        assert y.data == ["a!", None]

    def test_errors_that_need_data_come_when_read(self, gate):
        """What depends on a pending value raises when it is read, naming the op."""
        y = Wait.apply(Variable("a"), gate)[5]
        gate.open()
        with pytest.raises(IndexError) as caught:
            y.data
        assert "in GetItem, called at " in caught.value.__notes__[0]

    def test_ready_inputs_compute_inline(self):
        """Without waiting there is no trip to the loop."""
        y = Variable("a", requires_grad=True).upper() + "b"
        assert y.is_ready()
        assert y.grad_fn._job is None

    def test_synchronize_waits_for_all(self, gate):
        """After it, everything that was pending is ready."""
        values = [Wait.apply(Variable(str(i)), gate) for i in range(20)]
        gate.open()
        afnio.synchronize()
        assert all(v.is_ready() for v in values)
        afnio.synchronize()

    def test_synchronize_raises_the_first_error_after_all_is_done(
        self, gate, monkeypatch
    ):
        """The first in order of dispatch is raised, once nothing is pending."""
        late = Wait.apply(Variable("a"), gate)
        values = [
            late.map(lambda _: 1 / 0),
            Wait.apply(late, gate),
            late + 1,
            late + "b",
        ]
        values[2].map(lambda _: {}["second"])
        collect = Home.in_flight

        def collect_then_open(self):
            found = collect(self)
            gate.open()
            return found

        monkeypatch.setattr(Home, "in_flight", collect_then_open)
        with pytest.raises(ZeroDivisionError):
            afnio.synchronize()
        monkeypatch.undo()
        assert all(value.is_ready() for value in values)

    def test_synchronize_in_a_users_function(self):
        """It would wait for itself, so it is refused."""
        y = later(lambda _: afnio.synchronize())
        with pytest.raises(LoopError, match="itself"):
            y.data

    def test_results_are_not_shared_between_readers(self, gate):
        """A pending batch and its detached copy hold lists of their own."""
        y = Wait.apply(Variable(["a"]), gate)
        d = y.detach()
        gate.open()
        y.data.append("z")
        assert d.data == ["a"]


class TestTurns:
    def test_work_starts_in_order_while_earlier_work_goes_on(self):
        """Not everything begins in one turn: the first is done before the last begins.

        So the first request leaves, and comes back, while later ones are written.
        """
        events = []

        async def work(number):
            events.append(("begin", number))
            await asyncio.sleep(0)
            events.append(("end", number))

        async def main():
            jobs = [_dispatch.spawn(work(number)) for number in range(40)]
            for job in jobs:
                await job

        _dispatch.run_sync(main())
        begun = [number for what, number in events if what == "begin"]
        assert begun == [*range(40)]
        assert events.index(("end", 0)) < events.index(("begin", 39))

    def test_first_work_starts_while_further_is_dispatched(self, monkeypatch):
        """A program that keeps the interpreter lets go of it after each of the first.

        Once it has waited for something, the next ones are the first again.
        """
        begun, switch_s = [], sys.getswitchinterval()
        monkeypatch.setattr("afnio._home._GLANCE_S", 0.01)  # also on a busy machine

        async def work(number):
            begun.append(number)
            await asyncio.sleep(0.3)  # so that the program has to wait

        _dispatch.run_sync(work("warm-up"))
        sys.setswitchinterval(10)
        try:
            for number in range(2):
                jobs = [_dispatch.spawn(work(number)) for _ in range(HEAD_START - 1)]
                assert number in begun
                for job in jobs:
                    job.result()
        finally:
            sys.setswitchinterval(switch_s)

    def test_a_long_dispatch_does_not_let_go_for_ever(self, gate):
        """What is under way by then keeps the loop busy; letting go takes time."""
        waiting = [Wait.apply(Variable("a"), gate) for _ in range(HEAD_START + 1)]
        assert home().head_start == 0
        threading.Timer(0.1, gate.open).start()
        assert [value.data for value in waiting] == ["a"] * len(waiting)
        assert home().head_start == HEAD_START


def pending(data):
    """Return a Variable that was pending when it was made."""
    gate = Gate()
    gate.open()
    return Wait.apply(Variable(data, "r"), gate)


def later(fn):
    """Return ``fn("a")``, called on the user lane because its input was pending."""
    gate = Gate()
    y = Ask.apply(Wait.apply(Variable("a", "r"), gate), fn)
    gate.open()
    return y


class TestSnapshots:
    def test_later_assignment_does_not_leak(self, gate):
        """Inputs count as they were when the operation was called."""
        p = Variable("old", requires_grad=True)
        y = Wait.apply(p, gate)
        p.data = "new"
        z = Wait.apply(p, gate)
        gate.open()
        assert (y.data, z.data) == ("old", "new")

    def test_later_mutation_does_not_leak(self, gate):
        """Not even a change inside the list that ``data`` returned."""
        p = Variable([["old"]])
        y = Wait.apply(p, gate)
        p.data[0][0] = "new"
        gate.open()
        assert y.data == [["old"]]

    def test_reassigned_pending_input_does_not_leak(self, gate):
        """Assigning data to a pending value changes what comes after, not before."""
        y = Wait.apply(Variable("old", "r", requires_grad=True), gate)
        before = y + "!"
        y.data = "new"
        after = y + "!"
        assert after.data == "new!"
        assert y.grad_fn is not None
        gate.open()
        assert before.data == "old!"
        assert y.data == "new"

    def test_inputs_in_containers_and_keywords(self, gate):
        """Variables in lists, dicts and keyword arguments are frozen as well."""

        class Gather(Op):
            @staticmethod
            def plan(gate, items, **named):
                return ("r",)

            @staticmethod
            async def forward(ctx, gate, items, **named):
                await gate.wait()
                return items["a"][0].data + named["b"].data

        a, b = Variable("a", requires_grad=True), Variable("b", requires_grad=True)
        y = Gather.apply(gate, {"a": [a]}, b=b)
        a.data, b.data = "x", "x"
        gate.open()
        assert y.data == "ab"
        assert [edge.node.variable for edge in y.grad_fn.next_functions] == [a, b]


class TestPoison:
    def test_original_error_names_op_and_line(self):
        """The very error is raised, with a note about the call, at every reader."""
        error = KeyError("boom")
        y = Fail.apply(Variable("a"), error)
        z = (y + "b").upper()
        for value in (z, y, z):
            with pytest.raises(KeyError) as caught:
                value.data
            assert caught.value is error
        assert len(error.__notes__) == 1
        assert error.__notes__[0].startswith("in Fail, called at ")
        assert __file__ in error.__notes__[0]

    def test_long_poisoned_chain(self):
        """One note, however many values depend on the failure."""
        y = Fail.apply(Variable("a"), ValueError("boom"))
        for _ in range(500):
            y = y + "b"
        with pytest.raises(ValueError, match="boom") as caught:
            y.data
        assert len(caught.value.__notes__) == 1

    def test_reading_often_does_not_grow_the_traceback(self):
        """Each reader sees the failure's own traceback, not the other readers'."""
        y = Fail.apply(Variable("a"), ValueError("boom"))
        depths = []
        for _ in range(3):
            try:
                y.data
            except ValueError as error:
                depths.append(len(traceback.extract_tb(error.__traceback__)))
        assert len(set(depths)) == 1

    def test_healthy_siblings_are_unharmed(self, gate):
        """Only what depends on the failure fails."""
        bad = Fail.apply(Variable("a"), ValueError("boom"))
        good = Wait.apply(Variable("b"), gate)
        both = bad + good
        gate.open()
        assert good.data == "b"
        with pytest.raises(ValueError, match="boom"):
            both.data

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
    def test_exit_requests_reach_the_reader(self, error):
        """Raised in a task, they are carried over; the loop lives on."""
        with pytest.raises(type(error)):
            Fail.apply(Variable("a"), error).data
        assert pending("b").data == "b"

    @pytest.mark.parametrize(
        "error", [KeyboardInterrupt(), SystemExit(3), StopIteration()]
    )
    def test_exit_requests_from_a_users_function(self, error):
        """The same holds on the user lane; StopIteration becomes a RuntimeError."""

        def fn(_):
            raise error

        expected = RuntimeError if isinstance(error, StopIteration) else type(error)
        with pytest.raises(expected):
            later(fn).data
        assert later(str.upper).data == "A"


class TestLoops:
    def test_await_from_a_users_loop(self, gate):
        """``await v`` returns v, ready, and leaves the user's loop responsive."""

        async def main():
            y = Wait.apply(Variable("a"), gate)
            ticks = []

            async def tick():
                await asyncio.to_thread(gate.entered.wait)
                ticks.append(y.is_ready())
                gate.open()

            ticker = asyncio.create_task(tick())
            assert await y is y
            await ticker
            assert await Variable("b") is not None
            return y.data, ticks

        assert asyncio.run(main()) == ("a", [False])

    def test_awaiting_a_failed_value(self):
        """It raises the error of the failed operation."""

        async def main():
            await Fail.apply(Variable("a"), KeyError("boom"))

        with pytest.raises(KeyError, match="boom"):
            asyncio.run(main())

    def test_blocking_read_inside_a_running_loop(self, gate):
        """As in a notebook cell: reading simply blocks."""

        async def cell():
            y = Wait.apply(Variable("a", requires_grad=True), gate)
            gate.open()
            z = y + "b"
            z.backward(Variable("g"))
            return z.data

        assert asyncio.run(cell()) == "ab"

    def test_abackward_in_a_running_loop(self, gate):
        """The awaited form works from any loop."""
        x = Variable("a", requires_grad=True)

        async def main():
            await (Wait.apply(x, gate) + "b").abackward(Variable("g"))

        gate.open()
        asyncio.run(main())
        assert len(x.grad) == 1

    def test_cancelled_wait_leaves_the_operation_running(self, gate):
        """Giving up on a value does not cancel it for others."""
        y = Wait.apply(Variable("a"), gate)

        async def main():
            async def read():
                return await y

            task = asyncio.create_task(read())
            await asyncio.to_thread(gate.entered.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        gate.open()
        assert y.data == "a"

    def test_cancelled_abackward_writes_nothing(self, gate):
        """Cancelling an awaited backward stops it, and the graph stays usable."""
        x = Variable("a", requires_grad=True)
        y = x + "b"
        entered = threading.Event()

        async def hook(grad):
            entered.set()
            await gate.wait()

        handle = y.register_hook(hook)

        async def main():
            task = asyncio.create_task(y.abackward(Variable("g")))
            await asyncio.to_thread(entered.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert x.grad == []
        handle.remove()
        y.backward(Variable("g"))
        assert len(x.grad) == 1

    def test_blocking_call_on_afnios_loop(self, gate):
        """It would wait for itself: a LoopError says to await."""

        class Blocking(Op):
            @staticmethod
            def plan(x):
                return ("r",)

            @staticmethod
            async def forward(ctx, x):
                return Wait.apply(Variable("a"), gate).data

        with pytest.raises(LoopError, match="await"):
            Blocking.apply(Variable()).data

    def test_operations_inside_afnios_loop(self):
        """Coroutines on the loop may dispatch, and await what they dispatched."""

        async def main():
            y = pending("a") + "b"
            z = Ask.apply(
                Variable("c"), lambda d: (d, threading.current_thread().name)[0]
            )
            return (await y).data + (await z).data

        assert _dispatch.run_sync(main()) == "abc"

    def test_context_variables_cross_over(self):
        """Grad mode inside the coroutine is the caller's."""

        async def enabled():
            return afnio.is_grad_enabled()

        with afnio.no_grad():
            assert _dispatch.run_sync(enabled()) is False
        assert _dispatch.run_sync(enabled()) is True


class TestGather:
    def test_order_and_first_failure(self):
        """Results come in input order; a failure cancels the others and is raised."""
        cancelled = []

        async def ok(i):
            return i

        async def hang():
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(True)

        async def fail():
            await asyncio.sleep(0)
            raise KeyError("boom")

        assert _dispatch.run_sync(_dispatch.gather(ok(i) for i in range(5))) == [
            *range(5)
        ]
        assert _dispatch.run_sync(_dispatch.gather([])) == []
        with pytest.raises(KeyError, match="boom"):
            _dispatch.run_sync(_dispatch.gather([hang(), fail(), hang()]))
        assert cancelled == [True, True]

    def test_works_on_a_users_loop(self):
        """The helper does not depend on afnio's own loop."""

        async def ok():
            return 1

        assert asyncio.run(_dispatch.gather([ok(), ok()])) == [1, 1]


class TestUserFunctions:
    def test_never_on_the_loop(self):
        """A user's function runs elsewhere, with pending and with ready inputs."""
        names = []

        def fn(data):
            names.append(threading.current_thread().name)
            return data

        later(fn).data
        Ask.apply(Variable("a"), fn).data

        async def main():
            await Ask.apply(Variable("a"), fn)

        _dispatch.run_sync(main())
        assert len(names) == 3
        assert "afnio-loop" not in names

    def test_in_order_of_need(self, gate):
        """Of those that wait together, the one called first runs first."""
        y = Wait.apply(Variable("a"), gate)
        seen = []
        values = [Ask.apply(y, lambda _, i=i: seen.append(i)) for i in range(20)]
        gate.open()
        for value in values:
            value.data
        assert sorted(seen) == [*range(20)]
        assert seen[1:] == sorted(seen[1:])

    def test_functions_that_need_each_other(self):
        """A function that waits for a value steps aside for the one computing it."""
        first = later(lambda d: d + later(str.upper).data + later(str.lower).data)
        assert first.data == "aAa"

    def test_context_of_the_caller(self):
        """Grad mode in a user's function is that of the call."""
        with afnio.no_grad():
            y = later(lambda _: int(afnio.is_grad_enabled()))
        assert y.data == 0

    def test_objects_with_an_async_call(self):
        """They are awaited on the loop, as ``async def`` functions are."""
        names = []

        class Asks:
            async def __call__(self, data):
                await asyncio.sleep(0)
                names.append(threading.current_thread().name)
                return data.upper()

        assert _dispatch.run_sync(_dispatch.call_user(Asks(), "a")) == "A"
        assert names == ["afnio-loop"]

    @pytest.mark.parametrize("late", [True, False])
    def test_what_nobody_awaits_any_more_is_closed(self, late):
        """A coroutine that a function returned for a cancelled caller never starts."""
        begun, finish, started = threading.Event(), threading.Event(), []

        async def work():
            started.append(True)

        def fn():
            begun.set()
            finish.wait()
            return work()

        async def main():
            task = asyncio.ensure_future(_dispatch.call_user(fn))
            while not begun.is_set():
                await asyncio.sleep(0)
            if late:
                task.cancel()
                finish.set()
            else:
                finish.set()
                while home().lane._busy:
                    pass  # the answer has arrived, and the task has not seen it yet
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        _dispatch.run_sync(main())
        later(str.upper).data
        gc.collect()
        assert started == []

    def test_queued_functions_are_dropped_by_a_cancel(self, gate):
        """What has not begun when everything is cancelled never runs."""
        begun, finish, seen = threading.Event(), threading.Event(), []

        def slow(_):
            begun.set()
            finish.wait()

        slow_one = later(slow)
        begun.wait()
        queued = [later(seen.append) for _ in range(5)]
        _dispatch.cancel_pending("enough")
        finish.set()
        for value in (slow_one, *queued):
            with pytest.raises(CancelledError, match="enough"):
                value.data
        assert later(str.upper).data == "A"
        assert seen == []


class TestCancel:
    def test_all_raise_the_same_error(self, gate):
        """Every cancelled value, and all that depends on it, raises one error."""
        a, b = (Wait.apply(Variable("a"), gate) for _ in range(2))
        c = a + b
        _dispatch.cancel_pending("stopped")
        errors = set()
        for value in (a, b, c):
            with pytest.raises(CancelledError, match="stopped") as caught:
                value.data
            errors.add(caught.value)
        assert len(errors) == 1
        assert isinstance(errors.pop(), AfnioError)

    def test_work_afterwards(self, gate):
        """A cancel leaves nothing behind: new work runs, with its own reasons."""
        Wait.apply(Variable("a"), gate)
        _dispatch.cancel_pending("stopped")
        assert pending("b").data == "b"

        async def cancelled():
            task = asyncio.current_task()
            task.cancel()
            await asyncio.sleep(0)

        with pytest.raises(CancelledError, match="was cancelled"):
            _dispatch.run_sync(cancelled())


class TestBounds:
    def test_dispatch_blocks_when_too_much_is_pending(self):
        """Past the limit a caller waits until there is room."""
        out = run_python(
            """
            import asyncio, threading, afnio
            from afnio import Variable
            from afnio._home import home
            from afnio.autodiff.function import Op
            event, running, most = asyncio.Event(), 0, 0
            class Wait(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    global running, most
                    running += 1
                    most = max(most, running)
                    if running == 4:
                        event.set()
                    await event.wait()
                    await asyncio.sleep(0)
                    running -= 1
                    return x.data
            values = [Wait.apply(Variable(i)) for i in range(100)]
            assert [v.data for v in values] == list(range(100))
            assert most == 4, most
            """,
            AFNIO_MAX_PENDING="4",
        )
        assert (out.returncode, out.stderr) == (0, "")

    def test_users_functions_are_never_blocked(self):
        """Work that pending work waits for finds room even when there is none."""
        out = run_python(
            """
            import asyncio
            from afnio import Variable
            from afnio._home import home
            from afnio.autodiff.function import Op
            event = asyncio.Event()
            class Wait(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    await event.wait()
                    return x.data
            class Go(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    return x.data
            x = Wait.apply(Variable("a"))
            y = x.map(lambda d: Go.apply(Variable(d)).data + "b")
            home().loop.call_soon_threadsafe(event.set)
            assert y.data == "ab"
            """,
            AFNIO_MAX_PENDING="2",
        )
        assert (out.returncode, out.stderr) == (0, "")

    def test_threads_that_pending_work_waits_for_are_never_blocked(self):
        """Blocking calls beside the loop may start operations, but not wait for all."""
        out = run_python(
            """
            from afnio import Variable
            from afnio._dispatch import in_thread, synchronize
            from afnio.autodiff.function import Op
            from afnio.errors import LoopError
            class Go(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    return x.data
            class Tool(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    return await in_thread(lambda: Go.apply(Variable(x.data)).data)
            values = [Tool.apply(Variable(i)) for i in range(20)]
            assert [v.data for v in values] == list(range(20))
            class All(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    try:
                        await in_thread(synchronize)
                    except LoopError:
                        return "refused"
            assert All.apply(Variable("a")).data == "refused"
            """,
            AFNIO_MAX_PENDING="2",
        )
        assert (out.returncode, out.stderr) == (0, "")


class TestEager:
    def test_everything_is_ready_at_once(self):
        """In the block operations are computed when called; errors raise there."""
        gate = Gate()
        gate.open()
        with afnio.eager():
            assert Wait.apply(Variable("a"), gate).is_ready()
            with pytest.raises(KeyError):
                Fail.apply(Variable("a"), KeyError("boom"))

    def test_inside_afnios_loop_it_does_not_block(self):
        """A coroutine on the loop cannot wait, so there values stay pending."""

        async def main():
            return (await pending("a")).data

        with afnio.eager():
            assert _dispatch.run_sync(main()) == "a"

    def test_environment_variable(self):
        """AFNIO_EAGER=1 does it for a whole program; 0 and nothing do not."""
        code = "from afnio._dispatch import is_eager; raise SystemExit(is_eager())"
        assert run_python(code, AFNIO_EAGER="1").returncode == 1
        assert run_python(code, AFNIO_EAGER="0").returncode == 0


class TestThreads:
    def test_many_threads_share_one_loop(self):
        """Graphs built and run in several threads do not disturb each other."""
        failures = []

        def work(name):
            try:
                x = Variable(name, name, requires_grad=True)
                for _ in range(30):
                    y = pending(name) + x
                    y.backward(Variable(name))
                assert [g.data.endswith(f": {name}") for g in x.grad] == [True] * 30
            except BaseException as error:  # noqa: BLE001 - reported below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_one_value_read_by_many(self, gate):
        """All readers of one value wake up."""
        y = Wait.apply(Variable("a"), gate)
        seen = []
        threads = [
            threading.Thread(target=lambda: seen.append(y.data)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        gate.open()
        for thread in threads:
            thread.join()
        assert seen == ["a"] * 8

    def test_finished_work_is_forgotten(self):
        """Nothing holds on to a value that is done."""
        y = pending("a") + "b"
        assert y.data == "ab"
        reference = weakref.ref(y)
        del y
        gc.collect()
        assert reference() is None
        assert home().in_flight() == []


class TestProcesses:
    def test_exit_with_work_pending(self):
        """The interpreter ends at once and prints nothing."""
        out = run_python(
            """
            import asyncio, threading
            from afnio import Variable
            from afnio.autodiff.function import Op
            class Hang(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    await asyncio.Event().wait()
            values = [Hang.apply(Variable("a")) + "b" for _ in range(200)]
            slow = [Variable("a").map, threading.Event()]
            values.append(values[0].map(str))
            """
        )
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")

    def test_exit_with_work_that_ignores_cancelling(self):
        """Even stubborn work cannot hold up the end, or print."""
        out = run_python(
            """
            import asyncio
            from afnio import Variable
            from afnio.autodiff.function import Op
            class Stubborn(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    while True:
                        try:
                            await asyncio.Event().wait()
                        except asyncio.CancelledError:
                            pass
            value = Stubborn.apply(Variable("a"))
            """
        )
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")

    def test_exit_while_a_users_function_runs(self):
        """A function that never returns is left behind."""
        out = run_python(
            """
            import asyncio, threading
            from afnio import Variable
            from afnio.autodiff.function import Op
            from afnio._home import home
            gate = asyncio.Event()
            class Wait(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    await gate.wait()
                    return x.data
            begun = threading.Event()
            def never(_):
                begun.set()
                threading.Event().wait()
            value = Wait.apply(Variable("a")).map(never)
            home().loop.call_soon_threadsafe(gate.set)
            begun.wait()
            """
        )
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_fork(self):
        """A child starts its own loop; what was pending before says so."""
        out = run_python(
            """
            import asyncio, os, warnings
            from afnio import Variable
            from afnio._home import home
            from afnio.autodiff.function import Op
            warnings.simplefilter("ignore")  # Python warns of any fork with threads
            event = asyncio.Event()
            class Wait(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    await event.wait()
                    return x.data
            class Go(Wait):
                @staticmethod
                async def forward(ctx, x):
                    await asyncio.sleep(0)
                    return x.data
            assert Go.apply(Variable("warm")).data == "warm"
            x = Variable("p", requires_grad=True)
            old = Wait.apply(x)
            if os.fork() == 0:
                for read in (lambda: old.data, lambda: (old + "b").data,
                             lambda: old.backward(Variable("g"))):
                    try:
                        read()
                    except RuntimeError as error:
                        assert "fork" in str(error), error
                    else:
                        raise SystemExit(7)
                assert (Go.apply(Variable("c")) + "d").data == "cd"
                raise SystemExit(5)
            _, status = os.wait()
            home().loop.call_soon_threadsafe(event.set)
            assert old.data == "p"
            raise SystemExit(os.waitstatus_to_exitcode(status))
            """
        )
        assert (out.returncode, out.stderr) == (5, "")

    @pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
    def test_interrupt_and_restart_100_times(self):
        """Real Ctrl-C while waiting cancels all in flight and leaks nothing."""
        out = run_python(
            """
            import asyncio, gc, os, signal, sys, threading
            import afnio
            from afnio import Variable, _dispatch
            from afnio._home import home
            from afnio.autodiff.graph import Node
            from afnio.errors import CancelledError
            from afnio.autodiff.function import Op
            class Hang(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    await asyncio.Event().wait()
            class Go(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    await asyncio.sleep(0)
                    return x.data
                @staticmethod
                def backward(ctx, grad):
                    return (grad,)
            main = threading.main_thread().ident
            def kill():
                if sys._current_frames()[main].f_code.co_name == "wait":
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    home().loop.call_soon(kill)
            def round_(i):
                x = Variable("a", requires_grad=True)
                hanging = [Hang.apply(x) + "b" for _ in range(10)]
                last = hanging[-1].map(str.upper)
                home().loop.call_soon_threadsafe(kill)
                try:
                    if i % 3 == 0:
                        last.data
                    elif i % 3 == 1:
                        last.backward(Variable("g"))
                    else:
                        afnio.synchronize()
                    raise SystemExit("not interrupted")
                except KeyboardInterrupt:
                    pass
                for value in hanging:
                    try:
                        value.data
                        raise SystemExit("not cancelled")
                    except CancelledError:
                        pass
                assert x.grad == []
                y = Go.apply(x).map(str.upper)
                y.backward(Variable("again"))
                assert y.data == "A" and len(x.grad) == 1
            def census():
                gc.collect()
                async def tasks():
                    return len(asyncio.all_tasks())
                return (
                    _dispatch.run_sync(tasks()),
                    threading.active_count(),
                    sum(isinstance(o, (Node, Variable)) for o in gc.get_objects()),
                    len(home().pending), len(home()._inbox),
                )
            for i in range(6):
                round_(i)
            _dispatch.run_sync(_dispatch.call_user(str.upper, "a"))  # starts the lane
            before = census()
            for i in range(100):
                round_(i)
            after = census()
            assert before == after, (before, after)
            """
        )
        assert (out.returncode, out.stderr) == (0, ""), out.stderr

    @pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
    def test_interrupts_at_any_moment(self):
        """Ctrl-C between any two instructions of a dispatch never wedges the loop."""
        out = run_python(
            """
            import asyncio, random, signal
            from afnio import Variable
            from afnio._home import home
            from afnio.autodiff.function import Op
            class Go(Op):
                @staticmethod
                def plan(x): return ("r",)
                @staticmethod
                async def forward(ctx, x):
                    await asyncio.sleep(0)
                    return x.data
            interrupts = 0
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            for i in range(400):
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 2e-3))
                    while True:
                        assert (Go.apply(Variable("a")) + "b").data == "ab"
                except KeyboardInterrupt:
                    interrupts += 1
            assert (Go.apply(Variable("a")) + "b").data == "ab"
            assert interrupts == 400
            assert home().in_flight() == []
            """
        )
        assert out.returncode == 0, out.stderr


def test_uncaught_function_error_is_not_hidden():
    """A user Function that fails on pending input raises at the call."""

    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            raise KeyError(x.data)

    with pytest.raises(KeyError, match="a"):
        Bad.apply(pending("a"))


@pytest.mark.parametrize("limit", ["abc", "0", "-5"])
def test_a_wrong_limit_in_the_environment_is_named(limit):
    """Importing says which variable is wrong, and what it should be."""
    done = run_python("import afnio", AFNIO_MAX_PENDING=limit)
    assert f"AFNIO_MAX_PENDING is {limit!r}" in done.stderr
