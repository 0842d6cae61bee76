"""A tool-using agent trained through real HTTP, in both providers' wire formats."""

import json
import re

import pytest
from module_helpers import BATCH, GOOD, Shop
from werkzeug import Response

import afnio.cognitive.functional as F
from afnio import Variable
from afnio.models import RetryPolicy, blocks
from afnio.models.anthropic import Anthropic
from afnio.models.openai import OpenAI

pytestmark = pytest.mark.loopback

ASKED_TAG = re.compile(r"^<([\w-]+)>\nthe complete new text\n</", re.MULTILINE)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def stock(item: str) -> list:
    """Do something with an item."""
    count = {"apple": 3, "pear": 0}[item]
    return [blocks.text(str(count)), blocks.image(PNG)]


def rewritten(prompt):
    """Answer an optimizer: the good description between the tags it asks for."""
    tag = ASKED_TAG.findall(prompt)[-1]
    return f"<{tag}>\n{GOOD}\n</{tag}>"


class OpenAIServer:
    """Answers as OpenAI's chat API does; calls the tool if its description is good."""

    path = "/v1/chat/completions"

    @staticmethod
    def client(httpserver, **settings):
        return OpenAI(
            api_key="sk-x", base_url=httpserver.url_for("/v1"), model="m", **settings
        )

    def answer(self, body):
        """Return a message and why it ended."""
        turns = body["messages"]
        if "response_format" in body:
            schema = body["response_format"]["json_schema"]["schema"]
            said = dict.fromkeys(schema["required"], "Say what it is for.")
            return {"content": json.dumps(said)}, "stop"
        if "tools" not in body:
            return {"content": rewritten(turns[-1]["content"])}, "stop"
        (tool,) = body["tools"]
        results = [turn for turn in turns if turn["role"] == "tool"]
        if results:
            assert turns[1]["tool_calls"][0]["id"] == results[0]["tool_call_id"]
            assert "base64" in json.dumps(turns)
            return {"content": re.search(r"\d", str(results[0]["content"]))[0]}, "stop"
        if tool["function"]["description"] != GOOD:
            return {"content": "I do not know."}, "stop"
        assert tool["function"]["parameters"]["required"] == ["item"]
        item = json.dumps({"item": question_of(turns[0]).split()[-1]})
        call = {"name": "stock", "arguments": item}
        calls = [{"id": "call_9", "type": "function", "function": call}]
        return {"content": None, "tool_calls": calls}, "tool_calls"

    def document(self, body):
        """Return the response's JSON."""
        message, finish = self.answer(body)
        choice = {"index": 0, "finish_reason": finish}
        choice["message"] = {"role": "assistant", **message}
        usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }


class AnthropicServer:
    """Answers as Anthropic's messages API does, thinking before it calls a tool."""

    path = "/v1/messages"

    @staticmethod
    def client(httpserver, **settings):
        return Anthropic(
            api_key="sk-x", base_url=httpserver.url_for("/"), model="m", **settings
        )

    def answer(self, body):
        """Return content blocks and why they ended."""
        turns = body["messages"]
        if "output_config" in body:
            schema = body["output_config"]["format"]["schema"]
            said = dict.fromkeys(schema["required"], "Say what it is for.")
            return [blocks.text(json.dumps(said))], "end_turn"
        if "tools" not in body:
            return [blocks.text(rewritten(question_of(turns[-1])))], "end_turn"
        (tool,) = body["tools"]
        if len(turns) > 1:
            thought, called = turns[1]["content"]
            assert thought["signature"] == "signed"
            (result, *_) = turns[2]["content"]
            assert result["tool_use_id"] == called["id"] == "toolu_9"
            assert turns[2]["content"][-1]["source"]["media_type"] == "image/png"
            return [blocks.text(result["content"][0]["text"])], "end_turn"
        if tool["description"] != GOOD:
            return [blocks.text("I do not know.")], "end_turn"
        assert tool["input_schema"]["required"] == ["item"]
        item = question_of(turns[0]).split()[-1]
        thought = blocks.thinking("I look it up.", signature="signed")
        return [
            thought,
            blocks.tool_use("toolu_9", "stock", {"item": item}),
        ], "tool_use"

    def document(self, body):
        """Return the response's JSON."""
        content, stop = self.answer(body)
        return {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 1},
        }


def question_of(turn):
    """Return a turn's text."""
    content = turn["content"]
    return content if isinstance(content, str) else content[0]["text"]


@pytest.mark.parametrize("kind", [OpenAIServer, AnthropicServer])
def test_two_epochs_through_the_wire(kind, httpserver, tmp_path):
    """Agent, critic and optimizer speak to one server; the description is learned."""
    server, seen = kind(), []

    def respond(request):
        seen.append(request.get_json())
        return Response(
            json.dumps(server.document(seen[-1])), mimetype="application/json"
        )

    httpserver.expect_request(server.path).respond_with_handler(respond)
    client = server.client(httpserver, retry=RetryPolicy(base_s=0.0001))
    client.set_price("m", input=1, output=1)
    program = Shop(client, client, stock)
    try:
        program.learn(client, tmp_path)
        result = program.agent.run(inputs={"question": BATCH[0]})
        assert result.output.data == ["3", "0"]
    finally:
        client.close()
    httpserver.check()
    assert program.agent.tools["stock"].description.data == GOOD
    assert list(result.stop_reason) == ["end_turn", "end_turn"]
    assert not [body for body in seen if "_stop_reason" in json.dumps(body)]


@pytest.mark.parametrize("kind", [OpenAIServer, AnthropicServer])
def test_images_and_documents_reach_the_provider(kind, httpserver):
    """An input that is a block stands in its placeholder's place, per sample."""
    seen = []

    class Seen(kind):
        def answer(self, body):
            seen.append(body["messages"][0]["content"])
            block = [blocks.text("ok")]
            return (block, "end_turn") if kind is AnthropicServer else said

    said = ({"content": "ok"}, "stop")

    def respond(request):
        document = Seen().document(request.get_json())
        return Response(json.dumps(document), mimetype="application/json")

    httpserver.expect_request(kind.path).respond_with_handler(respond)
    client = kind.client(httpserver)
    client.set_price("m", input=1, output=1)
    prompt = Variable("Look at {it} and say ok.", role="task")
    media = [blocks.image(PNG), blocks.document(b"%PDF-1.4 x", title="a.pdf")]
    try:
        chat = [{"role": "user", "content": [prompt]}]
        assert F.chat_completion(client, chat, {"it": media}).data == ["ok", "ok"]
    finally:
        client.close()
    httpserver.check()
    kinds = {tuple(block["type"] for block in content) for content in seen}
    if kind is OpenAIServer:
        assert kinds == {("text", "image_url", "text"), ("text", "file", "text")}
    else:
        assert kinds == {("text", "image", "text"), ("text", "document", "text")}
