"""Laws of programs made of model calls, whichever call answers first or fails.

Replies come after a random number of turns of the event loop, so that calls overlap and
finish in any order; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afnio
from afnio import Variable, autodiff
from afnio.autodiff.basic_ops import Sum
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.function import Op
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models import set_backward_model_client
from afnio.models.testing import ScriptedModel, feedback

QUICK, SLOW, MODEL = range(3)
"""Kinds of nodes: one that never waits, one that does, and a model call."""


class Latency:
    """Lets a random number of turns pass; the seed decides the order of everything."""

    def __init__(self, seed, most=6):
        self._random = random.Random(seed)
        self._most = most

    async def __call__(self):
        for _ in range(self._random.randrange(self._most) if self._most else 0):
            await asyncio.sleep(0)


def model(latency, answer):
    """Return a model that answers as the function says, some time later."""

    async def reply(messages, **args):
        await latency()
        return answer(messages, **args)

    return ScriptedModel(reply)


def said(variable):
    """Return the gradients of a Variable as texts."""
    return [grad.data for grad in variable.grad]


class Quick(Op):
    """Any number of inputs; backward says which input of which node."""

    @staticmethod
    def plan(name, inputs, latency):
        return (name,)

    @staticmethod
    def forward(ctx, name, inputs, latency):
        ctx.name, ctx.width, ctx.latency = name, len(inputs), latency
        return name

    @staticmethod
    def backward(ctx, grad):
        texts = [f"{ctx.name}.{i}({grad.data})" for i in range(ctx.width)]
        return (None, [Variable(text) for text in texts], None)


class Slow(Quick):
    """The same after a while, forward and backward."""

    @staticmethod
    async def forward(ctx, name, inputs, latency):
        await latency()
        return Quick.forward(ctx, name, inputs, latency)

    @staticmethod
    async def backward(ctx, grad):
        await ctx.latency()
        return Quick.backward(ctx, grad)


def ask(name, inputs, latency):
    """Do the same with a model call; the critic answers as `Quick` would."""
    return ChatCompletion.apply(
        model(latency, lambda messages, **_: f"reply of {name}"),
        [
            {"role": "system", "content": [Variable(name)]},
            {"role": "user", "content": inputs},
        ],
    )


def answer_as_critic(messages, **args):
    """Say which input of which node is meant: the first message names the node."""
    text = messages[1]["content"]
    name = re.search(r"<message>\n(n\d+)\n</message>", text)[1]
    given_text = re.search(r"<feedback>\n(.*)\n</feedback>", text, re.DOTALL)[1]
    wanted = args["response_format"]["json_schema"]["schema"]["required"]
    return json.dumps(
        {key: f"{name}.{int(key[6:]) - 2}({given_text})" for key in wanted}
    )


KINDS = {QUICK: Quick.apply, SLOW: Slow.apply, MODEL: ask}


def reference(nodes, roots):
    """Run the tiny sequential engine: descending creation order, merge, call."""
    arrived, leaves = {}, {}
    for place, (node, text) in enumerate(roots):
        arrived.setdefault(node, []).append(((-1, place), text))
    for node in range(len(nodes) - 1, -1, -1):
        if node not in arrived:
            continue
        texts = list(dict.fromkeys(text for _, text in sorted(arrived[node])))
        merged = "".join(f"<ITEM>{text}</ITEM>" for text in texts)
        text = merged if len(texts) > 1 else texts[0]
        for i, source in enumerate(nodes[node]):
            box = arrived if source >= 0 else leaves
            box.setdefault(source, []).append(((node, i), f"n{node}.{i}({text})"))
    return {leaf: [text for _, text in sorted(found)] for leaf, found in leaves.items()}


@st.composite
def programs(draw):
    """Draw a program: per node its kind and inputs; negative numbers are leaves."""
    size = draw(st.integers(1, 7))
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=size, max_size=size))
    nodes = [
        draw(st.lists(st.integers(-3, i - 1), min_size=1, max_size=3))
        for i in range(size)
    ]
    picked = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3))
    return kinds, nodes, [(node, f"g{i}") for i, node in enumerate(picked)]


def build(kinds, nodes, latency):
    """Build the drawn program."""
    leaves = {-i: Variable(f"l{i}", f"l{i}", requires_grad=True) for i in (1, 2, 3)}
    made = []
    for number, (kind, sources) in enumerate(zip(kinds, nodes, strict=True)):
        inputs = [leaves[s] if s < 0 else made[s] for s in sources]
        made.append(KINDS[kind](f"n{number}", inputs, latency))
    return leaves, made


def go_back(made, roots, **options):
    """Run backward from the roots."""
    autodiff.backward(
        [made[node] for node, _ in roots],
        [Variable(text) for _, text in roots],
        **options,
    )


class TestPrograms:
    @given(programs(), st.integers())
    def test_same_as_the_reference_engine(self, program, seed):
        """Model calls included, any order gives what a sequential engine gives."""
        kinds, nodes, roots = program
        latency = Latency(seed)
        leaves, made = build(kinds, nodes, latency)
        with set_backward_model_client(model(latency, answer_as_critic)):
            go_back(made, roots)
        found = {number: said(leaf) for number, leaf in leaves.items() if leaf.grad}
        assert found == reference(nodes, roots)

    @settings(max_examples=50)
    @given(programs(), st.integers(), st.data())
    def test_a_critic_that_fails_anywhere_writes_nothing(self, program, seed, data):
        """Whichever call fails, no gradient is written, and a retry gives them all."""
        kinds, nodes, roots = program
        latency = Latency(seed)
        leaves, made = build(kinds, nodes, latency)
        kept = [value for value in made if value.grad_fn is not None]
        for value in kept:
            value.retain_grad()
        critic = model(latency, answer_as_critic)
        with set_backward_model_client(critic):
            planned = len(
                autodiff.dry_run(
                    [made[node] for node, _ in roots],
                    [Variable(text) for _, text in roots],
                )
            )
        failing = data.draw(st.integers(0, planned))
        with set_backward_model_client(failing_at(failing, latency)):
            if failing < planned:
                with pytest.raises(KeyError, match="injected"):
                    go_back(made, roots)
                assert not any(leaf.grad for leaf in [*leaves.values(), *kept])
        with set_backward_model_client(critic):
            go_back(made, roots)
        found = {number: said(leaf) for number, leaf in leaves.items() if leaf.grad}
        assert found == reference(nodes, roots)


def failing_at(number, latency=None):
    """Return a critic whose call with this number fails."""
    calls = iter(range(10**6))

    def answer(messages, **args):
        if next(calls) == number:
            raise KeyError("injected")
        return answer_as_critic(messages, **args)

    return model(latency or Latency(0, most=0), answer)


def training(latency, letters="abcdef"):
    """Run a batched two-step program, forward and backward.

    Returns:
        Its leaves, and everything it says.
    """
    answer = feedback("be exact")

    def critic(messages, **args):
        found = re.search(r"<reply>\n(.*)\n</reply>", messages[1]["content"])[1]
        reply = answer(messages, **args)
        return reply.replace("be exact", f"about {found}")

    first = Variable("Repeat.", "first prompt", requires_grad=True)
    second = Variable("Shout.", "second prompt", requires_grad=True)
    items = Variable(list(letters), "letters", requires_grad=True)
    echo = model(latency, lambda messages, **_: messages[-1]["content"] + "-")
    loud = model(latency, lambda messages, **_: messages[-1]["content"].upper())
    draft = ChatCompletion.apply(echo, turns(first, "{x}"), inputs={"x": items})
    final = ChatCompletion.apply(loud, turns(second, "{y}"), inputs={"y": draft})
    one_by_one = [
        ChatCompletion.apply(loud, turns(second, "{x}"), inputs={"x": letter})
        for letter in letters[:3]
    ]
    scores = [ExactMatchEvaluator.apply(final, [*"A?C?E?"])]
    scores += [ExactMatchEvaluator.apply(reply, "A") for reply in one_by_one]
    with set_backward_model_client(model(latency, critic)):
        autodiff.backward([explanation for _, explanation in scores])
    leaves = (first, second, items)
    outcome = [final.data, [score.data for score, _ in scores]]
    outcome += [(said(leaf), [g.evidence for g in leaf.grad]) for leaf in leaves]
    return leaves, outcome


def turns(prompt, template):
    """Return a prompt and a template as messages."""
    return [
        {"role": "system", "content": [prompt]},
        {"role": "user", "content": [Variable(template, "question")]},
    ]


@settings(max_examples=25)
@given(st.integers())
def test_the_answer_does_not_depend_on_latencies(seed):
    """Batches, evaluators, evidence: as if every call had been made in turn."""
    with afnio.eager():
        _, expected = training(Latency(0, most=0))
    assert training(Latency(seed, most=12))[1] == expected


def test_every_critic_call_in_turn():
    """A failure at the first, second, … call leaves all leaves as they were."""
    system = Variable("Answer.", "system prompt", requires_grad=True)
    echo = ScriptedModel(lambda messages, **_: messages[-1]["content"])
    replies = [
        ChatCompletion.apply(
            echo,
            [
                {"role": "system", "content": [Variable(f"n{i}")]},
                {"role": "system", "content": [system]},
                {"role": "user", "content": [Variable("{x}")]},
            ],
            inputs={"x": ["p", "q"]},
        )
        for i in range(4)
    ]
    replies.append(
        ChatCompletion.apply(
            echo,
            [
                {"role": "system", "content": [Variable("n4")]},
                {"role": "user", "content": [Sum.apply(replies[:2])]},
            ],
        )
    )
    replies[4].retain_grad()
    roots = [(number, f"g{number}") for number in range(5)]
    planned = len(autodiff.dry_run(replies, [Variable(text) for _, text in roots]))
    assert planned == 10
    for number in range(planned):
        with (
            set_backward_model_client(failing_at(number)),
            pytest.raises(KeyError, match="injected"),
        ):
            go_back(replies, roots, retain_graph=True)
        assert system.grad == []
        assert replies[4].grad == []
    with set_backward_model_client(failing_at(planned)):
        go_back(replies, roots)
    assert len(system.grad) == 4
    assert said(replies[4]) == ["g4"]
