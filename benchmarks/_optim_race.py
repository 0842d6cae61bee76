"""The loop to beat: forty lines by hand that ask the models for plain text."""

from __future__ import annotations

from collections.abc import Sequence

from afnio._dispatch import gather, run_sync
from afnio.errors import BudgetError
from afnio.models import Budget
from benchmarks._optim_task import Prompts, Task
from benchmarks.simworld import Item, score

RACE = 24
"""Validation items on which a candidate has to keep up before it sees the others."""
BATCH = 6
"""Training items per step."""
CANDIDATES = 2

_CRITIC = """\
Prompt:
{prompt}

It led to this:
{case}

Say briefly what to change about the prompt."""

_REWRITER = """\
Current prompt:
{prompt}

What it got wrong, and what was said about it:
{feedback}

Write a better prompt, complete, like this:
<prompt>
the new prompt
</prompt>"""


def race_loop(task: Task) -> None:
    """Criticise failures only; race candidates before full validation."""
    best: Prompts = task.world.seed_prompts
    batches = task.batches(BATCH)
    with Budget(calls=task.plan.budget):
        try:
            scores = run_sync(_scores(task, best, task.world.val))
            while True:
                module = task.rng.randrange(len(best))
                found = run_sync(_candidates(task, best, module, next(batches)))
                for text in found:
                    candidate = (*best[:module], text, *best[module + 1 :])
                    first = run_sync(_scores(task, candidate, task.world.val[:RACE]))
                    if sum(first) < sum(scores[:RACE]):
                        continue
                    rest = run_sync(_scores(task, candidate, task.world.val[RACE:]))
                    if sum(first) + sum(rest) >= sum(scores):
                        best, scores = candidate, [*first, *rest]
                    task.note(best)
        except BudgetError:
            task.note(best)


async def _scores(task: Task, prompts: Prompts, items: Sequence[Item]) -> list[int]:
    answers = await gather(_answer(task, prompts, item) for item in items)
    return [
        score(answer, item.reference)
        for answer, item in zip(answers, items, strict=True)
    ]


async def _answer(task: Task, prompts: Prompts, item: Item) -> str:
    said = ""
    for desk, prompt in zip(task.world.desks, prompts, strict=True):
        start = f"{desk.capitalize()} desk. " if desk else ""
        notes = f"\nNotes: {said}" if said else ""
        messages = [
            {"role": "system", "content": prompt},
            {"role": "user", "content": f"{start}{item.request}{notes}"},
        ]
        said = (await task.forward.agenerate(messages)).text or ""
    return said


async def _candidates(
    task: Task, prompts: Prompts, module: int, items: Sequence[Item]
) -> list[str]:
    answers = await gather(_answer(task, prompts, item) for item in items)
    cases = [
        f"{item.request}\n{answer}\n{item.reference}"
        for item, answer in zip(items, answers, strict=True)
        if not score(answer, item.reference)
    ]
    if not cases:
        return []
    prompt = prompts[module]
    said = await gather(_critique(task, prompt, case) for case in cases)
    feedback = "\n".join(f"{case}\n{text}" for case, text in zip(cases, said))  # noqa: B905
    asked = _REWRITER.replace("{prompt}", prompt).replace("{feedback}", feedback)
    replies = await gather(
        task.rewriter.agenerate(
            [{"role": "user", "content": asked}], role="optimizer", sample_index=number
        )
        for number in range(CANDIDATES)
    )
    texts = [(reply.text or "").partition("<prompt>")[2] for reply in replies]
    return [text.partition("</prompt>")[0].strip() for text in texts if "</" in text]


async def _critique(task: Task, prompt: str, case: str) -> str:
    asked = _CRITIC.replace("{prompt}", prompt).replace("{case}", case)
    messages = [{"role": "user", "content": asked}]
    return (await task.critic.agenerate(messages, role="critic")).text or ""
