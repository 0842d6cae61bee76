"""Repeated questions: how they are numbered, replayed, and counted on later."""

import threading
from itertools import count

import pytest

from afnio import Variable
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.errors import FileFormatError
from afnio.models import BackwardModelClient, ReplyCache, use_cache
from afnio.models._sampling import (
    next_index,
    restore_samples,
    sample_log,
    sample_mark,
)
from afnio.models.testing import ScriptedModel


def moody():
    """Make a model that never says the same twice."""
    numbers = count()
    return ScriptedModel(lambda _messages, **_: f"reply {next(numbers)}")


def epoch(client):
    """Ask three questions of which two are equal; return the replies."""
    return [
        ChatCompletion.apply(
            client, [{"role": "user", "content": [Variable(text)]}]
        ).data
        for text in ("a", "a", "b")
    ]


def test_equal_questions_are_numbered_per_client(ask):
    """Other messages, arguments and clients have numbers of their own."""
    one, other = ScriptedModel(), ScriptedModel()
    numbers = [
        next_index(one, ask(), {}),
        next_index(one, ask(), {}),
        next_index(one, ask("?"), {}),
        next_index(one, ask(), {"temperature": 1}),
        next_index(other, ask(), {}),
        next_index(one, ask(), {}),
    ]
    assert numbers == [0, 1, 0, 0, 0, 2]


def test_what_was_recorded_can_be_replayed_in_the_same_process(tmp_path):
    """Whenever a cache comes into force, numbers start anew."""
    client, path = moody(), tmp_path / "c.sqlite"
    with use_cache(ReplyCache(path, mode="record")):
        recorded = epoch(client)
    with use_cache(ReplyCache(path, mode="replay")):
        assert epoch(client) == recorded
    assert recorded == ["reply 0", "reply 1", "reply 2"]


def test_the_default_of_the_process_numbers_anew_when_it_is_set(tmp_path):
    """Every thread counts in it together."""
    client, cache = moody(), ReplyCache(tmp_path / "c.sqlite")
    use_cache(cache)
    first = epoch(client)
    thread = threading.Thread(target=epoch, args=(client,))
    thread.start()
    thread.join()
    assert sample_mark() == 6
    use_cache(cache)
    assert epoch(client) == first
    assert len(client.requests) == 6
    use_cache(None)
    cache.close()


def test_a_resumed_run_counts_on(tmp_path):
    """Two epochs, killed after the first and resumed, give the recorded history."""
    path = tmp_path / "c.sqlite"
    with use_cache(ReplyCache(path, mode="record")):
        client = moody()
        recorded = [epoch(client), epoch(client)]
    assert recorded[0] != recorded[1]
    with use_cache(ReplyCache(path, mode="replay")):
        client = moody()
        log, mark = b"", 0
        history = [epoch(client)]
        log, mark = log + sample_log(mark), sample_mark()
        epoch(client)  # lost: the process dies before its next checkpoint
    with use_cache(ReplyCache(path, mode="replay")):
        restore_samples(log, mark)
        assert sample_mark() == mark
        history.append(epoch(moody()))
    assert history == recorded


def test_marks_are_taken_in_pieces(tmp_path, ask):
    """Pieces of the log, one after the other, are the whole log."""
    client = BackwardModelClient(ScriptedModel(), completion_args={"temperature": 0})
    with use_cache(ReplyCache(tmp_path / "c.sqlite")):
        next_index(client, ask(), {})
        first, mark = sample_log(), sample_mark()
        next_index(client, ask(), {})
        assert first + sample_log(mark) == sample_log()
        whole = sample_log()
    with use_cache(ReplyCache(tmp_path / "c.sqlite")):
        restore_samples(whole, 1)
        assert next_index(client, ask(), {}) == 1
        with pytest.raises(FileFormatError, match="16 bytes"):
            restore_samples(whole, 3)
        with pytest.raises(FileFormatError, match="15 bytes"):
            restore_samples(whole[:-1])


def test_without_a_cache_there_is_nothing_to_save(ask):
    """Numbers matter only where replies are kept."""
    next_index(ScriptedModel(), ask(), {})
    restore_samples(b"")
    assert (sample_mark(), sample_log()) == (0, b"")
