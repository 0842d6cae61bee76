"""Tune the prompt of a small program on support messages, and show what it gained.

    python examples/quickstart.py                      # embedded 135M model, no key
    python examples/quickstart.py --model openai/gpt-4o-mini
    python examples/quickstart.py --model openai/qwen3 --base-url http://127.0.0.1:8000/v1
    python examples/quickstart.py --data facility      # other data

The program names the customer in a support message. Training looks for worked examples
that help (`FewShot`), and with ``--tune both`` also rewrites the instruction (`TGD`). A
change is kept only if it passes a gate on validation messages. The test messages are
looked at twice: before and after. What happened ends up in a report: one HTML page.
"""

from __future__ import annotations

import argparse
import os
from statistics import fmean
from typing import Any

from _quickstart_data import TASKS, Task
from rich.console import Console

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable, tracking
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.errors import AfnioError
from afnio.models import get_model
from afnio.optim import TGD, FewShot
from afnio.optim.gates import Race
from afnio.tracking.report import write_report
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader

PLAN = """\
Scores are shares of right answers: higher is better, also where they are called loss.
The plan: test, look for examples on training and validation messages, test again.
"""


def same(prediction: str, target: str) -> int:
    """Compare two answers, ignoring case and what stands around them."""
    one, other = (text.strip(" \n\"'.").casefold() for text in (prediction, target))
    return int(one == other)


class Program(cog.Module):
    """An instruction, worked examples, and the message: one model call."""

    def __init__(self, task: Task, model: Any, options: argparse.Namespace) -> None:
        super().__init__()
        self.task, self.options = task, options
        self.instruction = Parameter(task.instruction, role="system prompt")
        self.examples = Demonstrations(role="worked examples")
        self.message = Variable(task.template, role="message template")
        messages = [
            {"role": "system", "content": [self.instruction]},
            {"role": "demonstrations", "content": [self.examples]},
            {"role": "user", "content": [self.message]},
        ]
        self.chat = cog.ChatCompletion(
            model,
            messages,
            max_completion_tokens=task.answer_tokens,
            stop=["\n"],
            temperature=0,
        )

    def forward(self, message: Variable) -> Variable:
        """Return the answer to a message, or to a batch of them."""
        return self.chat(inputs={"message": message})

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Return score and explanation: the share of right answers."""
        del batch_idx
        message, target = batch
        words = "exact match (ignoring case)"
        return F.deterministic_evaluator(
            self(message), target, same, words, None, fmean, "the mean"
        )

    validation_step = test_step = training_step

    def configure_optimizers(self) -> list[Any]:
        """Search for examples; rewrite the instruction if asked to."""
        gate = Race(ties="parent")
        seed = self.options.seed
        search = FewShot(
            [self.examples], demos=4, candidates=12, rounds=1, gate=gate, seed=seed
        )
        if self.options.tune == "examples":
            return [search]
        return [search, TGD([self.instruction], model_client=None, gate=gate)]


def run(options: argparse.Namespace) -> None:
    """Test, tune, test again, save, and say what changed."""
    if options.base_url and options.model.startswith("local/"):
        raise SystemExit("quickstart: --base-url needs --model openai/NAME.")
    client_args = {"base_url": options.base_url} if options.base_url else {}
    model = get_model(options.model, **client_args)
    out, task = Console(), TASKS[options.data]
    name = f"{options.data}-{options.seed}"
    with tracking.init("examples", "Quickstart", name) as record:
        out.print(f"{options.model} on {task.about}.\n{PLAN}")
        trainer, program = tune(task, model, options)
        result = record.path / "tuned.json"
        afnio.save(program.state_dict(), result)
    out.print(trainer.summary())
    out.print(f"The tuned program: {result} (load it with afnio.load)")
    out.print(f"The report:        {write_report(record.path)}")


def tune(task: Task, model: Any, options: argparse.Namespace) -> tuple[Any, Program]:
    """Test, fit, and test what validation liked best."""
    afnio.set_backward_model_client(model)
    train, val, test = (
        DataLoader(task.load(part)[: task.sizes[part]], batch_size=size)
        for part, size in (("train", 40), ("val", 12), ("test", 20))
    )
    program = Program(task, model, options)
    trainer = Trainer(max_epochs=options.epochs)
    trainer.test(program, test, llm_clients=[model])
    trainer.fit(program, train, val, llm_clients=[model])
    trainer.test(program, test, llm_clients=[model], ckpt_path="best")
    return trainer, program


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="local/default", help="provider/model")
    parser.add_argument("--base-url", help="an OpenAI-compatible server")
    parser.add_argument("--data", choices=sorted(TASKS), default="contacts")
    parser.add_argument("--tune", choices=("examples", "both"), default="examples")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="where runs go (default: runs)")
    given = parser.parse_args()
    if given.out:
        os.environ["AFNIO_RUNS"] = given.out
    try:
        run(given)
    except AfnioError as error:
        raise SystemExit(f"quickstart: {error}") from error
    except KeyboardInterrupt as stop:
        print(f"\nquickstart: {stop or 'stopped before anything was tested'}")
        raise SystemExit(130) from None
