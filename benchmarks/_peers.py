"""The same training step with other libraries, where they are installed.

``python -m benchmarks._peers textgrad http://127.0.0.1:8000/v1`` prints the wall clock
over the critical path of a few steps, as JSON. Each peer runs in a process of its own,
with its cache in an empty folder, through its public interface. None is a dependency.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from benchmarks._report import Row
from benchmarks._steps import SAMPLES, steps

REPEAT: Final = 2
TIMEOUT_S: Final = 120


def textgrad(url: str) -> list[float]:
    """32 answers, exact match on each, one backward over their sum, one update."""
    os.environ["OPENAI_BASE_URL"] = url
    import textgrad as tg
    from textgrad.autograd import StringBasedFunction

    engine = tg.get_engine("gpt-4o")
    tg.set_backward_engine(engine, override=True)
    number = iter(range(10**6))
    constant = partial(tg.Variable, requires_grad=False)

    def step() -> None:
        prompt = tg.Variable(
            "Answer.", requires_grad=True, role_description="system prompt"
        )
        model = tg.BlackboxLLM(engine, prompt)
        optimizer = tg.TGD([prompt])
        match = StringBasedFunction(_same, function_purpose="exact match")
        losses = []
        for _ in range(SAMPLES):
            text = f"item {next(number)}"  # new each time, so that no cache answers
            question = constant(text, role_description="question")
            truth = constant("?", role_description="truth")
            inputs = {"prediction": model(question), "truth": truth}
            losses.append(match(inputs=inputs))
        tg.sum(losses).backward()
        optimizer.step()

    return steps(step, REPEAT)


def _same(prediction: Any, truth: Any) -> str:
    return str(int(prediction.value == truth.value))


def gepa(url: str) -> list[float]:
    """DSPy's GEPA, one iteration: 32 answers, one reflection, 32 answers with it.

    It asks no critic: feedback comes from the metric. Its critical path is the first
    evaluation, the minibatch, the reflection and the minibatch again: 400 ms.
    """
    import dspy

    model = dspy.LM("openai/gpt-4o", api_base=url, api_key="k", cache=False)
    dspy.configure(lm=model)
    data = [
        dspy.Example(question=f"item {n}", answer="?").with_inputs("question")
        for n in range(SAMPLES)
    ]

    def metric(*_: Any, **__: Any) -> Any:
        return dspy.Prediction(score=0.0, feedback="Be exact.")

    def step() -> None:
        dspy.GEPA(
            metric=metric,
            max_metric_calls=3 * SAMPLES,
            reflection_minibatch_size=SAMPLES,
            reflection_lm=model,
            num_threads=SAMPLES,
        ).compile(dspy.Predict("question -> answer"), trainset=data, valset=data)

    return [ratio * 3 / 4 for ratio in steps(step, REPEAT)]


PEERS: Final[dict[str, tuple[str, Callable[[str], list[float]]]]] = {
    "textgrad": ("textgrad", textgrad),
    "gepa (through dspy)": ("dspy", gepa),
}
"""Name → the module it needs, and its step."""


def rows(url: str) -> list[Row]:
    """Measure the peers that can be imported; say which cannot."""
    return [_row(name, url) for name in PEERS]


def _row(name: str, url: str) -> Row:
    what = f"the same step with {name}, through HTTP"
    if find_spec(PEERS[name][0]) is None:
        return Row(what, 0, "", 0, 0, "not installed")
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "XDG_CACHE_HOME": folder,
            "OPENAI_API_KEY": "k",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing but loopback
        }
        command = [sys.executable, "-m", "benchmarks._peers", name, url]
        try:
            out = subprocess.run(
                command,
                env=env,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=True,
            )
        except (subprocess.SubprocessError, OSError) as error:
            return Row(what, 0, "", 0, 0, f"failed: {type(error).__name__}")
    took = sorted(json.loads(out.stdout.splitlines()[-1]))
    return Row(what, took[len(took) // 2], "x", took[0], took[-1], "")


if __name__ == "__main__":
    measured = PEERS[sys.argv[1]][1](sys.argv[2])
    print("\n" + json.dumps(measured), flush=True)
