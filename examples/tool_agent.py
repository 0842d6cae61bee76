"""Learn what a tool is for: an agent that does not use its tool is taught when to.

    python examples/tool_agent.py [--model provider/name]

The description of a tool is a Parameter like any prompt. The critic sees the whole
conversation, with every call of a tool, and says what the description should say.
"""

from __future__ import annotations

from _models import choose_models

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.models import Reply, ToolCall
from afnio.models.testing import feedback, in_tags
from afnio.optim import TGD

STOCK = {"apple": 3, "pear": 0}
QUESTIONS = ["How many apple are left?", "How many pear are left?", "What is 1 + 1?"]
ANSWERS = ["3", "0", "2"]


def stock(item: str) -> int:
    """Work with an item."""
    return STOCK[item]


def agent_script(messages, *, tools, **_):
    """Play a model that uses a tool only if its description says what for."""
    question, last = messages[0]["content"], messages[-1]["content"]
    if len(messages) > 1:
        return last[0]["content"]
    if "left" in question and "how many" in tools[0]["description"]:
        item = question.split()[-3]
        call = ToolCall("call_1", "stock", {"item": item})
        return Reply(None, tool_calls=(call,), stop_reason="tool_use")
    return "2" if "1 + 1" in question else "I do not know."


model, critic, editor = choose_models(
    agent_script,
    feedback("The description does not say that the tool knows what is left."),
    in_tags("Look up how many of an item are left. Give the item in singular."),
)
task = Variable("Answer with a number only. {question}", role="task")
tool = cog.Tool(stock, cog.Parameter(stock.__doc__, role="what the tool is for"))
agent = cog.Agent(model, [{"role": "user", "content": [task]}], [tool], max_turns=4)
optimizer = TGD(agent.parameters(), model_client=editor)
afnio.set_backward_model_client(critic)

for epoch in range(2):
    result = agent.run(inputs={"question": QUESTIONS})
    score, explanation = F.exact_match_evaluator(result.output, ANSWERS)
    calls = sum(len(turns) // 2 for turns in result.turns)
    print(f"epoch {epoch}: {score.data} of {len(ANSWERS)} right, {calls} tool calls")
    explanation.backward()
    optimizer.step()
    optimizer.zero_grad()
print(f"\nthe tool's description now: {tool.description.data}")
