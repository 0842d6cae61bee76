"""Ctrl-C during model calls and critic calls: everything stops, nothing leaks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

_PROGRAM = """
    import asyncio, gc, os, signal, sys, threading
    import afnio
    from afnio import Variable, _dispatch, autodiff
    from afnio._home import home
    from afnio.autodiff.evaluator import ExactMatchEvaluator
    from afnio.autodiff.graph import Node
    from afnio.autodiff.lm_ops import ChatCompletion
    from afnio.errors import CancelledError
    from afnio.models import set_backward_model_client
    from afnio.models.testing import ScriptedModel, feedback

    main = threading.main_thread().ident

    def kill():
        if sys._current_frames()[main].f_code.co_name == "wait":
            os.kill(os.getpid(), signal.SIGINT)
        else:
            home().loop.call_soon(kill)

    class Script:
        '''Answers, except that the call with a given number hangs and interrupts.'''
        def __init__(self, answer):
            self.answer, self.left = answer, 0
        async def __call__(self, messages, **args):
            self.left -= 1
            if self.left == 0:
                home().loop.call_soon(kill)
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return self.answer(messages, **args)

    forward = Script(lambda messages, **_: messages[-1]["content"].upper())
    critic = Script(feedback("be exact"))
    model, judge = ScriptedModel(forward), ScriptedModel(critic)
    set_backward_model_client(judge)

    def step(prompt):
        turns = [
            {"role": "system", "content": [prompt]},
            {"role": "user", "content": [Variable("{x}", "question")]},
        ]
        losses = []
        for batch in (["a", "b"], ["c"], "d"):
            first = ChatCompletion.apply(model, turns, inputs={"x": batch})
            reply = ChatCompletion.apply(model, turns, inputs={"x": first})
            target = ["?"] * len(batch) if isinstance(batch, list) else "?"
            losses.append(ExactMatchEvaluator.apply(reply, target)[1])
        autodiff.backward(losses)
        return losses

    def round_(number):
        # forward calls 1 to 8, then critic calls 1 to 8: each hangs in its turn
        prompt = Variable("Answer.", "system prompt", requires_grad=True)
        script = forward if number % 2 else critic
        script.left = number // 2 % 8 + 1
        try:
            step(prompt)
            raise SystemExit("not interrupted")
        except KeyboardInterrupt:
            pass
        assert prompt.grad == []
        script.left = 0
        step(prompt)
        assert len(prompt.grad) == 6
        assert all("be exact" in gradient.data for gradient in prompt.grad)
        model.requests.clear()
        judge.requests.clear()

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
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupt_and_restart_100_times():
    """Real Ctrl-C at each model and critic call in turn; the same work then succeeds.

    No task, thread, node or Variable is left behind, and no gradient is written by what
    was interrupted.
    """
    code = textwrap.dedent(_PROGRAM) + textwrap.dedent(
        """
        for number in range(16):
            round_(number)
        before = census()
        for number in range(100):
            round_(number)
        after = census()
        assert before == after, (before, after)
        """
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (out.returncode, out.stderr) == (0, ""), out.stderr
