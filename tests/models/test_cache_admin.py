"""Inspecting, pruning and exporting a reply cache."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest

from afnio.errors import FileFormatError, InputValueError, MissingFileError
from afnio.models import Reply, ReplyCache, Usage, _cache_admin, use_cache
from afnio.models._cache_admin import entries, export_jsonl, prune, summarize
from afnio.models.openai import OpenAI
from afnio.models.testing import ScriptedModel


@pytest.fixture
def path(tmp_path):
    """Make a cache of three replies by two models, stored 300, 200 and 100 s ago."""
    file = tmp_path / "cache.sqlite"
    model = ScriptedModel(
        Reply("Rome", usage=Usage(input_tokens=5, output_tokens=2)), model="small"
    )
    model.set_price("small", input=1, output=2)
    cache = ReplyCache(file)
    with use_cache(cache):
        model.chat([{"role": "user", "content": "Capital of Italy?"}], model="small")
        model.chat([{"role": "user", "content": 'Say "hi"'}], model="small")
        model.chat([{"role": "user", "content": "Capital of Spain?"}], model="big")
    cache.close()
    with closing(sqlite3.connect(file)) as connection, connection:
        now = _cache_admin.time.time()
        connection.execute(
            "UPDATE replies SET stored_at = ? + rowid * 100", [now - 400]
        )
    return file


def test_summary_counts_what_is_on_file(path):
    """Entries, models, tokens, cost and times are those that were stored."""
    info = summarize(path)
    assert (info.entries, dict(info.models)) == (3, {"small": 2, "big": 1})
    assert (info.input_tokens, info.output_tokens) == (15, 6)
    assert info.cost_usd == Decimal("0.000018")
    assert info.bytes >= path.stat().st_size > 0
    assert info.newest_s - info.oldest_s == pytest.approx(200)


def test_entries_come_newest_first_and_can_be_searched(path):
    """Model, text in any case, part of a key and a limit narrow the list down."""
    everything = entries(path)
    assert [e.prompt for e in everything] == [
        "Capital of Spain?",
        'Say "hi"',
        "Capital of Italy?",
    ]
    assert {e.answer for e in everything} == {"Rome"}
    assert [e.prompt for e in entries(path, model="small", limit=1)] == ['Say "hi"']
    assert [e.prompt for e in entries(path, contains='SAY "HI"')] == ['Say "hi"']
    assert entries(path, key=everything[2].key[:12]) == [everything[2]]
    assert entries(path, contains="nowhere") == []


def test_prune_by_age_and_model_deletes_what_matches_both(path):
    """What is left still answers; a dry run only counts."""
    assert prune(path, older_than_s=150, model="small", dry_run=True) == 2
    assert summarize(path).entries == 3
    assert prune(path, older_than_s=250, model="small") == 1
    assert [e.prompt for e in entries(path)] == ["Capital of Spain?", 'Say "hi"']


def test_prune_by_size_deletes_the_oldest(path):
    """The newest entries that fit stay, and the file shrinks."""
    newest = entries(path)[0]
    assert prune(path, max_bytes=newest.bytes) == 2
    assert entries(path) == [newest]
    assert prune(path, max_bytes=0) == 1
    assert summarize(path).oldest_s is None


def test_prune_gives_space_back(tmp_path):
    """Deleting a large reply makes the file smaller."""
    file = tmp_path / "cache.sqlite"
    cache = ReplyCache(file)
    with use_cache(cache):
        ScriptedModel("x" * 500_000).chat([{"role": "user", "content": "Hi"}])
    cache.close()
    before = summarize(file).bytes
    prune(file, max_bytes=0)
    assert summarize(file).bytes < before / 4


def test_prune_while_a_run_uses_the_file(path):
    """A cache that is open goes on working, and asks again for what was deleted."""
    client = ScriptedModel(["one", "two"])
    cache = ReplyCache(path, memory=0)
    with use_cache(cache):
        assert client.chat([{"role": "user", "content": "new"}]) == "one"
        assert prune(path, max_bytes=0) == 4
        assert client.chat([{"role": "user", "content": "new"}]) == "two"
    cache.close()


@pytest.mark.parametrize(
    "options", [{}, {"older_than_s": -1}, {"max_bytes": -1}], ids=str
)
def test_prune_needs_to_know_what(path, options):
    """Nothing is deleted by a call that does not say what, or says nonsense."""
    with pytest.raises(InputValueError):
        prune(path, **options)
    assert summarize(path).entries == 3


def test_export_is_one_json_line_per_entry(path, tmp_path):
    """The oldest comes first, with its request and reply as data."""
    out = tmp_path / "out.jsonl"
    assert export_jsonl(path, out) == 3
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["model"] for line in lines] == ["small", "small", "big"]
    assert lines[0]["request"]["messages"][0]["content"] == "Capital of Italy?"
    assert lines[0]["reply"]["text"] == "Rome"


def test_export_of_half_a_surrogate_pair_can_be_read_back(tmp_path):
    """A reply that was cut within an emoji is exported as a JSON escape."""
    file, out = tmp_path / "cache.sqlite", tmp_path / "out.jsonl"
    cache = ReplyCache(file)
    with use_cache(cache):
        ScriptedModel("smile \ud83d").chat([{"role": "user", "content": "Hi"}])
    cache.close()
    export_jsonl(file, out)
    assert json.loads(out.read_text("utf-8"))["reply"]["text"] == "smile \ud83d"


READERS = [summarize, entries, lambda p: prune(p, max_bytes=0)]


@pytest.mark.parametrize("read", [*READERS, lambda p: export_jsonl(p, "out.jsonl")])
def test_what_is_no_cache_is_refused(tmp_path, monkeypatch, read):
    """A missing file, a folder, a text, another database and an empty file: errors."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match="no reply cache at"):
        read(tmp_path / "missing.sqlite")
    text, empty = tmp_path / "notes.txt", tmp_path / "empty"
    text.write_text("not a database" * 500)
    empty.touch()
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE people (name)")
    for file in (text, empty, other, tmp_path):
        with pytest.raises(FileFormatError):
            read(file)
    assert text.read_text().startswith("not a database")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"usage": {}}', "null"])
def test_damaged_entries_are_refused(path, damage):
    """A row that is no reply is an error that names the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE replies SET reply = ?", [damage])
    for read in READERS:
        with pytest.raises(FileFormatError, match=r"cache\.sqlite"):
            read(path)


def make_first_version(file):
    """Turn a cache into one of the first format, which told no times."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE replies DROP COLUMN stored_at")
        connection.execute("PRAGMA user_version = 1")


def test_a_file_of_the_first_format_is_read_as_it_is(path):
    """Looking and replaying change nothing; times are unknown."""
    make_first_version(path)
    before = path.read_bytes()
    assert summarize(path).oldest_s is None
    assert len(entries(path)) == 3
    with use_cache(ReplyCache(path, mode="replay")) as cache:
        question = [{"role": "user", "content": "Capital of Italy?"}]
        assert ScriptedModel([]).chat(question, model="small") == "Rome"
        cache.close()
    assert path.read_bytes() == before


def test_a_file_of_the_first_format_is_updated_when_written(path):
    """New replies get a time; old ones count as old."""
    make_first_version(path)
    with use_cache(ReplyCache(path)) as cache:
        ScriptedModel("x").chat([{"role": "user", "content": "new"}])
        cache.close()
    assert [e.stored_at_s is None for e in entries(path)] == [False, True, True, True]
    assert prune(path, older_than_s=3600) == 3


@pytest.mark.loopback
def test_no_key_is_in_what_the_file_shows(httpserver, chat_body, tmp_path):
    """Neither the API key nor the value of a header can be read from a cache."""
    httpserver.expect_request("/v1/chat/completions").respond_with_json(chat_body())
    client = OpenAI(
        api_key="sk-very-secret",
        base_url=httpserver.url_for("/v1"),
        model="gpt-4o",
        default_headers={"X-Token": "hidden-header"},
    )
    file, out = tmp_path / "cache.sqlite", tmp_path / "out.jsonl"
    with use_cache(ReplyCache(file)) as cache:
        client.chat([{"role": "user", "content": "Hi"}], extra_headers={"A": "hidden"})
        cache.close()
    client.close()
    export_jsonl(file, out)
    shown = f"{summarize(file)}{entries(file)[0].document()}{out.read_text('utf-8')}"
    assert "secret" not in shown
    assert "hidden" not in shown
