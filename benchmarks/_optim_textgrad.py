"""textgrad in the simulated world."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from benchmarks._optim_server import Server, asked
from benchmarks.simworld import Item, World, score

_ROLE: Final = "system prompt of a model that answers requests"


def textgrad(server: Server, batch: int = 3) -> None:
    """Follow its prompt-optimization tutorial: batches of 3, revert if val falls."""
    import textgrad as tg  # type: ignore[import-not-found]
    from textgrad.autograd import StringBasedFunction  # type: ignore[import-not-found]

    world = server.world
    prompts = [
        tg.Variable(text, requires_grad=True, role_description=_ROLE)
        for text in world.seed_prompts
    ]
    engine = _engine(tg, server, "forward")
    modules = [tg.BlackboxLLM(engine, prompt) for prompt in prompts]
    tg.set_backward_engine(_engine(tg, server, "critic"), override=True)
    optimizer = tg.TextualGradientDescent(
        engine=_engine(tg, server, "rewriter"), parameters=prompts
    )
    judge = StringBasedFunction(
        lambda prediction, ground_truth_answer: score(
            str(prediction.value), str(ground_truth_answer.value)
        ),
        function_purpose="Checks whether the answer matches the reference.",
    )
    known: dict[tuple[str, ...], float] = {}
    best, value = [p.value for p in prompts], _validate(server, prompts, known)
    server.note(best)
    for items in _batches(world, batch):
        optimizer.zero_grad()
        losses = [_loss(tg, world, modules, judge, item) for item in items]
        tg.sum(losses).backward()
        optimizer.step()
        found = _validate(server, prompts, known)
        if found < value:
            for prompt, text in zip(prompts, best, strict=True):
                prompt.set_value(text)
        else:
            best, value = [p.value for p in prompts], found
        server.note(best)


def _engine(tg: Any, server: Server, role: str) -> Any:
    class Engine(tg.engine.EngineLM):  # type: ignore[misc, name-defined]
        """A model of the world, by textgrad's protocol for engines."""

        model_string = f"sim-{role}"
        system_prompt = ""

        def generate(
            self, content: Any, system_prompt: str | None = None, **_args: Any
        ) -> str:
            text = content if isinstance(content, str) else "\n".join(content)
            messages = [{"role": "user", "content": text}]
            if system_prompt:
                messages.insert(0, {"role": "system", "content": system_prompt})
            return server.ask(role, messages)

        def __call__(self, content: Any, **args: Any) -> str:
            return self.generate(content, **args)

    return Engine()


def _loss(tg: Any, world: World, modules: Any, judge: Any, item: Item) -> Any:
    said = None
    for desk, module in zip(world.desks, modules, strict=True):
        if said is None:
            query = tg.Variable(
                asked(desk, item.request, ""),
                requires_grad=False,
                role_description="query to the language model",
            )
        else:
            start = tg.Variable(
                f"{asked(desk, item.request, '')}\nNotes: ",
                requires_grad=False,
                role_description="query to the language model",
            )
            query = start + said
        said = module(query)
    truth = tg.Variable(
        item.reference, requires_grad=False, role_description="correct answer"
    )
    return judge(inputs={"prediction": said, "ground_truth_answer": truth})


def _validate(
    server: Server, prompts: Any, known: dict[tuple[str, ...], float]
) -> float:
    """Return the accuracy on the validation items; the same prompts are asked once."""
    texts = tuple(prompt.value for prompt in prompts)
    if texts not in known:
        scores = [
            score(server.answer(texts, item), item.reference)
            for item in server.world.val
        ]
        known[texts] = sum(scores) / len(scores)
    return known[texts]


def _batches(world: World, size: int) -> Iterator[list[Item]]:
    rng = random.Random(world.seed)
    while True:
        order = rng.sample(world.train, len(world.train))
        for start in range(0, len(order), size):
            yield order[start : start + size]
