"""Half a surrogate pair is sent as text, by every client that sends anything."""

import json

import pytest

from afnio.models import ReplyCache, blocks, use_cache
from afnio.models._unicode import encodable
from afnio.models.anthropic import Anthropic
from afnio.models.testing import RecordedModel, ScriptedModel

CUT = "smile \ud83d"
TALK = [
    {"role": "user", "content": CUT},
    {"role": "assistant", "content": [blocks.tool_use("1", "find", {"q": CUT})]},
    {"role": "user", "content": [blocks.tool_result("1", "nothing")]},
]
MESSAGE = {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}


def test_what_can_be_encoded_stays_as_it_is():
    """Only the half pair changes, wherever it is."""
    data = {"a": ["x", 1, None, "\U0001f600"], CUT: (CUT,)}
    assert encodable(data) == {
        "a": ["x", 1, None, "\U0001f600"],
        "smile \\ud83d": ["smile \\ud83d"],
    }


def test_cache_and_recording_keep_the_reply(tmp_path):
    """It is written at once, and comes back as it was."""
    question, file = [{"role": "user", "content": CUT}], tmp_path / "recording.json"
    cache = ReplyCache(tmp_path / "cache.sqlite")
    with use_cache(cache):
        assert ScriptedModel(CUT).chat(question) == CUT
    cache.close()
    replay = ReplyCache(tmp_path / "cache.sqlite", "replay")
    with use_cache(replay):
        assert ScriptedModel("other").chat(question) == CUT
    replay.close()
    RecordedModel(file, record_from=ScriptedModel(CUT)).chat(question)
    assert RecordedModel(file).chat(question) == CUT


@pytest.mark.loopback
def test_openai_gets_the_conversation(httpserver, make_openai, chat_body):
    """A tool's arguments, echoed back, do not end an agent's run."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(chat_body())
    client = make_openai()
    for _ in range(2):  # the SDK's own request, and one from the template
        assert client.chat(TALK) == "Hello"
        sent = json.loads(httpserver.log[-1][0].get_data())["messages"]
        assert sent[0]["content"] == "smile \\ud83d"


@pytest.mark.loopback
def test_anthropic_gets_the_conversation(httpserver):
    """The same, in Anthropic's words."""
    httpserver.expect_request("/v1/messages").respond_with_json(MESSAGE)
    client = Anthropic(api_key="k", base_url=httpserver.url_for(""), model="m")
    assert client.chat(TALK) == "Hi"
    sent = json.loads(httpserver.log[-1][0].get_data())["messages"]
    assert sent[1]["content"][0]["input"] == {"q": "smile \\ud83d"}
    client.close()
