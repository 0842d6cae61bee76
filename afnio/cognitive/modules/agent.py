"""Agent: a model with tools, asked until it has an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from afnio._variable import Variable
from afnio.autodiff._chat import MultiTurnMessages
from afnio.autodiff.agent_ops import AgentLoop, LoopSettings
from afnio.autodiff.op_result import OpResult
from afnio.cognitive._settings import limit
from afnio.cognitive.modules._asking import Asking
from afnio.cognitive.modules.tool import Tool, Toolbox
from afnio.errors import InputTypeError, InputValueError
from afnio.models import BaseModel
from afnio.models._chat_client import ChatClient

__all__ = ["Agent"]


class Agent(Asking):
    """Ask a model, run the tools it calls, and ask again, until it has an answer.

    Every sample of a batch goes its own way and waits for no other. Whatever goes wrong
    with a call of a tool (no such tool, arguments that do not fit, an exception, a
    timeout) is told to the model. In the last turn tools are switched off and the model
    is told to answer with what it has.

    Feedback on an answer reaches the Parameters in messages and the descriptions of
    tools that are Parameters: one critic call per failing sample, which is shown the
    whole conversation. Results of tools are data; no feedback flows into a tool.

    Args:
        forward_model_client: Who answers.
        messages: The start of every conversation:
            ``[{"role": str, "content": [Variable, …]}, …]``.
        tools: Functions and `Tool` objects.
        max_turns: Model calls per sample at most; with tools, 2 or more.
        max_result_chars: Characters of a tool's result that the model is given; longer
            ones lose their middle, and say so.
        **completion_args: Passed to the client: model, temperature, ….

    Model calls: 1 to ``max_turns`` per sample, samples at once.

    Raises:
        InputTypeError: Something among the tools cannot be one.
        InputValueError: Two tools of one name, or a limit that leaves no turn for them.

    Examples:
        >>> import afnio, afnio.cognitive as cog
        >>> from afnio.models import Reply, ToolCall
        >>> from afnio.models.testing import ScriptedModel
        >>> def add(a: int, b: int) -> int:
        ...     '''Add two numbers.'''
        ...     return a + b
        >>> model = ScriptedModel([
        ...     Reply(None, tool_calls=(ToolCall("1", "add", {"a": 1, "b": 2}),),
        ...           stop_reason="tool_use"),
        ...     "It is 3.",
        ... ])
        >>> prompt = cog.Parameter("Answer: {question}", role="task")
        >>> agent = cog.Agent(model, [{"role": "user", "content": [prompt]}], [add])
        >>> agent(inputs={"question": "What is 1 + 2?"}).data
        'It is 3.'
    """

    tools: Toolbox

    def __init__(
        self,
        forward_model_client: BaseModel | None = None,
        messages: MultiTurnMessages | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        *,
        max_turns: int = 10,
        max_result_chars: int = 20_000,
        **completion_args: Any,
    ) -> None:
        super().__init__()
        self._register_asking(forward_model_client, messages, completion_args)
        self.tools = Toolbox(tools)
        self.max_turns = _limit("max_turns", max_turns)
        self.max_result_chars = _limit("max_result_chars", max_result_chars)
        if len(self.tools) and max_turns == 1:
            raise InputValueError(
                "max_turns=1 leaves no turn to call a tool in; give 2 or more, since "
                "the last turn is for the answer."
            )

    def forward(
        self,
        forward_model_client: ChatClient | None = None,
        messages: MultiTurnMessages | None = None,
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> Variable:
        """Return the answers, pending.

        Args:
            forward_model_client: Who answers, instead of the configured client.
            messages: The start of the conversation, instead of the configured one.
            inputs: Values of ``{placeholders}`` in the messages.
            **completion_args: Added to the configured ones; these come first.

        Raises:
            InputTypeError: There is no client or no messages, here or configured.
        """
        result = self.run(forward_model_client, messages, inputs, **completion_args)
        assert isinstance(result.output, Variable)
        return result.output

    def run(
        self,
        forward_model_client: ChatClient | None = None,
        messages: MultiTurnMessages | None = None,
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> OpResult[Any]:
        """Return the answers with all that led to them.

        ``result.output`` is what calling the agent returns; ``result.stop_reason ==
        "max_turns"`` masks the samples that were cut short; ``result.turns`` holds
        what was said and called. Arguments are those of a call; hooks are not run.
        """
        for name in ("tools", "max_turns", "max_result_chars"):
            if name in completion_args:
                raise InputTypeError(
                    f"{name} is a setting of the agent, not of a call; give it to "
                    f"Agent({name}=...)."
                )
        client, chat, args = self._for_call(
            forward_model_client, messages, completion_args
        )
        settings = LoopSettings(
            tools=tuple(tool.spec() for tool in self.tools),
            max_turns=self.max_turns,
            max_result_chars=self.max_result_chars,
            completion_args=args,
        )
        descriptions = [tool.description for tool in self.tools]
        output = AgentLoop.apply(client, chat, inputs, descriptions, settings)
        return OpResult.waiting(output, settings.rows)

    def extra_repr(self) -> str:
        """Return the limit of turns."""
        return f"max_turns={self.max_turns}"


def _limit(name: str, value: Any) -> int:
    if (checked := limit(name, value)) is None:
        raise InputValueError(f"{name} must be a positive int; an agent needs a limit.")
    return checked
