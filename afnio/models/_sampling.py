"""Which repetition of a question a call is, so repeated sampling stays that.

Equal questions share one reply only when they carry the same sample index. Operations
number equal questions in the order they are asked, from 0: for each client in every
process, and anew whenever a cache comes into force, so a recording gives each
repetition its own reply again. A checkpoint can save the numbers of a cache in force.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

from afnio.errors import FileFormatError
from afnio.models._cache import counts_in_force
from afnio.models._counts import DIGEST_BYTES, SampleCounts
from afnio.models._keys import canonical
from afnio.models._media import fingerprinted
from afnio.models._plan import active_plan


class _Clients:
    """What is remembered of each client, as long as it lives."""

    counts: Final[weakref.WeakKeyDictionary[Any, SampleCounts]] = (
        weakref.WeakKeyDictionary()
    )
    names: Final[weakref.WeakKeyDictionary[Any, bytes]] = weakref.WeakKeyDictionary()
    lock: Final = threading.Lock()


def next_index(
    client: Any, messages: Sequence[Mapping[str, Any]], args: Mapping[str, Any]
) -> int:
    """Return how often just this has been asked before, and count this time."""
    shared = counts_in_force()
    counts = _own_counts(client) if shared is None else shared
    if (planned := active_plan()) is not None:
        counts = planned.copy_of(counts)
    return counts.next(_question(client, messages, args))


def sample_mark() -> int:
    """Return a mark of how far the numbers of the cache in force have come.

    A checkpoint keeps the mark, and `sample_log` what led to it.
    """
    counts = counts_in_force()
    return 0 if counts is None else counts.mark()


def sample_log(since: int = 0) -> bytes:
    """Return what was counted after a mark: bytes to append to those before it."""
    counts = counts_in_force()
    return b"" if counts is None else counts.log(since)


def restore_samples(log: bytes, mark: int | None = None) -> None:
    """Count on from a mark, under the cache in force; without one nothing happens.

    Args:
        log: All that `sample_log` gave, from the beginning.
        mark: As far as it counts; all of it where None.

    Raises:
        FileFormatError: The log is shorter than the mark, or damaged.
    """
    length = len(log) if mark is None else mark * DIGEST_BYTES
    if len(log) < length or length % DIGEST_BYTES:
        raise FileFormatError(
            f"the log of repeated questions has {len(log)} bytes; its checkpoint needs "
            f"{length}, in steps of {DIGEST_BYTES}."
        )
    if (counts := counts_in_force()) is not None:
        counts.restore(log[:length])


def _own_counts(client: Any) -> SampleCounts:
    with _Clients.lock:
        if (counts := _Clients.counts.get(client)) is None:
            counts = _Clients.counts[client] = SampleCounts(keeps_log=False)
        return counts


def _question(
    client: Any, messages: Sequence[Mapping[str, Any]], args: Mapping[str, Any]
) -> bytes:
    """Return a digest that is the same in every process."""
    turns = [(turn["role"], turn["content"]) for turn in fingerprinted(messages)]
    asked = repr((turns, sorted(args.items(), key=lambda item: item[0])))
    return hashlib.blake2b(
        asked.encode("utf-8", "surrogatepass"),
        digest_size=DIGEST_BYTES,
        key=_name(client),
    ).digest()


def _name(client: Any) -> bytes:
    """Return a digest of who is asked: the same for clients that answer the same."""
    if (name := _Clients.names.get(client)) is None:
        asked = getattr(client, "client", client)  # of a backward model client
        identity = getattr(asked, "identity", type(asked).__qualname__)
        settings = getattr(client, "completion_args", None)
        text = canonical(identity) + repr(settings)
        name = hashlib.blake2b(text.encode(), digest_size=16).digest()
        _Clients.names[client] = name
    return name
