"""The simulated rewriter: takes advice, and forgets, misplaces and breaks things."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.simworld import _words
from benchmarks.simworld._advice import UNTRAP, Advisor, desk_of
from benchmarks.simworld._forms import Edit, Rewriting, asks_for_edits, write
from benchmarks.simworld._notation import (
    Prompt,
    Reading,
    Rule,
    capital,
    read,
    rule_in,
    rules_of,
    wanted_in,
)
from benchmarks.simworld.presets import Physics

_LIMIT: Final = re.compile(r"at most (\d+) characters", re.IGNORECASE)


def rewrite(
    physics: Physics, text: str, args: Mapping[str, Any], rng: random.Random
) -> str:
    """Answer a request for a better prompt, in the form it asks for.

    Args:
        physics: How good the rewriter is.
        text: All messages.
        args: Of the call.
        rng: The call's randomness.
    """
    reading = read(text)
    writer = _Writer(physics, rng, list(reading.current.lines))
    advice = _chosen(physics, reading, rng)
    patch = asks_for_edits(args)
    if not patch:
        writer.copy_out()
    for item in advice:
        writer.take(item)
    if patch:
        writer.stray()
    limit = _LIMIT.search(text)
    prompt = _cut(reading.current.head, writer.lines, int(limit[1]) if limit else None)
    found = Rewriting(prompt, tuple(writer.edits), tuple(advice))
    return write(found, text, args, rng, broken=rng.random() < physics.break_form)


def _chosen(physics: Physics, reading: Reading, rng: random.Random) -> list[str]:
    """Return the advice to follow: what has most support, a few pieces at most."""
    own = Advisor(physics, rng, physics.insight, desk_of(reading.current))
    support = Counter([*reading.suggestions, *own.on(reading)])
    told = rules_of(reading.current)
    failed = {rule for old in reading.outdated for rule in rules_of(old).items()}
    failed -= set(told.items())
    open_ones = []
    for advice in support:
        rule = wanted_in(advice)
        if rule is not None:
            key = (rule.topic, rule.city)
            if told.get(key) == rule.colour:
                continue
            if (key, rule.colour) in failed and rng.random() < physics.heed:
                continue
        elif any(advice.lower() in line.lower() for line in reading.current.lines):
            continue
        open_ones.append(advice)
    ranked = sorted(open_ones, key=lambda one: (-support[one], rng.random()))
    chosen = _distinct(ranked)[: physics.adds]
    if not chosen:
        line = rng.choice(_words.FLUFF).removesuffix(".")
        chosen = [line[:1].lower() + line[1:]]
    return chosen


def _distinct(ranked: list[str]) -> list[str]:
    """Keep one piece of advice per rule: the one with most support."""
    kept: dict[Any, str] = {}
    for advice in ranked:
        rule = wanted_in(advice)
        key = advice if rule is None else (rule.topic, rule.city)
        kept.setdefault(key, advice)
    return list(kept.values())


def _cut(head: str, lines: list[str], limit: int | None) -> Prompt:
    prompt = Prompt(head, tuple(lines))
    while limit is not None and prompt.lines and len(prompt.text()) > limit:
        prompt = Prompt(head, prompt.lines[:-1])
    return prompt


@dataclass(slots=True)
class _Writer:
    """Changes lines, and keeps a list of what was changed."""

    physics: Physics
    rng: random.Random
    lines: list[str]
    edits: list[Edit] = field(default_factory=list)

    def copy_out(self) -> None:
        """Write all lines anew; some are lost or become vague."""
        physics, rng = self.physics, self.rng
        if rng.random() < physics.collapse:
            self.lines = rng.sample(self.lines, len(self.lines) // 2)
        kept = [line for line in self.lines if rng.random() >= physics.forget]
        self.lines = [self._drifted(line) for line in kept]

    def _drifted(self, line: str) -> str:
        rule = rule_in(line)
        if rule is None or self.rng.random() >= self.physics.drift:
            return line
        return f"Take care with {rule.topic}."

    def take(self, advice: str) -> None:
        """Follow one piece of advice."""
        if advice == UNTRAP:
            for line in [line for line in self.lines if line == _words.TRAP]:
                self._delete(line)
            return
        line, rule = capital(advice), wanted_in(advice)
        outdated = self._outdated(rule)
        if outdated is None or self.rng.random() < self.physics.contradict:
            self._add(line)
        else:
            self._replace(outdated, line)

    def stray(self) -> None:
        """Delete what nobody asked to delete."""
        for line in list(self.lines):
            if self.rng.random() < self.physics.patch_forget:
                self._delete(line)

    def _outdated(self, rule: Rule | None) -> str | None:
        if rule is None:
            return None
        for line in self.lines:
            old = rule_in(line)
            if old is not None and (old.topic, old.city) == (rule.topic, rule.city):
                return line
        return None

    def _add(self, line: str) -> None:
        self.lines.append(line)
        self.edits.append(Edit("add", None, line))

    def _replace(self, old: str, line: str) -> None:
        if self.rng.random() < self.physics.misplace:
            old = self.rng.choice(self.lines)
        if line in self.lines:
            return
        self.lines[self.lines.index(old)] = line
        self.edits.append(Edit("replace", old, line))

    def _delete(self, line: str) -> None:
        if self.rng.random() < self.physics.misplace and self.lines:
            line = self.rng.choice(self.lines)
        if line in self.lines:  # another stray edit may have hit it
            self.lines.remove(line)
            self.edits.append(Edit("delete", line, None))
