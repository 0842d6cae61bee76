"""Models, parameters and closures that the tests of optimizers share."""

from __future__ import annotations

import json
import re

from afnio import Variable
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models.testing import ScriptedModel, rewriting
from afnio.optim import SampleClosure
from afnio.optim.proposers import Task

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
    return ScriptedModel(rewriting(change))


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


RULES = ("alpha", "beta", "gamma", "delta")


class Rules:
    """A program that answers right where its prompt names the rules of the sample.

    The optimizer's model adds one rule that the failed examples ask for. Both are
    deterministic; ``forward`` and ``optimizer`` remember their requests.
    """

    def __init__(self, start="Answer.", *, edits=True, size=12):
        self.prompt = Variable(start, "prompt", requires_grad=True)
        self.forward = ScriptedModel(self._forward)
        self.optimizer = ScriptedModel(self._edit if edits else self._rewrite)
        every = [
            {"q": f"{n} needs {RULES[n % 4]}", "a": RULES[n % 4]} for n in range(99)
        ]
        self.val, self.train = every[:size], every[size : 2 * size]

    @staticmethod
    def _forward(messages, **args):
        rule = messages[-1]["content"].split()[-1]
        return rule if rule in messages[0]["content"] else "?"

    def missing(self, messages):
        """Return the first rule that a failed example needs and the text lacks."""
        text = messages[1]["content"]
        current = between(text, "current")
        failed = re.findall(r"failed example:.*?needs (\w+)", text, re.DOTALL)
        return current, next((rule for rule in failed if rule not in current), "none")

    def _edit(self, messages, **args):
        return edits({"action": "add", "find": "", "text": self.missing(messages)[1]})

    def _rewrite(self, messages, **args):
        current, rule = self.missing(messages)
        return answer(messages, f"{current} {rule}")

    def shown(self):
        """Return what the program shows before the question: role and Variable."""
        return [("system", self.prompt)]

    @property
    def params(self):
        """What results depend on."""
        return [parameter for _, parameter in self.shown()]

    def evaluate(self, samples):
        """Return score and explanation."""
        return self.compared([sample["q"] for sample in samples], samples)

    def compared(self, questions, samples):
        """Return how replies to the questions compare with the samples' answers."""
        shown = [*self.shown(), ("user", Variable("{q}"))]
        turns = [{"role": role, "content": [part]} for role, part in shown]
        reply = ChatCompletion.apply(self.forward, turns, inputs={"q": questions})
        return ExactMatchEvaluator.apply(reply, Variable([s["a"] for s in samples]))

    def closure(self, *, train=True, block=4):
        """Return a closure that can train, or cannot."""
        return SampleClosure(
            self.evaluate,
            self.val,
            parameters=self.params,
            train=self.train if train else (),
            block=block,
        )


def edits(*rows):
    """Return a reply with edits."""
    return json.dumps({"edits": list(rows)})


FULL = Task(
    current="Answer {question}.",
    role="system prompt of the support agent",
    feedback=("Name the product.", "Be brief."),
    failures=(sample(0, "It broke", output="Sorry", target="pump"),),
    successes=(sample(1, "Hello", output="hi", target="hi", success=True),),
    history=(("Reply.", ("Too vague.",)),),
    rejected=("Answer {question} in Latin.",),
    constraints=("Stay polite.",),
    max_length=200,
    variant=1,
)
