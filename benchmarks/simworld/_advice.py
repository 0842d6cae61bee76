"""From mistakes to advice: what a critic says, and a rewriter sees by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.simworld import _words
from benchmarks.simworld._notation import (
    Case,
    Prompt,
    Reading,
    Rule,
    rules_of,
    wanted_in,
)
from benchmarks.simworld.presets import Physics

UNTRAP: Final = "remove the line that asks for colours only"


@dataclass(frozen=True, slots=True)
class Advisor:
    """Finds causes, with noise.

    Args:
        physics: How reliable it is.
        rng: Its own randomness.
        recall: Chance that a cause is named.
        desk: Only causes of this desk, but for wrong blame; None for all.
    """

    physics: Physics
    rng: random.Random
    recall: float
    desk: str | None = None

    def on(self, reading: Reading) -> list[str]:
        """Return advice on every case that went wrong, in the order of cases."""
        told = rules_of(reading.current)
        colours = _colours(reading)
        return [
            advice
            for case in reading.cases
            if case.wrong
            for advice in self._on_case(case, told, colours)
        ]

    def relayed(self, reading: Reading) -> list[str]:
        """Return the advice that the text holds already, as far as it is passed on."""
        return [
            advice
            for advice in reading.suggestions
            if self._concerns(advice) and self._chance(self.physics.relay)
        ]

    def _on_case(
        self,
        case: Case,
        told: dict[tuple[str, str | None], str],
        colours: list[str],
    ) -> Iterator[str]:
        physics = self.physics
        if case.sealed:
            yield from self._suspicion(case, colours)
            return
        given = case.reply or {}
        if case.reply_text and not given and self._chance(physics.format_recall):
            yield UNTRAP
        for topic, colour in case.reference.items():
            if given.get(topic) != colour and self._mine(topic):
                yield from self._on_topic(case, topic, colour, told)
        if self._chance(physics.spurious):
            yield self._spurious(case, colours)
        if self._chance(physics.lure):
            pairs = ", ".join(f"{t}={c}" for t, c in case.reference.items())
            yield f"for request {case.request.number}, answer {pairs}"

    def _on_topic(
        self,
        case: Case,
        topic: str,
        colour: str,
        told: dict[tuple[str, str | None], str],
    ) -> Iterator[str]:
        physics, city = self.physics, case.request.city
        if not self._chance(self.recall):
            return
        if (told.get((topic, city)) or told.get((topic, None))) == colour:
            yield self._fluff()  # it was told, and did not listen
            return
        if self._chance(physics.misread):
            colour = self.rng.choice([*(case.reply or {}).values(), colour])
        place = city if city and self._chance(physics.scope) else None
        yield Rule(topic, place, colour).text()

    def _suspicion(self, case: Case, colours: list[str]) -> Iterator[str]:
        """Guess, where nothing shows what would have been right."""
        mine = [topic for topic in case.request.topics if self._mine(topic)]
        if mine and colours and self._chance(self.recall):
            topic, given = self.rng.choice(mine), case.reply or {}
            others = [c for c in colours if c != given.get(topic)] or colours
            yield Rule(topic, None, self.rng.choice(others)).text()

    def _spurious(self, case: Case, colours: list[str]) -> str:
        if not colours or self._chance(0.5):
            return self._fluff()
        topic = self.rng.choice(case.request.topics)
        return Rule(topic, None, self.rng.choice(colours)).text()

    def _fluff(self) -> str:
        line = self.rng.choice(_words.FLUFF).removesuffix(".")
        return line[:1].lower() + line[1:]

    def _concerns(self, advice: str) -> bool:
        rule = wanted_in(advice)
        return rule is None or self._mine(rule.topic)

    def _mine(self, topic: str) -> bool:
        right = self.desk in (None, _words.kind(topic))
        return right if self.desk is None else right != self._chance(self.physics.blame)

    def _chance(self, value: float) -> bool:
        return self.rng.random() < value


def _colours(reading: Reading) -> list[str]:
    """Return every colour that the text shows as an answer."""
    seen: dict[str, None] = {}
    for case in reading.cases:
        for colour in (*(case.reply or {}).values(), *case.reference.values()):
            seen[colour] = None
    return list(seen)


def desk_of(prompt: Prompt) -> str | None:
    """Return the desk that a prompt's first line names."""
    words = prompt.head.lower()
    return next((desk for desk in ("bird", "stone") if f"{desk} desk" in words), None)
