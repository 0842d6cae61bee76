"""Names that calls use: what is nearly one of them is refused, whoever is asked.

A provider refuses an argument that it does not know, a scripted model does not; so a
test without a network would not find the mistake. Other unknown names pass: servers
have arguments of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from numbers import Real
from typing import Any, Final

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError

_ARGUMENTS: Final = """
audio best_of cache_control chat_template_kwargs container dimensions echo
encoding_format extra_body extra_headers extra_query frequency_penalty function_call
functions grammar guided_choice guided_grammar guided_json guided_regex inference_geo
input logit_bias logprobs max_completion_tokens max_tokens metadata min_p min_tokens
mirostat modalities model n output_config parallel_tool_calls prediction
presence_penalty prompt prompt_cache_key prompt_cache_retention reasoning
reasoning_effort repeat_penalty repetition_penalty response_format safety_identifier
seed service_tier speed stop stop_sequences stop_token_ids store stream
stream_options suffix system temperature thinking timeout tool_choice tools
top_k top_logprobs top_p typical_p user verbosity web_search_options
"""

ARGUMENTS: Final = frozenset(_ARGUMENTS.split())
"""What the SDKs and common servers know."""

ROLES: Final = frozenset(
    ("assistant", "developer", "function", "system", "tool", "user")
)

_NUMBERS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_SHORT: Final = 5
"""Shorter names are too often near another one by chance, such as ``mode``."""

_FOREIGN_ROLES: Final[Mapping[str, str]] = {
    "ai": "assistant",
    "bot": "assistant",
    "human": "user",
}


def check_names(args: Mapping[str, Any]) -> None:
    """Raise if an argument of a call is misspelled, or no number where one is needed.

    Raises:
        InputTypeError: Naming the argument, and the one that is meant.
    """
    for name in args:
        if name not in ARGUMENTS and (meant := _near(name, ARGUMENTS)):
            raise InputTypeError(
                f"no call has an argument {name!r}; did you mean {meant!r}? What only "
                "one server knows goes into extra_body."
            )
    for name in _NUMBERS:
        value = args.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, Real)
        ):
            raise InputTypeError(
                f"{name} is {type(value).__name__}: {shorten(value)!r}; expected a "
                "number."
            )
    if callable(getattr(args.get("model"), "agenerate", None)):
        raise InputTypeError(
            f"model is a {type(args['model']).__name__}; expected a model's name. The "
            "client itself goes where a client is asked for, such as model_client=…."
        )


def check_role(index: int, role: Any) -> None:
    """Raise if the role of a message is misspelled.

    Raises:
        InputTypeError: It is no text.
        InputValueError: It is nearly that of a message.
    """
    if not isinstance(role, str):
        raise InputTypeError(
            f"the role of messages[{index}] is {type(role).__name__}; expected text, "
            "such as 'user'."
        )
    if role in ROLES:
        return
    if meant := _FOREIGN_ROLES.get(role) or _near(role.lower(), ROLES, shortest=0):
        raise InputValueError(
            f"messages[{index}] has the role {role!r}; did you mean {meant!r}?"
        )


@lru_cache(maxsize=256)
def _near(name: str, known: frozenset[str], shortest: int = _SHORT) -> str:
    """Return the known name that ``name`` is nearly; empty if there is none."""
    import difflib  # slow to import, and needed only for names that are not known

    if len(name) < shortest:
        return ""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.85)), "")
