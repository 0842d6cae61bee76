"""A small simulated world: messages, who is to get them, and scripted models.

Twelve topics belong to four desks. A prompt that states the rule of a topic makes the
scripted student right about it, nine times in ten; without the rule it guesses. The
scripted editor reads failed examples, misreads one in five, and forgets a line now and
then if it has to write a text anew. None of them knows a rule that it was not shown.
Chance is a function of the text that was sent, so every run is the same.
"""

from __future__ import annotations

import random
import re

from afnio.models.testing import edits, in_tags

TOPICS = "heating lift roof window invoice rent deposit refund key parking bike post"
DESKS = ("repairs", "money", "access")
RULES = {topic: DESKS[n // 4] for n, topic in enumerate(TOPICS.split())}
TIPS = ("careful", "quick", "precise", "patient", "kind", "thorough", "brief", "sure")
START = "Name the desk: repairs, money or access."

_CURRENT = re.compile(r"<current_(\w+)>\n(.*?)\n</current_\1>", re.DOTALL)
_FAILED = re.compile(
    r"failed example:.*?about the (\w+).*?expected: <\w+>\n(\w+)", re.DOTALL
)


def messages(count, seed=0):
    """Return samples: a message about one topic, and the desk it should go to."""
    rng = random.Random(seed)
    topics = [rng.choice(list(RULES)) for _ in range(count)]
    return [
        {"message": f"No. {seed}-{n}, about the {topic}", "target": RULES[topic]}
        for n, topic in enumerate(topics)
    ]


def student(turns, **_):
    """Play the model that is asked for the desk."""
    prompt, message = turns[0]["content"], turns[-1]["content"]
    topic, rng = message.split()[-1], random.Random(message)
    stated = re.findall(rf"- {topic}: (\w+)", prompt)
    return stated[-1] if stated and rng.random() < 0.9 else rng.choice(DESKS)


def editor(turns, **args):
    """Play the model that writes: edits as JSON, or a whole text between tags."""
    request = turns[1]["content"]
    rng = random.Random(str(turns))
    current = _CURRENT.search(request)[2]
    lines = current.splitlines()
    new = []
    for topic, desk in dict(_FAILED.findall(request)).items():
        read = rng.choice(DESKS) if rng.random() < 0.2 else desk
        new.append(f"- {topic}: {read}")
    added = new[:2] or [f"Be {rng.choice(TIPS)}."]
    if '{"edits"' in str(turns):  # small edits were asked for
        return edits(*added)
    kept = [line for line in lines if line == lines[0] or rng.random() > 0.1]
    return in_tags("\n".join(kept + added))(turns, **args)
