"""Models, parameters and closures that the tests of optimizers share."""

from __future__ import annotations

import re

from afnio import Variable
from afnio.autodiff.evidence import Evidence
from afnio.models.testing import ScriptedModel

TAG = re.compile(r"<(new_[0-9a-f]+)>")


def tag_in(messages):
    """Return the tag that the last message asks for."""
    return TAG.search(messages[-1]["content"])[1]


def between(text, tag):
    """Return what stands in the fence whose name starts with ``tag``."""
    name = re.search(rf"<({tag}_[0-9a-f]+)>", text)[1]
    return text.split(f"<{name}>\n", 1)[1].split(f"\n</{name}>", 1)[0]


def answer(messages, text):
    """Return a well-formed reply."""
    tag = tag_in(messages)
    return f"Here it is.\n<{tag}>\n{text}\n</{tag}>"


def rewriter(change=str.upper):
    """Return a model that applies ``change`` to the current text, in the right form."""

    def reply(messages, **args):
        prompt = messages[1]["content"] if len(messages) > 1 else messages[0]["content"]
        return answer(messages, change(between(prompt, "current")))

    return ScriptedModel(reply)


def saying(*texts):
    """Return a model that answers each call with the next text, in the right form."""
    left = list(texts)
    return ScriptedModel(lambda messages, **args: answer(messages, left.pop(0)))


def param(data="Initial value", *said, role="a prompt", evidence=()):
    """Return a parameter with feedback."""
    result = Variable(data, role, requires_grad=True)
    for text in said:
        gradient = Variable(text, f"feedback to {role}")
        gradient.evidence = tuple(evidence)
        result.append_grad(gradient)
    return result


class Demos(Variable):
    """Rows of examples, as the optimizer sees them."""

    __slots__ = ("fields",)

    def __init__(self, rows=(), fields=("message",)):
        super().__init__(list(rows), "demonstrations", requires_grad=True)
        self.fields = fields


def sample(index, text, *, output="", target=None, success=False):
    """Return the evidence of one sample."""
    return Evidence(
        index=index,
        inputs={"message": text},
        output=output,
        target=target,
        score=int(success),
        success=success,
    )
