"""dspy's GEPA and MIPROv2 in the simulated world."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks._optim_server import Server, asked, feedback, stopper
from benchmarks.simworld import Item, World, score


def dspy_program(dspy: Any, world: World) -> Any:
    """Return the program as a module of dspy."""

    class Program(dspy.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            for number, text in enumerate(world.seed_prompts):
                signature = dspy.Signature("request -> answer", text)
                setattr(self, f"prompt_{number}", dspy.Predict(signature))

        def forward(self, request: str) -> Any:
            said = None
            for number, desk in enumerate(world.desks):
                module = getattr(self, f"prompt_{number}")
                notes = "" if said is None else str(said.answer)
                said = module(request=asked(desk, request, notes))
            return said

    return Program()


def _dspy_models(dspy: Any, server: Server) -> tuple[Any, Any]:
    """Return task model and prompt model; equal requests are asked once, as usual."""
    known: dict[str, Any] = {}

    class Sim(dspy.BaseLM):  # type: ignore[misc, name-defined]
        def __init__(self, role: str) -> None:
            super().__init__(model=f"sim-{role}", temperature=0.0, max_tokens=2000)
            self.sim_role = role

        def forward(self, prompt: Any = None, messages: Any = None, **args: Any) -> Any:
            messages = messages or [{"role": "user", "content": prompt}]
            key = json.dumps([self.sim_role, messages, args], default=str)
            if key not in known:
                known[key] = server.ask(self.sim_role, messages)
            return _as_completion(known[key], self.model)

        async def aforward(self, *args: Any, **kwargs: Any) -> Any:
            return self.forward(*args, **kwargs)

    task = Sim("forward")
    dspy.configure(lm=task)
    return task, Sim("rewriter")


def _as_completion(text: str, model: str) -> Any:
    from openai.types.chat import ChatCompletion

    from benchmarks.simworld.server import completion

    return ChatCompletion.model_validate(completion(model, text))


def _examples(dspy: Any, items: Sequence[Item]) -> list[Any]:
    return [
        dspy.Example(request=item.request, answer=item.reference).with_inputs("request")
        for item in items
    ]


def _dspy_prompts(program: Any) -> list[str]:
    """Return the instructions with their worked examples, one text per module."""
    texts = []
    for _, predictor in program.named_predictors():
        shown = [
            f"\n\n{demo.get('request', '')}\n{demo.get('answer', '')}"
            for demo in predictor.demos
        ]
        texts.append(predictor.signature.instructions + "".join(shown))
    return texts


def dspy_gepa(server: Server) -> None:
    """Run ``dspy.GEPA`` with its defaults."""
    import dspy

    _, prompts = _dspy_models(dspy, server)
    names = [f"prompt_{number}" for number in range(len(server.world.desks))]
    items = {item.reference: item for item in (*server.world.train, *server.world.val)}

    def metric(
        gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, _: Any = None
    ) -> Any:
        del trace, pred_name
        answer = str(getattr(pred, "answer", ""))
        item = items[gold.answer]
        value = float(score(answer, item.reference))
        return dspy.Prediction(score=value, feedback=feedback(answer, item))

    optimizer = dspy.GEPA(
        metric=metric,
        max_metric_calls=server.budget,
        reflection_lm=prompts,
        num_threads=1,
        seed=server.world.seed,
        gepa_kwargs={"stop_callbacks": [stopper(server, names)]},
    )
    found = optimizer.compile(
        dspy_program(dspy, server.world),
        trainset=_examples(dspy, server.world.train),
        valset=_examples(dspy, server.world.val),
    )
    server.note(_dspy_prompts(found))


def dspy_mipro(server: Server) -> None:
    """Run ``dspy.MIPROv2`` with as many trials as the budget has room for."""
    import dspy

    task, prompts = _dspy_models(dspy, server)
    per_trial = 30 * len(server.world.desks)  # minibatches of 35, repeats are cached
    optimizer = dspy.MIPROv2(
        metric=lambda gold, pred, trace=None: bool(
            score(str(getattr(pred, "answer", "")), gold.answer)
        ),
        prompt_model=prompts,
        task_model=task,
        auto=None,
        num_candidates=12,
        num_threads=1,
        seed=server.world.seed,
        verbose=False,
    )
    found = optimizer.compile(
        dspy_program(dspy, server.world),
        trainset=_examples(dspy, server.world.train),
        valset=_examples(dspy, server.world.val),
        num_trials=max(6, (server.budget - 200) // per_trial),
        minibatch_size=min(35, len(server.world.val)),
    )
    server.note(_dspy_prompts(found))
