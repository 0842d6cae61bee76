"""The same training step with other libraries, where they are installed.

``python -m benchmarks._peers textgrad http://127.0.0.1:8000/v1`` prints the wall clock
over the critical path of a few steps, as JSON. Each peer runs in a process of its own,
with its cache in an empty folder, through its public interface. None is a dependency:
each is measured if it is installed beside afnio, or in an environment of its own below
the folder that ``AFNIO_PEERS`` names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from benchmarks._pace import SAMPLES, steps
from benchmarks._report import Row

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


def adalflow(url: str) -> list[float]:
    """32 answers in threads, as its trainer does it, 32 backwards, one proposal.

    A backward asks two critics, one after the other, so a step is 97 calls on a path
    of 400 ms.
    """
    import tiktoken

    # at import it would download a tokenizer; this one counts characters
    tiktoken.get_encoding = lambda _name: SimpleNamespace(encode=list)
    import adalflow as adal
    from adalflow.components.model_client.openai_client import OpenAIClient
    from adalflow.core.generator import BackwardEngine
    from adalflow.optim.parameter import ParameterType
    from adalflow.optim.text_grad.text_loss_with_eval_fn import EvalFnToTextLoss
    from adalflow.optim.text_grad.tgd_optimizer import TGDOptimizer

    client = OpenAIClient(api_key="k", base_url=url)
    settings: dict[str, Any] = {
        "model_client": client,
        "model_kwargs": {"model": "gpt-4o"},
    }
    engine = BackwardEngine(**settings, use_cache=False)
    number = iter(range(10**6))

    def step() -> None:
        prompt = adal.Parameter(
            data="Answer.",
            role_desc="system prompt",
            param_type=ParameterType.PROMPT,
            name="prompt",
        )
        program = adal.Generator(
            template="{{prompt}}\n{{question}}",
            prompt_kwargs={"prompt": prompt},
            use_cache=False,
            **settings,
        )
        program.train()
        loss_fn = EvalFnToTextLoss(
            eval_fn=lambda y, y_gt: float(y == y_gt),
            eval_fn_desc="exact match",
            backward_engine=engine,
        )
        program.set_backward_engine(engine)
        optimizer = TGDOptimizer(params=[prompt], **settings)

        def lose(name: str) -> Any:
            reply = program.forward(prompt_kwargs={"question": name}, id=name)
            truth = adal.Parameter(data="?", requires_opt=False, role_desc="truth")
            pair = {"y": reply, "y_gt": truth}
            for part in pair.values():
                part.eval_input = part.data
            return loss_fn.forward(kwargs=pair, id=name, gt="?")

        names = [f"item {next(number)}" for _ in range(SAMPLES)]
        with ThreadPoolExecutor(SAMPLES) as pool:
            losses = list(pool.map(lose, names))
        for loss in losses:
            loss.backward()
        optimizer.propose()

    return [ratio * 3 / 4 for ratio in steps(step, REPEAT)]


def trace(url: str) -> list[float]:
    """32 answers, feedback on each, one update by OptoPrime.

    It asks no critic: feedback is words of the program's own. Its critical path is an
    answer and the update: 200 ms.
    """
    from opto.optimizers import OptoPrime
    from opto.trace import bundle, node
    from opto.utils.llm import LiteLLM

    os.environ["OPENAI_API_BASE"] = url
    model = LiteLLM(model="openai/gpt-4o")
    number = iter(range(10**6))

    @bundle()  # type: ignore[untyped-decorator]
    def answer(prompt: str, question: str) -> str:
        """Answer the question."""
        turns = [
            {"role": "system", "content": prompt},
            {"role": "user", "content": question},
        ]
        return str(model(messages=turns).choices[0].message.content)

    def step() -> None:
        prompt = node("Answer.", name="prompt", trainable=True)
        optimizer = OptoPrime([prompt], llm=model, log=False)
        optimizer.zero_feedback()
        for _ in range(SAMPLES):
            reply = answer(prompt, f"item {next(number)}")
            optimizer.backward(reply, f"{reply.data} is wrong; expected ?")
        optimizer.step()

    return [ratio * 3 / 2 for ratio in steps(step, REPEAT)]


class _Peer(NamedTuple):
    environment: str
    """The folder of its environment below ``AFNIO_PEERS``."""
    module: str
    """What can be imported where it is installed."""
    run: Callable[[str], list[float]]


PEERS: Final[dict[str, _Peer]] = {
    "textgrad": _Peer("textgrad", "textgrad", textgrad),
    "gepa (through dspy)": _Peer("dspy", "dspy", gepa),
    "adalflow": _Peer("adalflow", "adalflow", adalflow),
    "trace": _Peer("trace", "opto", trace),
}


def rows(url: str) -> list[Row]:
    """Measure the peers that can be imported; say which cannot."""
    return [_row(name, url) for name in PEERS]


def _row(name: str, url: str) -> Row:
    what = f"the same step with {name}, through HTTP"
    python = _python(name)
    if python is None:
        return Row(what, 0, "", 0, 0, "not installed")
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "XDG_CACHE_HOME": folder,
            "OPENAI_API_KEY": "k",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing but loopback
        }
        command = [python, "-m", "benchmarks._peers", name, url]
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
            return Row(what, 0, "", 0, 0, f"failed: {_last_words(error)}")
    took = sorted(json.loads(out.stdout.splitlines()[-1]))
    return Row(what, took[len(took) // 2], "x", took[0], took[-1], "")


def _last_words(error: Exception) -> str:
    """Return the last line that a peer wrote, which names its error."""
    said = getattr(error, "stderr", None) or str(error)
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return text.strip().splitlines()[-1][:200]


def _python(name: str) -> str | None:
    """Return the interpreter that can import a peer, if there is one."""
    peer, folder = PEERS[name], os.environ.get("AFNIO_PEERS")
    if find_spec(peer.module) is not None:
        return sys.executable
    own = Path(folder or "", peer.environment, "bin", "python")
    return str(own) if folder and own.exists() else None


if __name__ == "__main__":
    measured = PEERS[sys.argv[1]].run(sys.argv[2])
    print("\n" + json.dumps(measured), flush=True)
