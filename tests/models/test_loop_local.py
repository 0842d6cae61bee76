"""Values that belong to one event loop."""

import asyncio
import os
import subprocess
import sys

import pytest

from afnio.models._loop_local import LoopLocal


def test_each_loop_has_its_own_value():
    """A value is made once per loop, and forgotten when told to."""
    local = LoopLocal(list)

    async def twice():
        first = local.get()
        assert local.get() is first
        assert local.pop() is first
        assert local.pop() is None
        return first

    assert asyncio.run(twice()) is not asyncio.run(twice())


FORKED = """
import os, sys
from afnio.models import Budget, ReplyCache, set_budget, use_cache
from afnio.models.testing import ScriptedModel
budget = Budget(calls=10)
cache = ReplyCache(sys.argv[1])
set_budget(budget), use_cache(cache)
client = ScriptedModel(lambda messages, **_: messages[0]["content"])
client._limits = __import__("afnio.models").models.Limits(concurrency=1)
ask = lambda text: client.chat([{"role": "user", "content": text}])
ask("before")
if child := os.fork():
    ask("parent")
    status = os.waitpid(child, 0)[1]
    assert (status, len(cache), budget.spent["calls"]) == (0, 3, 2)
else:
    assert ask("before") == "before" and ask("child") == "child"
    assert budget.spent["calls"] == 2
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_client_cache_and_budget_work_after_a_fork(tmp_path):
    """A child process uses its own loop, limiter and file handles."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "c.sqlite")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
