"""Images and files in keys: digests in place of their content."""

from afnio._dispatch import run_sync
from afnio.models import Reply, ReplyCache, ToolCall, blocks, use_cache
from afnio.models._media import fingerprinted
from afnio.models.testing import RecordedModel, ScriptedModel

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)


def user(*content):
    """Build a conversation of one message."""
    return [{"role": "user", "content": list(content)}]


def test_plain_conversations_are_their_own_fingerprint():
    """Nothing is copied where there is nothing to replace."""
    messages = [{"role": "user", "content": "Hi"}]
    assert fingerprinted(messages) is messages


def test_media_are_replaced_by_digests():
    """A fingerprint is small, equal for equal content and different for other."""
    first = fingerprinted(user(blocks.text("a"), blocks.image(PNG)))
    assert len(str(first)) < 250
    assert first == fingerprinted(user(blocks.text("a"), blocks.image(PNG)))
    assert first != fingerprinted(user(blocks.text("a"), blocks.image(PNG + b"x")))
    assert first[0]["content"][1]["source"]["media_type"] == "image/png"


def test_media_of_openai_s_blocks_and_in_tool_results_are_found():
    """Content is found at any depth and in every provider's form."""
    url = "data:image/png;base64," + "A" * 5000
    found = fingerprinted(
        user(
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "input_audio", "input_audio": {"data": "A" * 5000, "format": "x"}},
            {"type": "file", "file": {"file_data": url}},
            blocks.tool_result("1", [blocks.image(PNG)]),
        )
    )
    assert str(found).count("sha256") == 4
    assert len(str(found)) < 1500


def test_text_stays_readable():
    """Long texts and text documents are not replaced: differences are shown."""
    long = "word " * 1000
    assert fingerprinted(user(blocks.document(long.encode()))) == user(
        blocks.document(long.encode())
    )


def test_replies_to_pictures_are_remembered_without_the_picture(tmp_path):
    """Caches and recordings know a picture again, and do not keep its bytes."""
    thought = blocks.thinking("hm", signature="s")
    reply = Reply(
        "x",
        blocks=(thought, blocks.text("x")),
        tool_calls=(ToolCall("1", "look", {}, "damaged"),),
    )
    asked = user(blocks.image(PNG * 100))
    with use_cache(ReplyCache(tmp_path / "cache")):
        run_sync(ScriptedModel([reply]).agenerate(asked))
        found = run_sync(ScriptedModel([]).agenerate(asked))
    assert found.cached
    assert (found.blocks, found.tool_calls) == (reply.blocks, reply.tool_calls)
    path = tmp_path / "recording.json"
    recorder = RecordedModel(path, record_from=ScriptedModel([reply]))
    run_sync(recorder.agenerate(asked))
    found = run_sync(RecordedModel(path).agenerate(asked))
    assert (found.blocks, found.tool_calls) == (reply.blocks, reply.tool_calls)
    assert path.stat().st_size < 5_000
