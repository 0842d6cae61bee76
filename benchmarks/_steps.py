"""One training step through HTTP: 32 questions, 32 critiques, one new prompt."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

import afnio
from afnio import Variable
from afnio.autodiff import backward
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models import Limits
from afnio.models.openai import OpenAI
from afnio.optim import TGD
from benchmarks._pace import SAMPLES, steps
from benchmarks._world import PROMPT


def with_afnio(url: str, repeat: int = 5, http_client: Any = None) -> list[float]:
    """Make steps with Variables, a critic and TGD, through the official SDK."""
    model = OpenAI(
        api_key="k",
        base_url=url,
        model="gpt-4o",
        limits=Limits(concurrency=SAMPLES),
        http_client=http_client,
    )

    def step() -> None:
        prompt = Variable("Answer.", "system prompt", requires_grad=True)
        turns = [
            {"role": "system", "content": [prompt]},
            {"role": "user", "content": [Variable("{x}", "question")]},
        ]
        losses = []
        for number in range(SAMPLES):
            reply = ChatCompletion.apply(model, turns, inputs={"x": f"item {number}"})
            losses.append(ExactMatchEvaluator.apply(reply, "?")[1])
        with afnio.set_backward_model_client(model):
            backward(losses)
        TGD([prompt], model_client=model).step()
        assert prompt.data == PROMPT

    try:
        return steps(step, repeat)
    finally:
        model.close()


def with_aiohttp(url: str, repeat: int = 5) -> list[float]:
    """Make the same steps through the SDK's client on aiohttp."""
    return with_afnio(url, repeat, openai.DefaultAioHttpClient)


def with_threads(url: str, repeat: int = 5) -> list[float]:
    """Make the same calls with the bare SDK in 32 threads, and nothing around them."""
    names = {"type": "object", "properties": {}, "required": ["input_1"]}
    schema = {"type": "json_schema", "json_schema": {"name": "f", "schema": names}}
    with (
        openai.OpenAI(api_key="k", base_url=url) as client,
        ThreadPoolExecutor(SAMPLES) as pool,
    ):

        def ask(text: str, **options: Any) -> str:
            messages: Any = [
                {"role": "system", "content": "Answer."},
                {"role": "user", "content": text},
            ]
            reply = client.chat.completions.create(
                model="gpt-4o", messages=messages, **options
            )
            return str(reply.choices[0].message.content)

        def criticise(text: str) -> str:
            found = ask(f"What led to {text}?", response_format=schema)
            return str(json.loads(found)["input_1"])

        def step() -> None:
            replies = list(pool.map(ask, (f"item {n}" for n in range(SAMPLES))))
            critiques = list(pool.map(criticise, replies))
            ask("\n".join(critiques))

        return steps(step, repeat)
