"""What a new text must keep, and must not contain, to be safe to install."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from afnio._text import placeholders, shorten
from afnio.autodiff.evidence import Evidence
from afnio.errors import InputValueError, RewriteRefused
from afnio.optim._prompts import Task, mark_of

REASONING: Final = re.compile(
    r"\A\s*<(think|thinking|thought|reasoning)>.*?</\1>\s*", re.DOTALL | re.IGNORECASE
)
THOUGHT_TAG: Final = re.compile(
    r"<(?P<end>/?)(?P<name>think|thinking|thought|reasoning)>", re.IGNORECASE
)
_TAGS: Final = (
    "new|current|role|feedback|constraint|example|value|version|rejected|keep"
)
"""Names of the request's tags, before the mark."""
_SPECIAL: Final = re.compile(
    r"<[|\uff5c][\w\u2581-]{1,40}[|\uff5c]>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
)
"""Tokens that mark turns in the chat formats of models."""
_ZERO_WIDTH: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")
_CODE_FENCE: Final = re.compile(r"\A\s*```[\w+-]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)
_NAMES: Final = 10
"""Placeholders named in a reason."""
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
"""Unicode categories that show nothing."""
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
"""A word, or one character of a script that puts no spaces between words."""
_LETTERS: Final = 20
"""Letters that a text must have for its script to be told."""


def starts_unfinished(text: str) -> bool:
    """Whether the text starts with reasoning, of which the end is missing."""
    found = THOUGHT_TAG.match(text.lstrip())
    return found is not None and not found["end"]


def tidy(text: str, current: str) -> str:
    """Remove debris around a proposal where the current text shows that it is debris.

    That is reasoning, a code fence around the whole, and outer white space, each only
    if the current text has none of the kind.
    """
    if not THOUGHT_TAG.search(current):
        text = REASONING.sub("", text, count=1)
    fenced = _CODE_FENCE.match(text)
    if fenced and "```" not in current and "```" not in fenced[1]:
        text = fenced[1]
    return text.strip() if current == current.strip() else text


def check(text: str, task: Task) -> None:
    """Raise unless a proposal is safe to install.

    Raises:
        RewriteRefused: Saying what is wrong, in words for the model.
    """
    for problem in _problems(text, task):
        raise RewriteRefused(problem, reply=text)


def _problems(text: str, task: Task) -> Iterator[str]:
    if all(unicodedata.category(char) in _INVISIBLE for char in text):
        yield "the new text is empty."
    yield from _placeholder_problems(text, task)
    if re.search(rf"(?:{_TAGS})_{mark_of(task)}", text, re.IGNORECASE):
        yield "the new text contains tags of the request; leave them out."
    yield from _foreign_problems(text, task.current)
    if task.max_length is not None and len(text) > task.max_length:
        yield (
            f"the new text has {len(text)} characters; at most {task.max_length} are "
            "allowed."
        )
    yield from _repetitions(text, task)
    yield from _copies(text, task)
    if task.check is not None:
        try:
            task.check(text)
        except InputValueError as error:
            yield f"the parameter cannot hold the new text: {error}"


def _repetitions(text: str, task: Task) -> Iterator[str]:
    if normal(text) == normal(task.current):
        yield "the new text is the current text; change what the feedback asks for."
    if any(gist(text) == gist(other) for other in task.rejected):
        yield "this text was tried before and did not do better; propose another."


def _placeholder_problems(text: str, task: Task) -> Iterator[str]:
    before, after = placeholders(task.current), placeholders(text)
    if missing := [name for name in before if name not in after]:
        yield f"the new text lacks the placeholders {_braced(missing)}."
    if invented := [name for name in after if name not in before]:
        yield (
            f"the program has no values for the placeholders {_braced(invented)}; "
            "leave them out, or double their braces if they are meant as plain text."
        )


def _foreign_problems(text: str, current: str) -> Iterator[str]:
    """Yield what no prompt should contain, unless the current text has it too."""
    if tokens := _new(_SPECIAL.findall(text), current):
        yield (
            f"the new text contains {', '.join(tokens)}, which mark turns of a chat; "
            "leave them out."
        )
    if not THOUGHT_TAG.search(current) and _is_unpaired(text):
        yield "the new text contains a part of your reasoning; leave it out."
    doubtful = (char for char in text if _is_control(char))
    if characters := _new(doubtful, current):
        names = ", ".join(f"U+{ord(char):04X}" for char in characters)
        yield f"the new text contains control characters ({names}); leave them out."
    old, new = script_of(current), script_of(text)
    if old and new and old != new:
        yield (
            f"the current text is written in {old.title()} script, the new one in "
            f"{new.title()}; keep the language."
        )


def _is_unpaired(text: str) -> bool:
    """Whether reasoning starts or ends in the text, but not both."""
    ends = [bool(tag["end"]) for tag in THOUGHT_TAG.finditer(text)]
    return 2 * sum(ends) != len(ends)


def _is_control(char: str) -> bool:
    """Whether a character breaks terminals, files or requests; surrogates do."""
    return unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r"


def _new(found: Iterable[str], current: str) -> list[str]:
    """Return what the current text lacks, a few of them."""
    return [item for item in dict.fromkeys(found) if item not in current][:_NAMES]


def script_of(text: str) -> str:
    """Return the script of most letters; empty if there are few, or no clear majority.

    Japanese and Chinese count as one.
    """
    names = Counter(char for char in text if char.isalpha())
    scripts: Counter[str] = Counter()
    for char, count in names.items():
        name = unicodedata.name(char, "UNKNOWN").split(" ")[0].split("-")[0]
        scripts["CJK" if name in ("HIRAGANA", "KATAKANA") else name] += count
    if scripts.total() < _LETTERS:
        return ""
    [(name, count)] = scripts.most_common(1)
    return name if 3 * count > 2 * scripts.total() else ""


def normal(text: str) -> str:
    """Return ``text`` without differences that nobody sees, to find near-duplicates."""
    return " ".join(_ZERO_WIDTH.sub("", text).split())


def gist(text: str) -> str:
    """Return the words of ``text``: what stays of it whatever the punctuation."""
    return " ".join(_WORD.findall(normal(text).casefold())) or normal(text)


def _braced(names: list[str]) -> str:
    shown = ", ".join(f"{{{shorten(name)}}}" for name in names[:_NAMES])
    return shown if len(names) <= _NAMES else f"{shown} and {len(names) - _NAMES} more"


# -- leakage ---------------------------------------------------------------------------


def _copies(text: str, task: Task) -> Iterator[str]:
    limit = task.options.copied_words
    if limit is None or not task.seen:
        return
    found = copied_span(text, task.current, task.seen, limit)
    if found:
        yield (
            f"the new text copies {shorten(found)!r} from one example; say in general "
            "terms what the example shows."
        )


def copied_span(
    text: str, current: str, examples: Iterable[Evidence], limit: int
) -> str:
    """Return ``limit`` words in a row that stand in one example and in the new text.

    What the current text has already, and what several examples share (such as an
    answer's fixed form), is no copy. Empty if there is none.
    """
    new = _runs(text, limit) - _runs(current, limit)
    owners: dict[str, set[str]] = {}
    for record in examples if new else ():
        facts = [str(fact) for fact in (*record.inputs.values(), record.target)]
        owner = "\0".join(sorted(facts))
        for run in {run for fact in facts for run in _runs(fact, limit)} & new:
            owners.setdefault(run, set()).add(owner)
    return min((run for run, who in owners.items() if len(who) == 1), default="")


def _runs(text: str, length: int) -> set[str]:
    words = _WORD.findall(text.casefold())
    starts = range(len(words) - length + 1)
    return {" ".join(words[start : start + length]) for start in starts}
