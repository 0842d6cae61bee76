"""afnio in a notebook's kernel: stop works, ``await`` works, progress is one output."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytest.importorskip("ipykernel")
manager = pytest.importorskip("jupyter_client.manager")

SET_UP = """
import warnings
warnings.simplefilter("error")
import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.models.testing import ScriptedModel, feedback, in_tags
from afnio.optim import TGD
from afnio.trainer import Trainer

def ask(model, count=1):
    task = Variable("Say hello.", role="task", requires_grad=True)
    turns = [{"role": "user", "content": [task]}]
    return [F.chat_completion(model, turns) for _ in range(count)]

class Shout(cog.Module):
    def __init__(self, latency_s=0.0):
        super().__init__()
        self.task = cog.Parameter("Repeat.", role="task")
        turns = [{"role": "user", "content": [self.task]}]
        self.chat = cog.ChatCompletion(ScriptedModel("hi", latency_s=latency_s), turns)

    def training_step(self, batch, number):
        if number == 1:
            print("under way", flush=True)
        return F.exact_match_evaluator(self.chat(), batch)

    def configure_optimizers(self):
        return TGD(self.parameters(), ScriptedModel(in_tags("Repeat.")))

afnio.set_backward_model_client(ScriptedModel(feedback("")))
"""


class Kernel:
    """A running kernel, and what its cells do."""

    def __init__(self, folder):
        env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        env |= {"PYTHONPATH": str(ROOT)}
        self._manager, self._client = manager.start_new_kernel(
            kernel_name="python3", cwd=str(folder), env=env
        )
        assert self.run(SET_UP)["status"] == "ok"

    def run(self, code, stop_at=None):
        """Run a cell; interrupt it as soon as it has printed ``stop_at``."""
        self.messages = []

        def heard(message):
            self.messages.append(message)
            if stop_at is not None and stop_at in message["content"].get("text", ""):
                self._manager.interrupt_kernel()

        return self._client.execute_interactive(code, timeout=60, output_hook=heard)[
            "content"
        ]

    def value(self, code):
        """Return what the last line of a cell that works shows."""
        assert self.run(code)["status"] == "ok", self.messages
        shown = [m for m in self.messages if m["msg_type"] == "execute_result"]
        return shown[-1]["content"]["data"]["text/plain"]

    def close(self):
        """End the process."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


pytestmark = [
    pytest.mark.loopback,
    pytest.mark.filterwarnings("ignore"),  # of the notebook's own machinery
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Return a kernel in which afnio is imported, shared by this file's tests."""
    kernel = Kernel(tmp_path_factory.mktemp("notebook"))
    yield kernel
    kernel.close()


def test_stop_ends_a_cell_that_waits_for_a_model(kernel):
    """The cell stops, the kernel lives, and the next question is answered."""
    waiting = "reply, = ask(ScriptedModel('never', latency_s=600))\n"
    stopped = kernel.run(f"{waiting}print('asked', flush=True)\nreply.data", "asked")
    assert (stopped["status"], stopped["ename"]) == ("error", "KeyboardInterrupt")
    assert kernel.value("ask(ScriptedModel('hello'))[0].data") == "'hello'"


def test_what_was_stopped_says_so_when_it_is_read(kernel):
    """A cancelled value raises the reason, again and again, and does not hang."""
    kernel.run("reply, = ask(ScriptedModel('never', latency_s=600))")
    kernel.run("print('waits', flush=True)\nreply.data", "waits")
    for _ in range(2):
        assert kernel.run("reply.data")["ename"] == "CancelledError"


def test_stop_ends_training_and_says_how_to_go_on(kernel):
    """The next cell continues from the checkpoint."""
    stopped = kernel.run(
        "trainer = Trainer(max_epochs=1, enable_agent_summary=False)\n"
        "trainer.fit(Shout(latency_s=0.05), ['hi'] * 100)",
        "under way",
    )
    assert stopped["ename"] == "KeyboardInterrupt"
    assert "to go on from there: fit(..., ckpt_path=" in stopped["evalue"]
    assert kernel.value(
        "trainer.fit(Shout(), ['hi'] * 100, ckpt_path=trainer.last_path)\n"
        "trainer.global_step"
    ) == ("100")


def test_blocking_and_awaiting_forms_work_in_a_cell(kernel):
    """Although the kernel has a running loop."""
    code = """
score, explanation = F.exact_match_evaluator(ask(ScriptedModel("hello"))[0], "hello")
{}
score.data
"""
    assert kernel.value(code.format("explanation.backward()")) == "1"
    assert kernel.value(code.format("await explanation.abackward()")) == "1"
    hello = "[{'role': 'user', 'content': 'Hello'}]"
    assert kernel.value(f"await ScriptedModel('ciao').achat({hello})") == "'ciao'"


def test_training_does_not_flood_the_cell(kernel):
    """Three epochs of a hundred steps leave one output of a few lines."""
    code = (
        "Trainer(max_epochs=3, enable_agent_summary=False).fit(Shout(), ['hi'] * 100)"
    )
    assert kernel.run(code)["status"] == "ok"
    kinds = [message["msg_type"] for message in kernel.messages]
    assert kinds.count("display_data") == 1
    printed = [m["content"] for m in kernel.messages if m["msg_type"] == "stream"]
    assert {each["name"] for each in printed} == {"stdout"}  # what Shout itself prints
    updates = [m for m in kernel.messages if m["msg_type"] == "update_display_data"]
    assert len(updates) < 200
    last = updates[-1]["content"]["data"]["text/plain"]
    assert len(last.splitlines()) == 6
