"""World: hidden rules, items, the metric, and the exact value of any prompt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from benchmarks.simworld import _words
from benchmarks.simworld._chance import expected, normal, number, stream
from benchmarks.simworld._notation import (
    Guide,
    Pieces,
    Prompt,
    Request,
    Rule,
    capital,
    guide_in,
    pieces,
    plain,
    reference_in,
    reply_in,
)
from benchmarks.simworld.presets import PRESETS, Physics

HEADS: Final = {
    None: "You answer requests.",
    "bird": "You answer requests of the bird desk.",
    "stone": "You answer requests of the stone desk.",
}
"""First lines of the seed prompts."""


@dataclass(frozen=True, slots=True)
class Item:
    """One sample: what is asked, and what is right."""

    request: str
    reference: str
    asked: Request
    wanted: Pieces

    @property
    def key(self) -> int:
        """The item's number."""
        return self.asked.number


class World:
    """A task of hidden rules, the same for everybody who names seed and preset.

    Args:
        seed: Which world of its kind.
        preset: A name of `PRESETS`, or physics of one's own.

    Attributes:
        physics: How everything behaves.
        desks: The names of its modules; ``(None,)`` for a single one.
        rules: What is hidden: colours by topic and city.
        train, val, test: The items.
    """

    def __init__(self, seed: int, preset: str | Physics = "easy") -> None:
        self.physics = PRESETS[preset] if isinstance(preset, str) else preset
        self.seed = seed
        self.name = str(seed)
        self._orders: dict[tuple[int, str], list[str]] = {}
        desks = self.physics.desks
        self.desks: tuple[str | None, ...] = ("bird", "stone")[:desks]
        if desks == 1:
            self.desks = (None,)
        self._draw_rules()
        p = self.physics
        self.train = self._items("train", p.train)
        self.val = self._items("val", p.val)
        self.test = self._items("test", p.test)

    def _draw_rules(self) -> None:
        p, rng = self.physics, stream(self.name, "rules")
        birds = rng.sample(_words.BIRDS, p.rules - p.rules // 2)
        stones = rng.sample(_words.STONES, p.rules // 2)
        self.topics: list[str] = rng.sample([*birds, *stones], p.rules)
        self.colours = tuple(rng.sample(_words.COLOURS, p.variants))
        self.split_topics = frozenset(self.topics[: p.conflicts])
        self.rules: dict[tuple[str, str | None], str] = {}
        for topic in self.topics:
            if topic in self.split_topics:
                for city, colour in zip(
                    _words.CITIES, rng.sample(self.colours, 2), strict=True
                ):
                    self.rules[topic, city] = colour
            else:
                self.rules[topic, None] = rng.choice(self.colours)

    def _items(self, split: str, count: int) -> list[Item]:
        p, rng = self.physics, stream(self.name, "items", split)
        by = int(p.shift * p.rules) if split == "test" else 0
        ranked = [*self.topics[by:], *self.topics[:by]]
        weights = [(rank + 1) ** -p.zipf for rank in range(p.rules)]
        base = {"train": 10_000, "val": 20_000, "test": 30_000}[split]
        items = []
        for position in range(count):
            chosen: dict[str, None] = {}
            size = min(rng.choice((1, 2, 2, 3)), p.rules)
            while len(chosen) < size:
                chosen[rng.choices(ranked, weights)[0]] = None
            asked = Request(
                base + position,
                rng.choice(_words.CITIES),
                tuple(chosen),
                rng.random() < p.smudge,
            )
            items.append(self._item(asked))
        return items

    def _item(self, asked: Request) -> Item:
        wanted = {topic: self.right(topic, asked.city) for topic in asked.topics}
        if self.physics.reveal == "rich":
            said = ", ".join(f"{topic}={colour}" for topic, colour in wanted.items())
        else:
            said = f"seal {_seal(asked.number, wanted)}"
        text = f"Reference {asked.number}: {said}."
        return Item(asked.text(), text, asked, wanted)

    def right(self, topic: str, city: str) -> str:
        """Return the colour that a topic's rule asks for in a city."""
        return self.rules.get((topic, city)) or self.rules[topic, None]

    # -- prompts ------------------------------------------------------------------

    @cached_property
    def seed_prompts(self) -> tuple[str, ...]:
        """Where every optimizer starts: one prompt per module."""
        stated = self._stating(list(self.rules) if self.physics.known else [])
        trap = f"\n- {_words.TRAP}" if self.physics.trap else ""
        return tuple(prompt + trap for prompt in stated)

    # -- exact values -------------------------------------------------------------

    def accuracy(self, prompts: Sequence[str], split: str = "test") -> float:
        """Return the expected share of right answers, without asking anything.

        Args:
            prompts: One per module: all that is sent before the request, worked
                examples included.
            split: Which items.
        """
        guides = [guide_in(plain(prompt)) for prompt in prompts]
        items: list[Item] = getattr(self, split)
        return math.fsum(self._expected(guides, item) for item in items) / len(items)

    def _expected(self, guides: Sequence[Guide], item: Item) -> float:
        value = 1.0
        for topic in item.asked.topics:
            guide = guides[self.module_of(topic)]
            if guide.trapped:
                return 0.0
            value *= self._right(guide, item, topic)
        return value

    def _right(self, guide: Guide, item: Item, topic: str) -> float:
        """Return how often the colour of one topic is right."""
        luck, share = self.luck(item.key, topic), self.physics.item_share
        low, value = 0.0, 0.0
        for colour, width in self.draws(guide, item.asked, topic):
            if colour == item.wanted[topic]:
                value += expected(low + width, luck, share) - expected(low, luck, share)
            low += width
        return value

    def draws(
        self, guide: Guide, asked: Request, topic: str
    ) -> list[tuple[str, float]]:
        """Return the colours in the order in which luck picks them, with shares."""
        told = shares(self.physics, guide, asked, topic)
        return draws(told, self._guesses(asked.number, topic))

    def _guesses(self, number: int, topic: str) -> list[str]:
        """Return the colours in the order in which they are guessed for an item."""
        key = (number, topic)
        if key not in self._orders:
            order = stream(self.name, "guess", number, topic)
            self._orders[key] = order.sample(self.colours, len(self.colours))
        return self._orders[key]

    def module_of(self, topic: str) -> int:
        """Return the position of the module that knows about a topic."""
        return 0 if len(self.desks) == 1 else self.desks.index(_words.kind(topic))

    def luck(self, item: int, topic: str) -> float:
        """Return the part of the noise that stays with an item."""
        return normal(self.name, "luck", item, topic)

    @cached_property
    def seed_accuracy(self) -> float:
        """The exact test accuracy of the seed prompts."""
        return self.accuracy(self.seed_prompts)

    @property
    def oracle(self) -> float:
        """The exact test accuracy of the best prompts.

        They state the most frequent rules, as many as pay off.
        """
        return _oracle(self.seed, self.physics)

    def _best(self) -> float:
        uses = Counter(topic for item in self.test for topic in item.asked.topics)
        ranked = sorted(self.rules, key=lambda rule: (-uses[rule[0]], rule))
        tight = len(ranked) > self.physics.capacity
        counts = range(1, len(ranked) + 1) if tight else (len(ranked),)
        return max(self.accuracy(self._stating(ranked[:count])) for count in counts)

    def _stating(self, rules: Sequence[tuple[str, str | None]]) -> list[str]:
        prompts = []
        for desk in self.desks:
            lines = [
                capital(Rule(topic, city, self.rules[topic, city]).text())
                for topic, city in rules
                if desk in (None, _words.kind(topic))
            ]
            prompts.append(Prompt(HEADS[desk], tuple(lines)).text())
        return prompts


@lru_cache(maxsize=256)
def _oracle(seed: int, physics: Physics) -> float:
    world = World(seed, physics)
    return max(world._best(), world.seed_accuracy)


def score(answer: str | None, reference: str) -> int:
    """Return 1 if an answer says what its reference asks for, else 0: the metric."""
    found, wanted = reply_in(answer or ""), reference_in(reference)
    if found is None:
        return 0
    given = pieces(found[1])
    if wanted.startswith("seal "):
        return int(wanted == f"seal {_seal(found[0], given)}")
    return int(given == pieces(wanted))


def _seal(item: int, given: Pieces) -> str:
    return f"{number('seal', item, sorted(given.items())):016x}"


def shares(
    physics: Physics, guide: Guide, asked: Request, topic: str
) -> dict[str, float]:
    """Return the chance of each colour that a model is told; the rest is a guess.

    Args:
        physics: How the forward model behaves.
        guide: What it is told.
        asked: The request.
        topic: The part of the request to answer.
    """
    if topic in (fact := guide.facts.get(asked.number, {})):
        return {fact[topic]: 0.98}
    told = guide.rules.get((topic, asked.city)) or guide.rules.get((topic, None))
    follows = 1.0 - physics.slip
    if asked.smudged:
        follows *= 1.0 - physics.smudge_slip
    excess = max(0, guide.size - physics.capacity)
    follows *= (1 - physics.interference) ** guide.size
    follows *= math.exp(-physics.dilution * excess)
    if not told:
        told = guide.examples.get(topic, ())
        follows *= physics.imitation
    return {colour: follows * told.count(colour) / len(told) for colour in told}


def draws(told: Mapping[str, float], guesses: Sequence[str]) -> list[tuple[str, float]]:
    """Return every colour with its share: those that are told first, then guesses."""
    rest = 1.0 - math.fsum(told.values())
    others = [colour for colour in guesses if colour not in told] or list(guesses)
    return [*told.items(), *((colour, rest / len(others)) for colour in others)]
