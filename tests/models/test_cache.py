"""The reply cache: modes, keys, misses, damage, threads and processes."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from afnio._dispatch import gather, run_sync
from afnio.errors import (
    FileFormatError,
    InputTypeError,
    InputValueError,
    ReplayMissError,
    StateError,
)
from afnio.models import (
    Reply,
    ReplyCache,
    ToolCall,
    Usage,
    _cache,
    _cache_writer,
    _sqlite,
    use_cache,
)
from afnio.models._cache import CacheWarning
from afnio.models.testing import ScriptedModel


def ask(client, text="Hi", **args):
    """Ask one question and wait for the reply."""
    return run_sync(client.agenerate([{"role": "user", "content": text}], **args))


@pytest.fixture
def path(tmp_path):
    """Return where a cache may be, in a directory to be made."""
    return tmp_path / "replies" / "cache.sqlite"


def test_second_call_is_answered_from_the_file(path):
    """A reply is paid for once, also by another client in another session."""
    first, second = ScriptedModel(["one"]), ScriptedModel([])
    with use_cache(ReplyCache(path)):
        ask(first)
    with use_cache(ReplyCache(path)) as cache:
        reply = ask(second)
    assert (reply.text, reply.cached, reply.usage) == ("one", True, Usage())
    assert cache.hits == 1
    assert second.get_usage()["total_tokens"] == 0
    assert second.get_usage_by_role()["forward"]["scripted"]["cached_calls"] == 1


def test_every_field_of_a_reply_survives(path):
    """Tool calls, reasoning, stop reason and names come back as they were."""
    full = Reply(
        "text — ünï 🎉",
        tool_calls=(ToolCall("1", "f", {"a": [1, None]}),),
        stop_reason="tool_use",
        reasoning="because",
        refusal="no",
        usage=Usage(input_tokens=5, cached_tokens=2),
        request_id="r",
        model="m",
    )
    with use_cache(ReplyCache(path)):
        ask(ScriptedModel(full))
    with use_cache(ReplyCache(path)):
        found = ask(ScriptedModel([]))
    for name in (
        "text",
        "tool_calls",
        "stop_reason",
        "reasoning",
        "refusal",
        "request_id",
        "model",
    ):
        assert getattr(found, name) == getattr(full, name)


def test_sample_index_and_arguments_are_told_apart(path):
    """Repeated sampling stays repeated sampling."""
    client = ScriptedModel(["a", "b", "c"])
    with use_cache(ReplyCache(path)):
        texts = [
            ask(client).text,
            ask(client, sample_index=1).text,
            ask(client, temperature=1).text,
            ask(client, sample_index=1).text,
        ]
    assert texts == ["a", "b", "c", "b"]


def test_one_call_can_pass_the_cache_by(path):
    """cache=False neither reads nor writes."""
    client = ScriptedModel(["a", "b", "c"])
    with use_cache(ReplyCache(path)) as cache:
        ask(client)
        assert ask(client, cache=False).text == "b"
        assert ask(client).text == "a"
        assert len(cache) == 1


def test_recording_asks_once_for_each_call(path):
    """A recording run answers equal calls as a replay will; the next one asks anew."""
    client = ScriptedModel(["old", "new"])
    for text in ("old", "new"):
        with use_cache(ReplyCache(path, mode="record")):
            assert [ask(client).text, ask(client).text] == [text, text]
        with use_cache(ReplyCache(path, mode="replay")):
            assert ask(ScriptedModel([])).text == text


def test_off_does_nothing(path):
    """Mode off makes no file and answers nothing."""
    client = ScriptedModel(["a", "b"])
    with use_cache(ReplyCache(path, mode="off")):
        assert [ask(client).text, ask(client).text] == ["a", "b"]
    assert not path.exists()


def test_replay_miss_names_the_nearest_entry_and_what_differs(path):
    """A miss in replay sends nothing, and shows the changed field with both values."""
    with use_cache(ReplyCache(path, mode="record")):
        ask(ScriptedModel("x"), "Hello world", temperature=0)
        ask(ScriptedModel("x"), "Something else", temperature=0)
    client = ScriptedModel("x")
    replay = ReplyCache(path, mode="replay")
    with use_cache(replay), pytest.raises(ReplayMissError) as caught:
        ask(client, "Hello world", temperature=1)
    assert "args.temperature: 1 instead of 0" in str(caught.value)
    assert client.requests == []
    assert replay.misses == 1


def test_replay_without_a_file_says_so(path):
    """Replaying what was never recorded is not an empty cache."""
    with (
        use_cache(ReplyCache(path, mode="replay")),
        pytest.raises(ReplayMissError, match="no recording at"),
    ):
        ask(ScriptedModel("x"))
    assert not path.exists()


def test_replay_refuses_calls_that_cannot_be_recorded(path):
    """An argument without a JSON form is an error in replay, not a real call."""
    client = ScriptedModel("x")
    with use_cache(ReplyCache(path)):
        ask(client, thing=object())
    with (
        use_cache(ReplyCache(path, mode="replay")),
        pytest.raises(ReplayMissError, match="JSON form"),
    ):
        ask(client, thing=object())


def test_foreign_file_is_refused(tmp_path):
    """Neither a text file nor somebody else's database is taken for a cache."""
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be read as one" * 50)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE people (name)")
    connection.close()
    for file in (text, other):
        with use_cache(ReplyCache(file)), pytest.raises(FileFormatError):
            ask(ScriptedModel("x"))
    assert text.read_text().startswith("not a database")


def test_newer_format_is_refused(path):
    """A file of a later version is not misread."""
    with use_cache(ReplyCache(path)) as cache:
        ask(ScriptedModel("x"))
        cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with use_cache(ReplyCache(path)), pytest.raises(FileFormatError, match="newer"):
        ask(ScriptedModel("x"))


def test_damaged_row_is_refused(path):
    """A row that is no reply is an error, not a reply."""
    with use_cache(ReplyCache(path)) as cache:
        ask(ScriptedModel("x"))
        cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE replies SET reply = '{\"text\": 3}'")
    connection.close()
    with use_cache(ReplyCache(path)), pytest.raises(FileFormatError, match="damaged"):
        ask(ScriptedModel("x"))


def test_values_are_readable_json(path):
    """Requests and replies stand in the file as JSON, never as pickles."""
    with use_cache(ReplyCache(path)) as cache:
        ask(ScriptedModel("hello"), "question")
        cache.close()
    with sqlite3.connect(path) as connection:
        request, reply = connection.execute(
            "SELECT request, reply FROM replies"
        ).fetchone()
    connection.close()
    assert json.loads(request)["messages"][0]["content"] == "question"
    assert json.loads(reply)["text"] == "hello"


def test_process_default_and_block(path, tmp_path):
    """use_cache sets the default for all threads; a block overrides it."""
    client = ScriptedModel(lambda messages, **_: messages[0]["content"].upper())
    default, inner = ReplyCache(path), ReplyCache(tmp_path / "b.sqlite")
    use_cache(default)
    try:
        thread = threading.Thread(target=ask, args=(client, "a"))
        thread.start()
        thread.join()
        with use_cache(inner):
            ask(client, "b")
        ask(client, "a")
    finally:
        use_cache(None)
    ask(client, "a")
    assert (len(default), len(inner), default.hits) == (1, 1, 1)
    assert len(client.requests) == 3


def test_many_threads_share_one_cache(path):
    """Concurrent calls from several threads are all recorded."""
    client = ScriptedModel(lambda messages: messages[0]["content"])
    cache = ReplyCache(path)

    async def go(name):
        await gather(
            client.agenerate([{"role": "user", "content": f"{name} {n}"}])
            for n in range(40)
        )

    def work(name):
        with use_cache(cache):
            run_sync(go(name))

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 160
    cache.close()
    cache.close()
    assert len(cache) == 160


WRITER = """
import sys
from afnio.models import ReplyCache, use_cache
from afnio.models.testing import ScriptedModel
use_cache(ReplyCache(sys.argv[1]))
client = ScriptedModel(lambda messages: messages[0]["content"])
for n in range(60):
    client.chat([{"role": "user", "content": f"{sys.argv[2]} {n}"}])
"""


def test_several_processes_share_one_file(path):
    """Processes writing at once lose nothing."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], env=env)
        for name in "ab"
    ]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(ReplyCache(path)) == 120


KILLED = (
    WRITER
    + """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
)


def test_killed_process_keeps_what_it_was_told(path):
    """A reply that was handed out is on record, even if the process dies at once."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KILLED, str(path), "k"], env=env, check=False)
    assert len(ReplyCache(path)) == 60


def test_unknown_mode_is_refused(path):
    """A mode that does not exist is named, with those that do."""
    with pytest.raises(InputValueError, match=r"no cache mode 'rw'.*'replay'"):
        ReplyCache(path, mode="rw")


def test_reply_that_cannot_be_written_is_handed_out(path, monkeypatch):
    """It is paid for: a warning says so once, and the next write is tried anew."""
    cache = ReplyCache(path)
    with use_cache(cache), monkeypatch.context() as broken:
        broken.setattr(_cache_writer, "INSERT", "no SQL")
        with pytest.warns(CacheWarning, match="will be paid for again") as warned:
            assert [ask(ScriptedModel("a"), text).text for text in "12"] == ["a", "a"]
        assert ask(ScriptedModel([]), "1").cached
    assert len(warned) == 1
    with use_cache(cache):
        ask(ScriptedModel("b"), "3")
    assert len(cache) == 1
    cache.close()


def test_file_that_cannot_be_opened_again_stops_nobody(path, monkeypatch):
    """The thread that writes does not die in silence; another one takes its place."""
    cache = ReplyCache(path)
    opens = _cache_writer.open_for_writing
    errors = [sqlite3.OperationalError("unable to open database file")]
    monkeypatch.setattr(
        _cache_writer,
        "open_for_writing",
        lambda path: opens(path) if not errors else _throw(errors.pop()),
    )
    with use_cache(cache):
        with pytest.warns(CacheWarning, match="unable to open"):
            assert ask(ScriptedModel("a"), "1").text == "a"
        assert ask(ScriptedModel("a"), "2").text == "a"
    assert len(cache) == 1
    cache.close()


def _throw(error):
    raise error


@pytest.mark.parametrize("text", ["cut \ud83d", "plain"])
def test_half_a_surrogate_pair_is_kept(path, text):
    """Such a prompt or reply is cached, read again, and hinders no later call."""
    with use_cache(ReplyCache(path)):
        ask(ScriptedModel("cut \ud83d"), text)
        assert ask(ScriptedModel("fine"), "next").text == "fine"
    with use_cache(ReplyCache(path)):
        assert ask(ScriptedModel([]), text).text == "cut \ud83d"


def test_locked_file_is_not_called_damaged(path, monkeypatch):
    """Nobody is told to throw paid replies away because another process is busy."""
    with use_cache(ReplyCache(path)) as cache:
        ask(ScriptedModel("a"))
        cache.close()
    monkeypatch.setattr(_sqlite, "_BUSY_S", 0.01)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with use_cache(ReplyCache(path)), pytest.raises(StateError, match="is locked"):
            ask(ScriptedModel([]))
    with use_cache(ReplyCache(path)):
        assert ask(ScriptedModel([])).cached


def test_locked_file_holds_nobody_else_up(path, monkeypatch):
    """A cache is opened once, off the loop: other calls go on while it waits."""
    opened, held = [], threading.Event()
    really = _cache.open_for_writing

    def slow(place):
        opened.append(place)
        assert held.wait(5)
        return really(place)

    monkeypatch.setattr(_cache, "open_for_writing", slow)
    client, cache = ScriptedModel("a"), ReplyCache(path)

    async def go():
        with use_cache(cache):
            waiting = [asyncio.ensure_future(client.agenerate(m)) for m in messages]
        while not opened:
            await asyncio.sleep(0.001)
        reply = await client.agenerate([{"role": "user", "content": "uncached"}])
        held.set()
        return [reply, *await asyncio.gather(*waiting)]

    messages = [[{"role": "user", "content": text}] for text in ("x", "y")]
    assert [reply.text for reply in run_sync(go())] == ["a"] * 3
    assert opened == [path]


def test_full_disk_costs_no_reply(path):
    """What does not fit is warned of; what is on file is still there."""
    with use_cache(ReplyCache(path)) as cache:
        ask(ScriptedModel("kept"), "small")
        cache.close()
    with closing(sqlite3.connect(path)) as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]

    class Full(sqlite3.Connection):
        """A connection to a disk with no room for another page."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            super().execute(f"PRAGMA max_page_count = {pages}")

    connect = sqlite3.connect
    with pytest.MonkeyPatch.context() as patch, use_cache(ReplyCache(path)) as cache:
        patch.setattr(
            sqlite3, "connect", lambda *a, **k: connect(*a, **k | {"factory": Full})
        )
        with pytest.warns(CacheWarning, match="full"):
            assert ask(ScriptedModel("x" * 50_000), "large").text == "x" * 50_000
        assert ask(ScriptedModel([]), "small").text == "kept"
        cache.close()


def test_recording_refuses_a_foreign_file_before_it_pays(tmp_path):
    """A file that nothing can be written to is found out first."""
    foreign = tmp_path / "notes.txt"
    foreign.write_text("no database, but long enough to be looked at " * 30)
    model = ScriptedModel("a")
    with use_cache(ReplyCache(foreign, mode="record")), pytest.raises(FileFormatError):
        ask(model)
    assert not model.requests


def test_path_of_another_kind_is_refused():
    """A path is a text or a path object."""
    with pytest.raises(InputTypeError, match="path is int"):
        ReplyCache(5)
