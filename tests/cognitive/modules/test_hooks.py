"""Tests of afnio.cognitive.modules._hooks: calling modules."""

import asyncio
import threading

import pytest

import afnio
import afnio.cognitive as cog
from afnio import Variable
from afnio.models.testing import ScriptedModel


class Echo(cog.Module):
    def forward(self, x, suffix=""):
        return x + suffix


class AsyncEcho(cog.Module):
    async def forward(self, x, suffix=""):
        await asyncio.sleep(0)
        return x + suffix


both = pytest.mark.parametrize("kind", [Echo, AsyncEcho])
blocking = pytest.mark.parametrize("awaited", [False, True])


def _call(module, awaited, *args, **kwargs):
    if awaited:
        return asyncio.run(module.acall(*args, **kwargs))
    return module(*args, **kwargs)


def test_forward_must_be_defined():
    """MO01: calling a module without forward says whose is missing."""

    class Nothing(cog.Module):
        pass

    with pytest.raises(NotImplementedError, match="Nothing"):
        Nothing()()


@both
@blocking
def test_call_and_acall_agree(kind, awaited):
    """A plain and an async forward give the same, blocking and awaited."""
    assert _call(kind(), awaited, "a", suffix="b") == "ab"


@both
@blocking
def test_hooks_run_and_may_change(kind, awaited):
    """Pre-hooks change arguments, hooks change results, in order of registration."""
    module = kind()
    seen = []
    module.register_forward_pre_hook(lambda m, args: seen.append((m, args)))
    module.register_forward_pre_hook(lambda _, args: args[0].upper())
    module.register_forward_hook(lambda _, args, out: (*args, out))
    module.register_forward_hook(lambda *_: None)
    assert _call(module, awaited, "a", suffix="b") == ("A", "Ab")
    assert seen == [(module, ("a",))]


@both
@blocking
def test_hooks_with_kwargs(kind, awaited):
    """With with_kwargs, hooks see keyword arguments, and pre-hooks replace both."""
    module = kind()
    module.register_forward_pre_hook(
        lambda _, args, kwargs: (args, {"suffix": kwargs["suffix"] * 2}),
        with_kwargs=True,
    )
    module.register_forward_hook(
        lambda _, args, kwargs, out: [args, kwargs, out], with_kwargs=True
    )
    result = _call(module, awaited, "a", suffix="b")
    assert result == [("a",), {"suffix": "bb"}, "abb"]


def test_handles_remove_and_prepend_orders():
    """A handle removes its hook; prepend puts one first."""
    module, order = Echo(), []
    last = module.register_forward_hook(lambda *_: order.append("last"))
    module.register_forward_hook(lambda *_: order.append("first"), prepend=True)
    module("a")
    last.remove()
    with module.register_forward_pre_hook(lambda *_: order.append("pre")):
        module("a")
    module("a")
    assert order == ["first", "last", "pre", "first", "first"]


def test_acall_returns_ready_variables():
    """What acall returns is ready, in whatever it is packed."""

    class Ask(cog.Module):
        def forward(self, model):
            ask = [{"role": "user", "content": [Variable("hi")]}]
            reply = cog.chat_completion(model, ask)
            return {"replies": [reply], "other": 1}

    result = asyncio.run(Ask().acall(ScriptedModel("hello", latency_s=0.01)))
    assert result["replies"][0].is_ready()


def test_acall_keeps_the_callers_loop_free():
    """A plain forward that reads pending data does not block the caller's loop."""

    class Reads(cog.Module):
        def forward(self, gate):
            assert gate.wait(10)
            return threading.current_thread()

    async def main():
        gate = threading.Event()
        waiting = asyncio.ensure_future(Reads().acall(gate))
        await asyncio.sleep(0)
        gate.set()
        return await waiting

    assert asyncio.run(main()) is not threading.current_thread()


def test_acall_keeps_grad_mode():
    """Grad mode crosses over into acall."""

    class Track(cog.Module):
        def forward(self, x):
            return x + "b"

    async def main():
        with afnio.no_grad():
            return await Track().acall(cog.Parameter("a"))

    assert asyncio.run(main()).requires_grad is False
