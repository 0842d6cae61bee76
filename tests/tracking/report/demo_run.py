"""A realistic run on scripted models, to look at: `python demo_run.py FOLDER`.

A prompt sorts support messages. The scripted program follows a rule only if the prompt
states it, the critic names the rule that a wrong reply lacked, and the editor adds it,
or now and then spoils the prompt, which the gate has to notice.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import afnio
import afnio.cognitive as cog
from afnio import tracking
from afnio.cognitive import functional as F
from afnio.cognitive.parameter import Parameter
from afnio.models.testing import ScriptedModel, feedback, in_tags
from afnio.optim import TGD
from afnio.optim.gates import Improve
from afnio.tracking.report import write_report
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader

PROMPT = "You sort messages that customers send us. Reply with one category only."

RULES = {  # word in the message: (category, what the prompt has to say)
    "refund": ("billing", "Anything about money given back is billing."),
    "password": ("account", "Trouble with signing in is account."),
    "parcel": ("delivery", "Parcels that are late or lost are delivery."),
    "crashes": ("technical", "An app that crashes or freezes is technical."),
    "cancel": ("account", "Ending a contract is account, whatever the reason given."),
}
TEMPLATES = (
    "Hello, I am {name}. My {word} question from {day} is still open, can you help?",
    "It is about the {word} again. I wrote on {day} and heard nothing. {name}",
    "Since {day} I have a problem: {word}. Please call me back, {name}.",
)
NAMES = ("Ada", "Björn", "Chiara", "Dao", "Eyüp", "Fatou", "Grzegorz", "Hana", "李娜")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def messages(count, seed):
    """Return pairs of a message and its category."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        word = rng.choice(list(RULES))
        text = rng.choice(TEMPLATES).format(
            name=rng.choice(NAMES), word=word, day=rng.choice(DAYS)
        )
        rows.append((f"{text} (no. {seed}{number:03})", RULES[word][0]))
    return rows


def chance(text):
    """Return a number from 0 to 1 that depends on the text alone."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


def reply(request, **_args):
    """Follow the rules that the prompt states; guess where it states none."""
    prompt, message = str(request[0]["content"]), str(request[-1]["content"])
    word = next(word for word in RULES if word in message)
    category, rule = RULES[word]
    luck = 0.93 if rule in prompt else 0.3
    return category if chance(prompt[:400] + message) < luck else "other"


def critique(request, **args):
    """Name the rule that the reply lacked."""
    text = str(request)
    word = next((word for word in RULES if word in text), "refund")
    return feedback(
        f"The reply to a message about “{word}” was wrong. The prompt does not say "
        f"where such messages belong: {RULES[word][1]}"
    )(request, **args)


class Editor:
    """Adds the rule asked for; every third time it forgets an old one or rambles."""

    def __init__(self):
        self.asked = 0

    def __call__(self, request, **args):
        self.asked += 1
        text = str(request[-1]["content"])
        old = text.split("</current", 1)[0]
        rules = [rule for _, rule in RULES.values() if rule in old]
        asked = [rule for _, rule in RULES.values() if rule in text.replace(old, "")]
        rules += [rule for rule in asked if rule not in rules][:1]
        if self.asked % 3 == 2:
            rules = rules[:1]
            new = f"{PROMPT} Be friendly and think about what the customer feels."
        else:
            new = PROMPT
        return in_tags("\n".join([new, *dict.fromkeys(rules)]))(request, **args)


class Sorter(cog.Module):
    """One prompt, one model call."""

    def __init__(self, model, editor):
        super().__init__()
        self.instruction = Parameter(PROMPT, role="system prompt of the sorter")
        self.message = afnio.Variable("{message}", role="message of a customer")
        self.editor = editor
        turns = [
            {"role": "system", "content": [self.instruction]},
            {"role": "user", "content": [self.message]},
        ]
        self.chat = cog.ChatCompletion(model, turns, temperature=0)

    def forward(self, message):
        return self.chat(inputs={"message": message})

    def training_step(self, batch, batch_idx):
        message, category = batch
        score, words = F.exact_match_evaluator(
            self(message), category, reduction_fn=fmean, reduction_fn_purpose="the mean"
        )
        if self.explode_at is not None and batch_idx == self.explode_at:
            raise RuntimeError("the disk <b>is full</b>")
        return score, words

    validation_step = test_step = training_step
    explode_at = None

    def configure_optimizers(self):
        return TGD([self.instruction], self.editor, gate=Improve())


def demo(folder, *, epochs=1, batches=9, explode_at=None, trainers=None):
    """Train on scripted models and return the run's directory."""
    os.environ["AFNIO_RUNS"] = str(folder)
    run = tracking.init("me", "Support messages", "sorter", "Which desk gets it?")
    program = Sorter(ScriptedModel(reply), ScriptedModel(Editor()))
    loaders = [
        DataLoader(messages(size, seed), batch_size=batch)
        for size, seed, batch in ((6 * batches, 1, 6), (40, 2, 40), (80, 3, 80))
    ]
    trainer = Trainer(
        max_epochs=epochs, enable_progress_bar=False, enable_agent_summary=False
    )
    if trainers is not None:
        trainers.append(trainer)
    with afnio.set_backward_model_client(ScriptedModel(critique)), run:
        trainer.test(program, loaders[2])
        program.explode_at = explode_at
        trainer.fit(program, loaders[0], loaders[1])
        program.explode_at = None
        trainer.test(program, loaders[2])
    return run.path


if __name__ == "__main__":
    for options in ({}, {"explode_at": 5}):
        with suppress(RuntimeError):
            demo(sys.argv[1], **options)
    for file in sorted(Path(sys.argv[1]).glob("*/*/run.json")):
        sys.stdout.write(f"{write_report(file.parent)}\n")
