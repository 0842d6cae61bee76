"""Write support_contacts.jsonl: short support messages and who the customer is.

Every message is put together from the sentence patterns of
``support_contacts_patterns.toml``. The patterns and the names of the test set are
held out: no training or validation message uses them. The same seed always writes
the same file::

    python examples/data/make_support_contacts.py
"""

import argparse
import json
import random
import re
import string
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PATTERNS = HERE / "support_contacts_patterns.toml"
OUTPUT = HERE / "support_contacts.jsonl"

SIZES = {"train": 120, "val": 100, "test": 100}
HELD_OUT = 0.4  # share of every pattern and name list that only the test set uses
SAME_ROW = 0.85  # share of people whose two names come from one row of the table
MIDDLE_INITIAL = 0.05
TWO_SURNAMES = 0.06
MAX_WORDS = 38  # about 60 tokens
MAX_OVERLAP = 0.6  # of the words of two messages, by Jaccard


@dataclass(frozen=True)
class Side:
    """What one side of the split may draw from."""

    patterns: dict[str, list[str]]
    names: list[tuple[list[str], list[str]]]


@dataclass
class Writer:
    """Draws messages from one side; no pattern combination or customer twice."""

    rng: random.Random
    side: Side
    shapes: list[str]
    fill: dict[str, list[str]]
    seen: set[tuple[str, ...]] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)

    def person(self) -> str:
        """Return the name of somebody, first name first."""
        given, family = self.rng.choice(self.side.names)
        if self.rng.random() > SAME_ROW:
            _, family = self.rng.choice(self.side.names)
        first, last = self.rng.choice(given), self.rng.choice(family)
        chance = self.rng.random()
        if chance < MIDDLE_INITIAL:
            first += f" {self.rng.choice(string.ascii_uppercase)}."
        elif chance < MIDDLE_INITIAL + TWO_SURNAMES:
            last += f"-{self.rng.choice([n for n in family if n != last])}"
        return f"{first} {last}"

    def order_number(self) -> str:
        """Return an order number in one of five house styles."""
        digits = "".join(self.rng.choices(string.digits, k=6))
        letters = "".join(self.rng.choices(string.ascii_uppercase, k=2))
        styles = (
            f"#{digits[:5]}",
            f"{letters}-{digits[:4]}",
            digits,
            f"{digits[:3]}-{digits[3:]}",
            f"{letters}{digits[:5]}",
        )
        return self.rng.choice(styles)

    def values(self) -> dict[str, str]:
        """Return one value for every slot; nobody shares a name with another."""
        name, other = self.person(), self.person()
        while set(name.split()) & set(other.split()):
            other = self.person()
        picked = {slot: self.rng.choice(words) for slot, words in self.fill.items()}
        people = {"name": name, "other": other, "first": other.split()[0]}
        return picked | people | {"ref": self.order_number()}

    def write(self) -> dict[str, str]:
        """Return one new example: its message and its answer."""
        while True:
            parts = self.rng.choice(self.shapes).split()
            chosen = tuple(self.rng.choice(self.side.patterns[p]) for p in parts)
            nested = self.inner(chosen)
            if chosen + nested in self.seen or repeats_a_slot(chosen + nested):
                continue
            self.seen.add(chosen + nested)
            values = self.values() | dict(zip(("say", "report"), nested, strict=True))
            message = join_parts([fill(fill(text, values), values) for text in chosen])
            if len(message.split()) <= MAX_WORDS:
                return {"message": message, "answer": values["name"]}

    def inner(self, chosen: Iterable[str]) -> tuple[str, ...]:
        """Return the sentences that a form or a story quotes, empty where unused."""
        text = " ".join(chosen)
        return tuple(
            self.rng.choice(self.side.patterns[slot]) if f"{{{slot}}}" in text else ""
            for slot in ("say", "report")
        )


def repeats_a_slot(patterns: Iterable[str]) -> bool:
    """Tell whether any slot would be filled in twice, which reads oddly."""
    slots = re.findall(r"{(\w+)}", " ".join(patterns).replace("{first}", "{other}"))
    return len(slots) != len(set(slots))


def fill(pattern: str, values: dict[str, str]) -> str:
    """Fill the slots of ``pattern`` and put "an" before a vowel."""
    text = re.sub(r"{(\w+)}", lambda slot: values[slot[1]], pattern)
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def join_parts(parts: Sequence[str]) -> str:
    """Join sentences as people do: capitals after a stop, names on their own line."""
    text = parts[0][0].upper() + parts[0][1:]
    for part in parts[1:]:
        if text.endswith(","):
            text += ("\n" if part[0].isupper() else " ") + part
        else:
            text += " " + part[0].upper() + part[1:]
    return text


def split_list(rng: random.Random, items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Shuffle ``items`` and cut off the held-out share."""
    shuffled = rng.sample(list(items), len(items))
    kept = len(shuffled) - round(len(shuffled) * HELD_OUT)
    return shuffled[:kept], shuffled[kept:]


def words_of(text: str) -> list[str]:
    """Split a word list at bars if it has any, else at spaces."""
    return [word.strip() for word in text.split("|" if "|" in text else None)]


def make_sides(rng: random.Random, source: dict[str, Any]) -> tuple[Side, Side]:
    """Cut patterns and names in two: for training and validation, and for test."""
    patterns = {k: split_list(rng, v) for k, v in source["patterns"].items()}
    names = [
        (split_list(rng, words_of(given)), split_list(rng, words_of(family)))
        for given, family in source["names"].values()
    ]
    tuning, test = (
        Side(
            {kind: halves[i] for kind, halves in patterns.items()},
            [(given[i], family[i]) for given, family in names],
        )
        for i in (0, 1)
    )
    return tuning, test


def bag(message: str) -> frozenset[str]:
    """Return the set of words of a message."""
    return frozenset(re.findall(r"\w+", message.lower()))


def distinct(writer: Writer, taken: list[frozenset[str]]) -> Iterator[dict[str, str]]:
    """Yield examples of new people whose words differ enough from ``taken``."""
    while True:
        example = writer.write()
        words = bag(example["message"])
        if example["answer"] in writer.answered:
            continue
        if all(len(words & old) <= MAX_OVERLAP * len(words | old) for old in taken):
            taken.append(words)
            writer.answered.add(example["answer"])
            yield example


def make_examples(seed: int) -> list[dict[str, str]]:
    """Return all examples, each with its message, answer and split."""
    rng = random.Random(seed)
    source = tomllib.loads(PATTERNS.read_text(encoding="utf-8"))
    words = {slot: words_of(text) for slot, text in source["fill"].items()}
    tuning, test = (
        Writer(rng, side, source["shapes"], words) for side in make_sides(rng, source)
    )
    taken: list[frozenset[str]] = []
    writers = {"train": tuning, "val": tuning, "test": test}
    return [
        next(stream) | {"split": split}
        for split, size in SIZES.items()
        for stream in [distinct(writers[split], taken)]
        for _ in range(size)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    lines = [json.dumps(e, ensure_ascii=False) for e in make_examples(options.seed)]
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} examples written to {options.output}")


if __name__ == "__main__":
    main()
