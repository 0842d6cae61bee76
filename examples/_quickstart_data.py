"""The quickstart's two tasks, as lists of (message, answer)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from afnio.utils.datasets import FacilitySupport

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Task:
    """What to ask, and how many messages of each part to use."""

    about: str
    instruction: str
    template: str
    answer_tokens: int
    sizes: Mapping[str, int]
    source: str

    def load(self, part: str) -> list[tuple[str, str]]:
        """Return the messages of a part with their answers."""
        if self.source == "facility":
            folder = HERE.parent.parent / "shared" / "data"
            data = FacilitySupport(part, root=folder)
            return [(message.data, targets[1].data) for message, targets in data]
        lines = (HERE / "data" / self.source).read_text("utf-8").splitlines()
        rows = (json.loads(line) for line in lines)
        return [(r["message"], r["answer"]) for r in rows if r["split"] == part]


TASKS = {
    "contacts": Task(
        "naming the customer in synthetic support messages (a few minutes on 2 cores)",
        "Extract the customer's full name from the support message. "
        "Reply with the name only.",
        "Message: {message}\nCustomer name:",
        16,
        {"train": 40, "val": 60, "test": 100},
        "support_contacts.jsonl",
    ),
    "facility": Task(
        "the sentiment of real, long e-mails (with the embedded model a quarter of an "
        "hour or more)",
        "Read the message and classify its sentiment as positive, neutral or negative. "
        "Reply with the label only.",
        "Message: {message}\nSentiment:",
        8,
        {"train": 20, "val": 12, "test": 20},
        "facility",
    ),
}
