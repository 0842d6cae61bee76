"""Runs made up event by event, and a reader of pages that checks their structure."""

from __future__ import annotations

import json
from html.parser import HTMLParser

RUN = {
    "format": "afnio.run",
    "version": 1,
    "name": "made up",
    "project": "Tests",
    "description": None,
    "status": "COMPLETED",
    "pid": 1,
    "host": "elsewhere",
    "versions": {"afnio": "0", "python": "3"},
}


def write_run(path, events, *, tail="", **fields):
    """Write a run's directory; each event is a pair of its kind and its fields."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "run.json").write_text(json.dumps({**RUN, **fields}))
    lines = [
        json.dumps(
            {"time": f"2026-01-01T00:{at // 60 % 60:02}:{at % 60:02}Z", "type": k} | v
        )
        for at, (k, v) in enumerate(events)
    ]
    (path / "events.jsonl").write_text("".join(f"{each}\n" for each in lines) + tail)
    return path


def step(number, loss=0.5, *, epoch=1, batch=None):
    """Return the record of a training step."""
    at = number - 1 if batch is None else batch
    metrics = {"train_loss": loss}
    return "step", {"step": number, "epoch": epoch, "batch": at, "metrics": metrics}


def look(scores, *, at=0, name="s", interval=(0.1, 0.9)):
    """Return the record of a look at the test set."""
    mean = sum(scores) / len(scores)
    return "test", {
        "step": at,
        "scores": scores,
        "samples": len(scores),
        "interval": interval,
        "metrics": {"test_loss": mean},
        "sample_set": name,
    }


def decision(number, *, accepted=True, before="Be kind.", after="Be brief.", **fields):
    """Return the record of a candidate."""
    change = {
        "parameter": 0,
        "role": "prompt",
        "before": before,
        "after": after,
        "feedback": ["It is too long."],
        "failures": 1,
        "successes": 1,
        "attempts": 1,
    }
    gate = {"difference": 0.5, "interval": [0.1, 0.9], "n": 4, "wins": 2, "losses": 0}
    return "decision", {
        "step": number,
        "optimizer": "TGD",
        "candidate": 0,
        "changes": [{**change, **fields.pop("change", {})}],
        "accepted": accepted,
        "reason": "mean difference +0.500 above +0.000",
        "decision": gate,
        "parent_scores": [0, 0, 1, 0],
        "candidate_scores": [1, 0, 1, 1],
        **fields,
    }


def outcomes(*scores, stage="test", name="s", **texts):
    """Return what became of each sample at a look."""
    samples = [
        {"key": str(at), "output": f"reply {at}", "score": s, "success": s == 1} | texts
        for at, s in enumerate(scores)
    ]
    return "outcomes", {"stage": stage, "sample_set": name, "samples": samples}


def usage(at, calls, cost=0.0, **roles):
    """Return totals so far."""
    more = {"roles": roles} if roles else {}
    return "usage", {
        "step": at,
        "stage": "fit",
        "calls": calls,
        "cost_usd": cost,
    } | more


VOID = {"meta", "link", "br", "hr", "img", "input", "path", "rect"}


class Page(HTMLParser):
    """What a page is made of.

    Attributes:
        tags: Every element as (name, attributes), in order.
        text: All text outside of scripts and styles.
        unclosed: Elements that are not closed where they should be.
    """

    def __init__(self, text):
        super().__init__()
        self.tags, self.unclosed, self._open, self._said = [], [], [], []
        self.feed(text)
        self.close()
        self.unclosed += self._open
        self.text = "".join(self._said)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data):
        if not {"script", "style"} & set(self._open[-1:]):
            self._said.append(data)

    def all(self, name, **wanted):
        """Return the attributes of all elements of a name that have some of them."""
        return [
            a for tag, a in self.tags if tag == name and wanted.items() <= a.items()
        ]
