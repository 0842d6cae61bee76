"""An agent that reasons in words between calls of tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import afnio.cognitive as cog
from afnio.models import BaseModel
from afnio.utils.agents._answering import Answering
from afnio.utils.agents._prompts import REACT_SYSTEM

__all__ = ["ReAct"]


class ReAct(Answering):
    """Answer questions by reasoning and acting in turn.

    Its system prompt is a Parameter, and so is the description of every tool that is
    given as a plain function, so all of them are learned together.

    Args:
        tools: Functions and `afnio.cognitive.Tool` objects.
        forward_model_client: Who answers; a call may name another.
        max_turns: Model calls per question at most.
        **completion_args: Passed to the client.

    Model calls: 1 to ``max_turns`` per question.

    Source: S. Yao et al., ReAct: Synergizing Reasoning and Acting in Language Models,
    2022, arXiv:2210.03629. Differences: actions are the provider's tool calls instead
    of lines of text, so nothing has to be parsed; there are no examples in the prompt.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> def population(city: str) -> int:
        ...     '''Look up how many people live in a city.'''
        ...     return 900
        >>> agent = ReAct([population], ScriptedModel("About 900."))
        >>> agent(inputs={"question": "How many people live in Oz?"}).data
        'About 900.'
        >>> [name for name, _ in agent.named_parameters()]
        ['instructions', 'agent.tools.population.description']
    """

    def __init__(
        self,
        tools: Iterable[cog.Tool | Callable[..., Any]],
        forward_model_client: BaseModel | None = None,
        *,
        max_turns: int = 10,
        **completion_args: Any,
    ) -> None:
        instructions = cog.Parameter(
            REACT_SYSTEM, role="system prompt: how to reason and when to use tools"
        )
        super().__init__(
            instructions,
            tools if isinstance(tools, (str, Mapping)) else map(_learned, tools),
            forward_model_client,
            max_turns=max_turns,
            **completion_args,
        )


def _learned(tool: Any) -> Any:
    """Make a tool of a plain function, with a description that is learned."""
    if isinstance(tool, cog.Tool) or not callable(tool):
        return tool
    made = cog.Tool(tool)
    described = cog.Parameter(made.description.data, made.description.role)
    return cog.Tool(tool, described)
