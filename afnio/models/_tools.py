"""Tools in one form for all providers, and the calls that come back.

A tool is ``{"name", "description", "parameters"}``, ``parameters`` a JSON schema; the
forms of OpenAI and Anthropic are understood as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from afnio._text import closest, shorten
from afnio.errors import InputTypeError, InputValueError
from afnio.models._messages import ToolCall

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}
_FORM: Final = 'expected {"name": …, "description": …, "parameters": a JSON schema}'
_MODES: Final = {"auto": "auto", "none": "none", "required": "required"}
_ALIASES: Final = {**_MODES, "any": "required"}


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model may call."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further keys, such as ``strict``; providers' own."""


def read_tool(tool: Any) -> Tool | None:
    """Return the tool that ``tool`` describes; None for a provider's built-in one.

    Raises:
        InputTypeError: It is no description of a tool.
        InputValueError: Its name is not one that providers accept.
    """
    if not isinstance(tool, Mapping):
        raise InputTypeError(f"a tool is {type(tool).__name__}; {_FORM}.")
    fields = tool.get("function") if tool.get("type") == "function" else tool
    if not isinstance(fields, Mapping) or "name" not in fields:
        if "type" in tool and tool["type"] != "function":
            return None
        raise InputTypeError(f"a tool has no name: {shorten(tool)!r}; {_FORM}.")
    if fields is tool and tool.get("type", "custom") != "custom":
        return None
    known = {"type", "name", "description", "parameters", "input_schema"}
    parameters = fields.get("parameters") or fields.get("input_schema")
    _check(fields["name"], parameters)
    return Tool(
        fields["name"],
        fields.get("description"),
        parameters or _ANY_OBJECT,
        {k: v for k, v in fields.items() if k not in known},
    )


def _check(name: Any, parameters: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputValueError(
            f"{name!r} cannot be the name of a tool; expected 1 to 64 letters, digits, "
            "underscores and hyphens."
        )
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InputTypeError(
            f"the parameters of tool {name!r} are {type(parameters).__name__}; "
            "expected a JSON schema as a dict."
        )


def tool_names(tools: Sequence[Any]) -> list[str]:
    """Return the names of ``tools``.

    Raises:
        InputTypeError: ``tools`` is no list.
        InputValueError: Two tools have one name.
    """
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Sequence):
        raise InputTypeError(
            f"tools is {type(tools).__name__}; expected a list of tools."
        )
    names = [found.name for tool in tools if (found := read_tool(tool)) is not None]
    for name in names:
        if names.count(name) > 1:
            raise InputValueError(f"two tools are called {name!r}; rename one.")
    return names


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether a model shall call a tool: a mode, or the name of one tool."""

    mode: str
    """``auto``, ``none``, ``required`` or ``tool``."""
    name: str = ""


def read_choice(choice: Any, names: Sequence[str]) -> Choice | None:
    """Return what ``choice`` means; None for a provider's own form.

    Args:
        choice: ``"auto"``, ``"none"``, ``"required"``, a tool's name, or
            ``{"name": …}``.
        names: The tools there are.

    Raises:
        InputValueError: It names no tool.
    """
    if isinstance(choice, Mapping):
        function = choice.get("function")
        named = function if isinstance(function, Mapping) else choice
        if "name" in named:
            return _named(str(named["name"]), names)
        mode = _ALIASES.get(str(choice.get("type")))
        return Choice(mode) if mode and len(choice) == 1 else None
    if choice in _ALIASES and choice not in names:
        return Choice(_ALIASES[choice])
    return Choice(_MODES[choice]) if choice in _MODES else _named(str(choice), names)


def _named(name: str, names: Sequence[str]) -> Choice:
    if names and name not in names:
        raise InputValueError(
            f"tool_choice names {name!r}, which is not among the tools; "
            f"{closest(name, [*names, *_MODES])}"
        )
    return Choice("tool", name)


def read_call(id: Any, name: Any, arguments: Any) -> ToolCall:  # noqa: A002
    """Return a tool call, with an error for the model where arguments are unreadable.

    Args:
        id: Of the call.
        name: Of the tool.
        arguments: A JSON text, or an object.
    """
    id, name = str(id or ""), str(name or "")  # noqa: A001
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError) as error:
            return ToolCall(
                id,
                name,
                {},
                f"the arguments of {name} are not valid JSON ({error}): "
                f"{shorten(arguments)!r}. Call it again with one JSON object.",
            )
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        return ToolCall(
            id,
            name,
            {},
            f"the arguments of {name} are {shorten(arguments)!r}; call it again with "
            "one JSON object.",
        )
    return ToolCall(id, name, dict(arguments))
