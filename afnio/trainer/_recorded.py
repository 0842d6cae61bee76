"""Tests and validations that a resumed run has on record: none is paid twice."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from afnio.cognitive.modules.module import Module
from afnio.tracking import Run, get_active_run, read_run
from afnio.tracking._manifest import digest
from afnio.trainer._evaluate import weight_of
from afnio.trainer._metrics import Record
from afnio.trainer._samples import Outcome, name_of, sample_keys
from afnio.trainer._summary import parameter_values

KINDS: Final = ("test", "validate")
_FIELDS: Final = {item.name for item in fields(Record) if item.init}

Key = tuple[str, str, str]
"""Kind, state of the agent, and name of the samples."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One evaluation that was made before this process began."""

    record: Record
    outcomes: list[Outcome]


def state_of(agent: Module) -> str:
    """Return a name for what an agent is trained to be now."""
    return digest(parameter_values(agent))


def name_of_data(batches: Iterable[Any]) -> str:
    """Return the name of all samples in some batches; empty if they have none."""
    keys: list[str] = []
    for batch in batches:
        found = sample_keys(batch, weight_of(batch))
        if found is None:
            return ""
        keys += found
    return name_of(keys) if keys else ""


class Recordings:
    """What a resumed run has on record; each evaluation is handed out once.

    They are known by what they depend on: the kind, the trainable parameters, and the
    contents of the samples.
    """

    def __init__(self) -> None:
        self._run: Run | None = None
        self._found: dict[Key, deque[Recorded]] = {}

    def wanted(self) -> bool:
        """Whether the active run was resumed, so that there may be something."""
        run = get_active_run()
        if run is not self._run:
            self._run = run
            self._found = _read(run) if run is not None and run.resumed else {}
        return any(self._found.values())

    def take(self, kind: str, agent: Module, batches: Iterable[Any]) -> Recorded | None:
        """Return an evaluation made before, or None."""
        found = self._found.get((kind, state_of(agent), name_of_data(batches)))
        return found.popleft() if found else None


def _read(run: Run) -> dict[Key, deque[Recorded]]:
    _, events = read_run(run.path)
    found: defaultdict[Key, deque[Recorded]] = defaultdict(deque)
    texts: dict[tuple[str, str], Mapping[str, Any]] = {}
    rows: list[Outcome] = []
    for event in events:
        kind = event["type"]
        if kind == "resumed" and event.get("pid") == run.pid:
            break
        if kind == "outcomes":
            rows = _joined(event, texts)
        elif kind in KINDS and event.get("state") and event.get("sample_set"):
            known = {k: v for k, v in event.items() if k in _FIELDS}
            record = Record.from_dict({**known, "kind": kind})
            key = (kind, event["state"], event["sample_set"])
            found[key].append(Recorded(record, rows))
            rows = []
    return dict(found)


def _joined(
    event: Mapping[str, Any], texts: dict[tuple[str, str], Mapping[str, Any]]
) -> list[Outcome]:
    """Return the rows of an event, with the inputs and targets told before."""
    rows = []
    for row in event["samples"]:
        place = (event["sample_set"], row["key"])
        if "input" in row:
            texts[place] = {"input": row["input"], "target": row["target"]}
        rows.append({**texts.get(place, {}), **row})
    return rows
