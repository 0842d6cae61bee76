"""How the world writes things down, and how its models read any text.

Requests, replies, references, rules and suggestions each have a form of their own.
So a model finds them in whatever an optimizer wraps around them, and needs to know
nothing about the optimizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from benchmarks.simworld._words import TOPICS, TRAP

Pieces: TypeAlias = Mapping[str, str]
"""Colours by topic."""

_RULE: Final = re.compile(r"\bfor (\w+)(?: from (\w+))?, answer (\w+)\b", re.IGNORECASE)
_FACT: Final = re.compile(
    r"\bfor request (\d+), answer ((?:\w+=\w+(?:, )?)+)", re.IGNORECASE
)
_VAGUE: Final = re.compile(
    r"\bfor (\w+)(?: from (\w+))?, say what to answer\b", re.IGNORECASE
)
_SUGGESTION: Final = re.compile(r"Suggestion: ([^.\n]+)\.")
_REQUEST: Final = re.compile(r"Request (\d+) from (\w+): ([a-z, ]+?)( \(smudged\))?\.")
_REPLY: Final = re.compile(r"Reply to (\d+): ([^.\n]*)\.")
_REFERENCE: Final = re.compile(r"Reference (\d+): ([^.\n]*)\.")
_PIECE: Final = re.compile(r"(\w+)=(\w+)")
_BLOCK: Final = re.compile(r"You answer requests[^\n]*(?:\r?\n- [^\n]*)*")
_OUTDATED: Final = re.compile(
    r"version|reject|earlier|previous|tried|discard|failed", re.IGNORECASE
)
_NAMED: Final = re.compile(r"current|basic", re.IGNORECASE)
_DESK: Final = re.compile(r"\b(bird|stone) desk\b", re.IGNORECASE)
_LABEL_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Rule:
    """What to answer for a topic, perhaps in one city only."""

    topic: str
    city: str | None
    colour: str | None
    """None: something has to be said, but not what."""

    def text(self) -> str:
        """Return the rule in words, without a final period."""
        place = f" from {self.city}" if self.city else ""
        what = f"answer {self.colour}" if self.colour else "say what to answer"
        return f"for {self.topic}{place}, {what}"


@dataclass(frozen=True, slots=True)
class Request:
    """An item's input, as its text shows it."""

    number: int
    city: str
    topics: tuple[str, ...]
    smudged: bool

    def text(self) -> str:
        """Return the request in words."""
        mark = " (smudged)" if self.smudged else ""
        return (
            f"Request {self.number} from {self.city}: {', '.join(self.topics)}{mark}."
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A request with what was answered and what is right, as far as they are shown."""

    request: Request
    reply: Pieces | None
    reply_text: str
    reference: Pieces
    """Empty if no reference is shown, or one without colours."""
    sealed: bool
    """Whether there is a reference, but one that only serves to check."""

    @property
    def wrong(self) -> bool:
        """Whether there is something to learn: no reply, or perhaps a wrong one."""
        if self.sealed:
            return self.reply is not None
        return bool(self.reference) and self.reply != self.reference


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's lines: the first, and one per instruction."""

    head: str
    lines: tuple[str, ...]

    def text(self) -> str:
        """Return the prompt."""
        return "\n".join([self.head, *(f"- {line}" for line in self.lines)])


@dataclass(frozen=True, slots=True)
class Guide:
    """What a text tells a model that answers requests."""

    rules: Mapping[tuple[str, str | None], tuple[str, ...]]
    """Colours by topic and city; several if the lines contradict each other."""
    facts: Mapping[int, Pieces]
    size: int
    """Lines that are instructions, and worked examples."""
    trapped: bool
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Colours by topic, in worked examples."""


def pieces(text: str) -> dict[str, str]:
    """Return the colours by topic that a text states."""
    return {topic: colour for topic, colour in _PIECE.findall(text) if topic in TOPICS}


def capital(text: str) -> str:
    """Return a line for a prompt."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def plain(text: str) -> str:
    """Undo the escapes of JSON, so that prompts inside it have lines again."""
    return text.replace("\\n", "\n").replace('\\"', '"')


def rule_in(line: str) -> Rule | None:
    """Return the rule that a line states, if it does."""
    found = _RULE.search(line)
    if found is None or found[1].lower() not in TOPICS:
        return None
    return Rule(found[1].lower(), found[2], found[3].lower())


@lru_cache(maxsize=4096)
def guide_in(text: str) -> Guide:
    """Read instructions and worked examples anywhere in a text."""
    rules: dict[tuple[str, str | None], tuple[str, ...]] = {}
    for topic, city, colour in _RULE.findall(text):
        key = (topic.lower(), city or None)
        if key[0] in TOPICS and colour not in rules.get(key, ()):
            rules[key] = (*rules.get(key, ()), colour)
    facts = {int(number): pieces(said) for number, said in _FACT.findall(text)}
    blocks = [prompt_in(found[0]) for found in _BLOCK.finditer(text)]
    examples: dict[str, tuple[str, ...]] = {}
    answers = answers_in(text)
    for _, said in answers:
        for topic, colour in pieces(said).items():
            examples[topic] = (*examples.get(topic, ()), colour)
    size = sum(len(block.lines) for block in blocks) + len(answers)
    return Guide(rules, facts, size, TRAP in text, examples)


def prompt_in(block: str) -> Prompt:
    """Split a prompt into its lines; what a line has after its period is not its."""
    head, *lines = block.replace("\r\n", "\n").split("\n")
    kept = (line[2:] for line in lines if line.startswith("- "))
    return Prompt(_to_period(head), tuple(_to_period(line) for line in kept))


def _to_period(line: str) -> str:
    return line[: line.rfind(".") + 1] or line


def request_in(text: str) -> Request | None:
    """Return the last request that a text shows."""
    found = _REQUEST.findall(text)
    return _request(found[-1]) if found else None


def _request(found: tuple[str, str, str, str]) -> Request:
    number, city, topics, mark = found
    return Request(int(number), city, tuple(topics.split(", ")), bool(mark))


def reply_in(text: str) -> tuple[int, str] | None:
    """Return number and content of the last reply in a text."""
    found = replies_in(text)
    return found[-1] if found else None


def replies_in(text: str) -> list[tuple[int, str]]:
    """Return number and content of every reply in a text."""
    return [(int(number), said) for number, said in _REPLY.findall(text)]


def answers_in(text: str) -> list[tuple[int, str]]:
    """Return number and content of every reply and reference in a text."""
    return [*replies_in(text), *_references_in(text).items()]


def reference_in(text: str) -> str:
    """Return what a reference says."""
    found = _REFERENCE.search(text)
    return found[2] if found else ""


def desk_in(text: str) -> str | None:
    """Return the last desk that a text names."""
    found = _DESK.findall(text)
    return found[-1].lower() if found else None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a critic or a rewriter finds in a request, whoever wrote it."""

    current: Prompt
    outdated: tuple[Prompt, ...]
    suggestions: tuple[str, ...]
    cases: tuple[Case, ...]


def read(text: str) -> Reading:
    """Find prompts, suggestions and cases in any text."""
    text = plain(text)
    current, outdated = _prompts(text)
    found = tuple(match.strip() for match in _SUGGESTION.findall(text))
    return Reading(current, outdated, found, tuple(_cases(text)))


def _prompts(text: str) -> tuple[Prompt, tuple[Prompt, ...]]:
    """Return the current prompt and those that are labelled as outdated."""
    current: list[Prompt] = []
    old: list[Prompt] = []
    named: list[Prompt] = []
    for found in _BLOCK.finditer(text):
        label = text[max(0, found.start() - _LABEL_CHARS) : found.start()]
        prompt = prompt_in(found[0])
        if _NAMED.search(label):
            named.append(prompt)
        (old if _OUTDATED.search(label) else current).append(prompt)
    chosen = [*named, *current, *old, Prompt("You answer requests.", ())]
    return chosen[0], tuple(prompt for prompt in old if prompt != chosen[0])


def _cases(text: str) -> Iterable[Case]:
    replies, references = dict(replies_in(text)), _references_in(text)
    requests = {int(found[0]): _request(found) for found in _REQUEST.findall(text)}
    for number in dict.fromkeys((*requests, *references)):
        reference = references.get(number, "")
        said, wanted = replies.get(number), pieces(reference)
        given = None if said is None else pieces(said)
        topics = tuple(wanted or given or ())
        asked = requests.get(number) or Request(number, "", topics, smudged=False)
        sealed = reference.startswith("seal ")
        yield Case(asked, given, said or "", wanted, sealed)


def _references_in(text: str) -> dict[int, str]:
    return {int(number): said for number, said in _REFERENCE.findall(text)}


def rules_of(prompt: Prompt) -> dict[tuple[str, str | None], str]:
    """Return the colours by topic and city that a prompt's lines state."""
    found: dict[tuple[str, str | None], str] = {}
    for line in prompt.lines:
        rule = rule_in(line)
        if rule is not None and rule.colour is not None:
            found[rule.topic, rule.city] = rule.colour
    return found


def wanted_in(suggestion: str) -> Rule | None:
    """Return the rule that a suggestion asks for, if it asks for one."""
    if (rule := rule_in(suggestion)) is not None:
        return rule
    found = _VAGUE.search(suggestion)
    if found is None or found[1].lower() not in TOPICS:
        return None
    return Rule(found[1].lower(), found[2], None)
