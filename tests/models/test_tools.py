"""Tools and tool choices in any form, and calls that come back."""

import pytest

from afnio.errors import InputTypeError, InputValueError
from afnio.models._anthropic_messages import set_tools
from afnio.models._openai_messages import wire_tools
from afnio.models._tools import read_call

SCHEMA = {"type": "object", "properties": {"at": {"type": "integer"}}}
NEUTRAL = {"name": "look", "description": "Look there.", "parameters": SCHEMA}
OPENAI = {"type": "function", "function": NEUTRAL}
ANTHROPIC = {"name": "look", "description": "Look there.", "input_schema": SCHEMA}


@pytest.mark.parametrize("tool", [NEUTRAL, OPENAI, ANTHROPIC])
def test_every_form_of_a_tool_becomes_each_provider_s(tool):
    """Three ways to write a tool are one tool to both providers."""
    args = {"tools": [tool]}
    wire_tools(args)
    assert args == {"tools": [OPENAI]}
    args = {"tools": [tool]}
    set_tools(args)
    assert args == {"tools": [ANTHROPIC]}


def test_built_in_tools_are_passed_on():
    """A provider's own tool is not ours to read."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    for convert in (wire_tools, set_tools):
        args = {"tools": [search]}
        convert(args)
        assert args["tools"] == [search]


@pytest.mark.parametrize(
    ("choice", "openai", "anthropic"),
    [
        ("auto", "auto", {"type": "auto"}),
        ("none", "none", {"type": "none"}),
        ("required", "required", {"type": "any"}),
        ("any", "required", {"type": "any"}),
        (
            "look",
            {"type": "function", "function": {"name": "look"}},
            {"type": "tool", "name": "look"},
        ),
        (
            {"name": "look"},
            {"type": "function", "function": {"name": "look"}},
            {"type": "tool", "name": "look"},
        ),
        ({"type": "any"}, "required", {"type": "any"}),
    ],
)
def test_every_choice_becomes_each_provider_s(choice, openai, anthropic):
    """A choice of tools means the same to both providers."""
    args = {"tools": [NEUTRAL], "tool_choice": choice}
    wire_tools(args)
    assert args["tool_choice"] == openai
    args = {"tools": [NEUTRAL], "tool_choice": choice}
    set_tools(args)
    assert args["tool_choice"] == anthropic


def test_one_tool_at_a_time_is_asked_of_anthropic_in_its_words():
    """parallel_tool_calls is part of Anthropic's choice, if there are tools."""
    args = {"tools": [NEUTRAL], "parallel_tool_calls": False}
    set_tools(args)
    assert args["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    args = {"parallel_tool_calls": False}
    set_tools(args)
    assert args == {}


@pytest.mark.parametrize(
    ("args", "error", "said"),
    [
        ({"tools": NEUTRAL}, InputTypeError, "list of tools"),
        ({"tools": ["look"]}, InputTypeError, "a tool is str"),
        ({"tools": [{"description": "x"}]}, InputTypeError, "no name"),
        ({"tools": [{"name": "look at"}]}, InputValueError, "letters"),
        ({"tools": [{"name": "a", "parameters": 3}]}, InputTypeError, "int"),
        ({"tools": [NEUTRAL, OPENAI]}, InputValueError, "two tools"),
        ({"tools": [NEUTRAL], "tool_choice": "lok"}, InputValueError, "look"),
    ],
)
@pytest.mark.parametrize("convert", [wire_tools, set_tools])
def test_wrong_tools_are_refused(convert, args, error, said):
    """What no provider would accept is an error before anything is sent."""
    with pytest.raises(error, match=said):
        convert(dict(args))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"at": 1}', {"at": 1}), ({"at": 1}, {"at": 1}), ("", {}), (None, {})],
)
def test_arguments_are_read(arguments, expected):
    """Arguments are an object, written as JSON or not."""
    call = read_call("1", "look", arguments)
    assert (call.arguments, call.error) == (expected, None)


@pytest.mark.parametrize("arguments", ['{"at": ', "[1]", "3", [1], "null "])
def test_unreadable_arguments_are_an_error_to_feed_back(arguments):
    """A call whose arguments cannot be read says so, and is still a call."""
    call = read_call("1", "look", arguments)
    if arguments == "null ":
        assert (call.arguments, call.error) == ({}, None)
        return
    assert call.arguments == {}
    assert "look" in call.error
    assert "one JSON object" in call.error
