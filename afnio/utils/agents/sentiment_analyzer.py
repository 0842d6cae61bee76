"""An agent with one prompt: is a message positive, neutral or negative?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import afnio.cognitive as cog
from afnio._variable import Variable

__all__ = ["SENTIMENT_SCHEMA", "SentimentAnalyzer"]

SENTIMENT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "json_schema",
    "json_schema": {
        "name": "sentiment_response_schema",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "sentiment": {
                    "type": "string",
                    "enum": ["positive", "neutral", "negative"],
                }
            },
            "required": ["sentiment"],
            "additionalProperties": False,
        },
    },
}
"""The ``response_format`` that the agent asks for unless a call gives another."""


class SentimentAnalyzer(cog.Module):
    """Classify the sentiment of messages with one learnable system prompt.

    Model calls: one per message.

    Examples:
        >>> from afnio.models.testing import ScriptedModel
        >>> agent = SentimentAnalyzer()
        >>> model = ScriptedModel('{"sentiment": "positive"}')
        >>> agent(model, inputs={"message": "I love it!"}).data
        '{"sentiment": "positive"}'
    """

    def __init__(self) -> None:
        super().__init__()
        self.sentiment_task = cog.Parameter(
            data="Read the provided message and determine the sentiment.",
            role="system prompt for sentiment classification",
            requires_grad=True,
        )
        self.sentiment_user = Variable(
            data="Read the following message and give its sentiment only.\n\n"
            "Message:\n{message}",
            role="input template to sentiment classifier",
        )
        self.sentiment_classifier = cog.ChatCompletion()

    def forward(
        self,
        fwd_model: Any,
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> Variable:
        """Return the model's JSON, such as ``{"sentiment": "positive"}``.

        Args:
            fwd_model: Who answers.
            inputs: ``message``: a text, a Variable, or a list of them.
            **completion_args: Passed to the client; may override ``response_format``.
        """
        messages = [
            {"role": "system", "content": [self.sentiment_task]},
            {"role": "user", "content": [self.sentiment_user]},
        ]
        args = {"response_format": SENTIMENT_SCHEMA, **completion_args}
        reply: Variable = self.sentiment_classifier(
            fwd_model, messages, inputs=inputs, **args
        )
        return reply
