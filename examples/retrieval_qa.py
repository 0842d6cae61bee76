"""Learn how to search: questions answered from a handbook that uses other words.

    python examples/retrieval_qa.py [--model provider/name]

`RetrievalQA` is an agent with one tool, a search by words (BM25). The description of
that tool is a Parameter, so feedback on a wrong answer can teach it the words of the
handbook. Needs `pip install 'afnio[retrieval]'`.
"""

from __future__ import annotations

from _models import choose_models

import afnio
import afnio.cognitive.functional as F
from afnio.models import Reply, ToolCall
from afnio.models.testing import feedback, in_tags
from afnio.optim import TGD
from afnio.utils.agents import RetrievalQA

HANDBOOK = [
    "Annual leave: every employee has 28 days a year, to be agreed with the team.",
    "Remuneration: salaries are paid on the 25th of each month.",
    "Parental absence: 14 weeks on full pay; write to the people desk in time.",
    "Expenses: keep the receipts; the limit for a meal is 30 euros.",
    "Visitors: sign them in at the gate; they wear a badge.",
]
DATA = {  # a question, and what the answer has to contain
    "How many days of holiday are there?": "28",
    "When does the money arrive?": "25th",
    "What may a meal cost?": "30",
}
WORDS = {"holiday": "annual leave", "money": "remuneration", "meal": "meal limit"}


def answers(messages, *, tools, **_):
    """Play a model that searches with the asker's words, until told of others."""
    question, found = messages[1]["content"], messages[-1]["content"]
    if len(messages) == 2:
        word = next(word for word in WORDS if word in question)
        known = WORDS[word] if WORDS[word] in tools[0]["description"] else word
        call = ToolCall("call_1", "search", {"query": known})
        return Reply(None, tool_calls=(call,), stop_reason="tool_use")
    passages = str(found[0]["content"])
    number = next((n for n in DATA.values() if n in passages), None)
    return f"{number} [{passages[1]}]" if number else "The handbook does not say."


def contains(answer: str, wanted: str) -> bool:
    """Say whether an answer has what was wanted."""
    return wanted in answer


model, critic, editor = choose_models(
    answers,
    feedback("The description does not say which words the handbook uses."),
    in_tags(
        "Search by key words: annual leave (not holiday), remuneration (not money)."
    ),
)
agent = RetrievalQA(HANDBOOK, model, k=1)
agent.instructions.requires_grad = False  # only the tool's description is tuned
description = agent.search_description
optimizer = TGD([description], model_client=editor)
afnio.set_backward_model_client(critic)

for epoch in range(2):
    reply = agent(inputs={"question": list(DATA)})
    scores, explanation = F.deterministic_evaluator(
        reply, list(DATA.values()), contains, "contains the fact"
    )
    print(f"epoch {epoch}: {sum(scores.data)} of {len(DATA)} right: {reply.data}")
    explanation.backward()
    optimizer.step()
    optimizer.zero_grad()
print(f"\nthe tool's description now: {description.data}")
