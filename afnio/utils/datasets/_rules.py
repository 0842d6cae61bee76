"""Questions made by rule, in the style of BIG-Bench Hard: each with one right answer.

A maker takes a random generator and a difficulty from 1 on, and returns question and
answer. The texts are our own.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

Maker = Callable[[random.Random, int], tuple[str, str]]

_NAMES: Final = (
    "Ada",
    "Ben",
    "Cleo",
    "Dov",
    "Eve",
    "Finn",
    "Gia",
    "Hugo",
    "Ida",
    "Jon",
)
_NUMBERS: Final = ("one", "two", "three", "four", "five", "six")
_KINDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "animals": ("cat", "goat", "duck", "horse", "snail", "rabbit", "pig"),
        "fruits": ("apple", "banana", "melon", "grape", "plum", "orange", "lemon"),
        "instruments": ("flute", "drum", "violin", "piano", "trumpet", "harp"),
        "tools": ("hammer", "saw", "wrench", "drill", "chisel", "file"),
        "vehicles": ("car", "tram", "bicycle", "van", "scooter", "canoe"),
    }
)
_TEXT: Final = (
    "amber basin candle dapple ember fathom gable hazel indigo jigsaw kettle ladder "
    "meadow nettle orchard pebble quarry ribbon saddle tangle umbrella velvet willow "
    "yonder zephyr anchor beacon cobble dwindle eagle feather glimmer harbour island "
    "juniper kernel lantern marble needle oyster parcel quiver raven shelter timber "
    "usher violet wander yellow zigzag acorn bramble copper drizzle engine frost"
)
_WORDS: Final = tuple(_TEXT.split())
_OPENERS: Final = "([{<"
_CLOSERS: Final = ")]}>"


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _listed(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def object_counting(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Count the things of one kind among things of two kinds."""
    wanted, other = rng.sample(sorted(_KINDS), 2)
    counts = [
        (kind, word, rng.randint(1, len(_NUMBERS)))
        for kind, most in ((wanted, 2 + difficulty), (other, difficulty))
        for word in rng.sample(_KINDS[kind], min(most, len(_KINDS[kind])))
    ]
    rng.shuffle(counts)
    parts = [
        _article(word) if n == 1 else f"{_NUMBERS[n - 1]} {word}s"
        for _, word, n in counts
    ]
    total = sum(n for kind, _, n in counts if kind == wanted)
    return f"I see {_listed(parts)}. How many {wanted} do I see?", str(total)


def word_sorting(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Sort words by the alphabet."""
    words = rng.sample(_WORDS, min(3 + 3 * difficulty, len(_WORDS)))
    question = f"Sort these words alphabetically: {' '.join(words)}"
    return question, " ".join(sorted(words))


def boolean_expressions(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Evaluate a formula of True, False, and, or, not."""
    text, value = _formula(rng, difficulty + 2)
    return f"Evaluate: {text} is", str(value)


def _formula(rng: random.Random, depth: int) -> tuple[str, bool]:
    if depth == 0:
        value = rng.random() < 1 / 2
        return str(value), value
    if rng.random() < 1 / 3:
        text, value = _formula(rng, depth - 1)
        return f"not ( {text} )", not value
    (left, a), (right, b) = _formula(rng, depth - 1), _formula(rng, depth - 1)
    if rng.random() < 1 / 2:
        return f"( {left} and {right} )", a and b
    return f"( {left} or {right} )", a or b


def multistep_arithmetic(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Compute nested sums, differences and products."""
    text, value = _sum(rng, difficulty + 1)
    return f"{text} =", str(value)


def _sum(rng: random.Random, depth: int) -> tuple[str, int]:
    if depth == 0:
        value = rng.randint(-9, 9)
        return str(value), value
    (left, a), (right, b) = _sum(rng, depth - 1), _sum(rng, depth - 1)
    sign = rng.choice("+-*")
    value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return f"({left} {sign} {right})", value


def web_of_lies(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Find out whether the last of a chain of people tells the truth."""
    people = rng.sample(_NAMES, min(2 + difficulty, len(_NAMES)))
    truth = rng.random() < 1 / 2
    said = [f"{people[0]} {'tells the truth' if truth else 'lies'}."]
    for before, person in itertools.pairwise(people):
        claims_truth = rng.random() < 1 / 2
        words = "tells the truth" if claims_truth else "lies"
        said.append(f"{person} says {before} {words}.")
        truth = claims_truth == truth
    question = f"{' '.join(said)} Does {people[-1]} tell the truth? Answer Yes or No."
    return question, "Yes" if truth else "No"


def tracking_objects(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Follow things that people swap."""
    people = rng.sample(_NAMES, min(2 + difficulty, len(_NAMES)))
    things = rng.sample(_KINDS["fruits"] + _KINDS["tools"], len(people))
    holds = dict(zip(people, things, strict=True))
    start = _listed([f"{who} has {_article(what)}" for who, what in holds.items()])
    swaps = []
    for _ in range(1 + difficulty):
        one, other = rng.sample(people, 2)
        holds[one], holds[other] = holds[other], holds[one]
        swaps.append(f"{one} and {other} swap.")
    who = rng.choice(people)
    question = f"{start}. {' '.join(swaps)} What does {who} have now? Answer one word."
    return question, holds[who]


def dyck_languages(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Close the brackets that are open."""
    text: list[str] = []
    opened: list[int] = []
    for _ in range(4 + 4 * difficulty):
        if opened and rng.random() < 2 / 5:
            text.append(_CLOSERS[opened.pop()])
        else:
            opened.append(rng.randrange(len(_OPENERS)))
            text.append(_OPENERS[opened[-1]])
    if not opened:
        opened.append(0)
        text.append(_OPENERS[0])
    rest = " ".join(_CLOSERS[kind] for kind in reversed(opened))
    return f"Close all open brackets, in order: {' '.join(text)}", rest


def date_understanding(rng: random.Random, difficulty: int) -> tuple[str, str]:
    """Add days to a date, or take them away."""
    first = dt.date(2020, 1, 1).toordinal()
    today = dt.date.fromordinal(first + rng.randrange(3650))
    days = rng.randint(1, 40 * difficulty)
    sign, words = rng.choice([(1, "after"), (-1, "before")])
    answer = today + dt.timedelta(days=sign * days)
    unit = "day" if days == 1 else "days"
    question = (
        f"Today is {today:%d/%m/%Y} (day/month/year). Which date is {days} {unit} "
        f"{words} today? Answer in the same form."
    )
    return question, f"{answer:%d/%m/%Y}"


MAKERS: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        maker.__name__: maker
        for maker in (
            boolean_expressions,
            date_understanding,
            dyck_languages,
            multistep_arithmetic,
            object_counting,
            tracking_objects,
            web_of_lies,
            word_sorting,
        )
    }
)
