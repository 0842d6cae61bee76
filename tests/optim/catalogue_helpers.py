"""A program and models for the presets of the catalogue."""

from __future__ import annotations

import json
import re

from optim_helpers import Rules, answer, between

from afnio.cognitive import Demonstrations
from afnio.models.testing import ScriptedModel


class Desk(Rules):
    """A prompt and demonstrations; an answer is right if either shows the rule."""

    def __init__(self, start="Answer alpha.", **options):
        super().__init__(start, **options)
        self.demos = Demonstrations(fields=("q",))

    @staticmethod
    def _forward(messages, **args):
        rule = messages[-1]["content"].split()[-1]
        return rule if any(rule in turn["content"] for turn in messages[:-1]) else "?"

    def shown(self):
        """Return both parameters."""
        return [*super().shown(), ("demonstrations", self.demos)]


def user(model, number=0):
    """Return the user message of a request."""
    return model.requests[number].messages[1]["content"]


def wanted(text):
    """Return the rules that examples ask for and the current text lacks, in order."""
    found = dict.fromkeys(re.findall(r"needs (\w+)", text))
    return [rule for rule in found if rule not in between(text, "current")]


def words(**kinds):
    """Return a model that answers each kind of request by the first words of it."""

    def reply(messages, **args):
        text = messages[1]["content"]
        for start, make in kinds.items():
            if text.startswith(start.replace("_", " ")):
                return make(messages)
        raise AssertionError(text[:80])

    return ScriptedModel(reply)


def criticised(messages):
    """Return a critique for each rule that is lacking."""
    lacking = wanted(messages[1]["content"])
    reasons = {f"reason_{n}": f"It lacks {rule}" for n, rule in enumerate(lacking, 1)}
    return json.dumps(reasons)


def rewritten(messages):
    """Return the current text with the last word of the feedback added."""
    text = messages[1]["content"]
    last = between(text, "feedback").split()[-1]
    return answer(messages, f"{between(text, 'current')} {last}")


def varied(messages):
    """Return the current text with a word in front."""
    return answer(messages, f"Please: {between(messages[1]['content'], 'current')}")


def finished(make, closure, steps=3):
    """Return an optimizer after some steps."""
    optimizer = make()
    for _ in range(steps):
        optimizer.step(closure)
    return optimizer


def stepped(kind, world, steps, model, *, params=None, block=4, **options):
    """Return an optimizer of a world's prompt, or of other parameters, after steps."""

    def make():
        return kind(params or [world.prompt], model, **{"seed": 1, **options})

    return finished(make, world.closure(block=block), steps)


def resumed(make, closure_of, params, steps=2):
    """Return the history of a run, and of one that is saved and loaded half-way.

    Args:
        make: Returns a new optimizer over the parameters.
        closure_of: Returns a closure.
        params: Whose data is put back in between.
        steps: Before saving, and after.
    """
    start = [param.data for param in params]
    whole = finished(make, closure_of(), 2 * steps)
    for param, data in zip(params, start, strict=True):
        param.data = data
    half = finished(make, closure_of(), steps)
    saved = json.loads(json.dumps(half.state_dict()))
    again = make()
    client = again.param_groups[0].get("model_client")
    again.load_state_dict(saved, {"model_client": client})
    closure = closure_of()
    for _ in range(steps):
        again.step(closure)
    return (
        [record.to_dict() for record in whole.history],
        [record.to_dict() for record in again.history],
    )
