"""Language models: clients, the one call path, and what it costs.

Clients of providers are in `afnio.models.openai`, `afnio.models.anthropic` and
`afnio.models.local`, and can be imported from here as well; test doubles are in
`afnio.models.testing`.
"""

from typing import TYPE_CHECKING

from afnio._lazy import attach as _attach
from afnio.models._batch import batch
from afnio.models._batch_jobs import BatchWarning
from afnio.models._budget import Budget, set_budget
from afnio.models._cache import CacheWarning, ReplyCache, use_cache
from afnio.models._chat_client import ChatClient
from afnio.models._limits import Limits
from afnio.models._messages import Reply, Request, ToolCall
from afnio.models._observe import CallEvent, observe
from afnio.models._plan import Plan, PlannedCalls, Range, plan
from afnio.models._prices import Price, UnknownPriceWarning
from afnio.models._retry import RetryPolicy
from afnio.models._roles import (
    BackwardModelClient,
    get_backward_model_client,
    set_backward_model_client,
)
from afnio.models._scopes import call_role, deadline
from afnio.models._stream import Stream
from afnio.models._usage import Usage
from afnio.models.model import (
    BaseModel,
    ChatCompletionModel,
    EmbeddingModel,
    TextCompletionModel,
)
from afnio.models.model_registry import get_model, register_provider

if TYPE_CHECKING:
    from afnio.models.anthropic import Anthropic, AsyncAnthropic
    from afnio.models.local import LocalModel
    from afnio.models.openai import AsyncOpenAI, OpenAI

__getattr__, __dir__ = _attach(
    __name__,
    {
        "Anthropic": "afnio.models.anthropic:Anthropic",
        "AsyncAnthropic": "afnio.models.anthropic:AsyncAnthropic",
        "AsyncOpenAI": "afnio.models.openai:AsyncOpenAI",
        "LocalModel": "afnio.models.local:LocalModel",
        "OpenAI": "afnio.models.openai:OpenAI",
    },
)

__all__ = [
    "Anthropic",
    "AsyncAnthropic",
    "AsyncOpenAI",
    "BackwardModelClient",
    "BaseModel",
    "BatchWarning",
    "Budget",
    "CacheWarning",
    "CallEvent",
    "ChatClient",
    "ChatCompletionModel",
    "EmbeddingModel",
    "Limits",
    "LocalModel",
    "OpenAI",
    "Plan",
    "PlannedCalls",
    "Price",
    "Range",
    "Reply",
    "ReplyCache",
    "Request",
    "RetryPolicy",
    "Stream",
    "TextCompletionModel",
    "ToolCall",
    "UnknownPriceWarning",
    "Usage",
    "batch",
    "call_role",
    "deadline",
    "get_backward_model_client",
    "get_model",
    "observe",
    "plan",
    "register_provider",
    "set_backward_model_client",
    "set_budget",
    "use_cache",
]
