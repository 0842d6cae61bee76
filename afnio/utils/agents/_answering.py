"""What agents that answer one question have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import afnio.cognitive as cog
from afnio._variable import Variable
from afnio.autodiff.op_result import OpResult
from afnio.models import BaseModel
from afnio.models._chat_client import ChatClient
from afnio.utils.agents._prompts import QUESTION


class Answering(cog.Module):
    """Answers a question with tools, by a system prompt that is learned.

    Args:
        instructions: The system prompt.
        tools: What the model may call.
        forward_model_client: Who answers; a call may name another.
        max_turns: Model calls per question at most.
        **completion_args: Passed to the client.
    """

    def __init__(
        self,
        instructions: cog.Parameter,
        tools: Iterable[cog.Tool | Callable[..., Any]],
        forward_model_client: BaseModel | None,
        *,
        max_turns: int,
        **completion_args: Any,
    ) -> None:
        super().__init__()
        self.instructions = instructions
        self.question = Variable(QUESTION, role="the question")
        self.agent = cog.Agent(
            forward_model_client,
            [
                {"role": "system", "content": [self.instructions]},
                {"role": "user", "content": [self.question]},
            ],
            tools,
            max_turns=max_turns,
            **completion_args,
        )

    def forward(
        self,
        forward_model_client: ChatClient | None = None,
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> Variable:
        """Return the answers, pending.

        Args:
            forward_model_client: Who answers, instead of the configured client.
            inputs: ``question``: a text, a Variable, or a list of them.
            **completion_args: Passed to the client.
        """
        answers: Variable = self.agent(
            forward_model_client, inputs=inputs, **completion_args
        )
        return answers

    def run(
        self,
        forward_model_client: ChatClient | None = None,
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> OpResult[Any]:
        """Return the answers with all that led to them; see `cog.Agent.run`."""
        return self.agent.run(forward_model_client, inputs=inputs, **completion_args)
