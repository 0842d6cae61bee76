"""Weights & Biases offline: what its own reader finds in the file it wrote."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from afnio import tracking
from afnio.tracking.adapters import WandbLogger

wandb = pytest.importorskip("wandb", reason="needs wandb: pip install 'afnio[wandb]'")


BLOCK, HEADER = 32768, 7


def chunks(data):
    """Yield the records of a ``.wandb`` file: a LevelDB log after a short header."""
    at, whole = HEADER, b""
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + HEADER])
        whole += data[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (1, 4):  # a whole record, or the last part of one
            yield whole
            whole = b""


def records(folder):
    """Return the records of the one offline run in a folder, by W&B's own schema."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = Path(folder).rglob("run-*.wandb")
    return [Record.FromString(chunk) for chunk in chunks(file.read_bytes())]


def rows(found):
    """Return what was logged, as dicts."""
    return [
        {
            item.key or item.nested_key[0]: json.loads(item.value_json)
            for item in r.history.item
        }
        for r in found
        if r.WhichOneof("record_type") == "history"
    ]


@pytest.mark.loopback
def test_an_offline_run_read_back(tmp_path, monkeypatch):
    """Metrics have their own steps; facts, prompts and the status are there."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # a thread of its own
    logger = WandbLogger(mode="offline", directory=str(tmp_path))
    with tracking.init("me", "P", name="first", loggers=[logger]) as run:
        run.describe(seeds={"trainer": 5})
        run.log("a", 1.0, 3)
        run.log("b", 2.0, 1)
        values = [{"name": "word", "role": "r", "data": "Be brief."}]
        run.record("parameters", step=0, values=values)
    wandb.teardown()  # its service writes the file behind our back, until it ends
    found = records(tmp_path)
    logged = [{k: v for k, v in row.items() if k[0] != "_"} for row in rows(found)]
    assert logged == [{"a": 1.0, "step": 3}, {"b": 2.0, "step": 1}]
    whole = b"".join(record.SerializeToString() for record in found)
    for text in (b"Be brief.", b"COMPLETED", b"trainer", b"first"):
        assert text in whole
