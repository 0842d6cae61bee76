"""Typed replies: schemas out, objects in."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from afnio._dispatch import run_sync
from afnio.errors import BudgetError, ReplyError
from afnio.models import Budget, Reply
from afnio.models._structured import (
    extract_json,
    json_schema,
    strict_schema,
    wire_format,
)
from afnio.models.testing import ScriptedModel


class Inner(BaseModel):
    default: int = 3


class Verdict(BaseModel):
    label: Literal["yes", "no"]
    inner: Inner = Inner()
    properties: list[Inner] = []


def ask(replies, **args):
    """Ask a script and return its reply."""
    messages = [{"role": "user", "content": "?"}]
    return run_sync(ScriptedModel(replies).agenerate(messages, **args))


def test_class_becomes_an_object():
    """A pydantic class as response_format gives an instance in parsed."""
    reply = ask('{"label": "yes"}', response_format=Verdict)
    assert reply.parsed == Verdict(label="yes")
    assert reply.text == '{"label": "yes"}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"label": "maybe"}', "label"),
        ("Sorry, no.", "Invalid JSON"),
        ("", "Invalid JSON"),
    ],
)
def test_reply_that_does_not_fit_twice_is_an_error(text, said):
    """What does not fit after a repair raises, with the field and the raw reply."""
    with pytest.raises(ReplyError, match=said) as caught:
        ask(text, response_format=Verdict)
    assert caught.value.reply == text


def test_unfit_reply_is_repaired_once():
    """The model sees its reply and what is wrong with it; both calls are counted."""
    model = ScriptedModel(['{"label": "maybe"}', '```json\n{"label": "no"}\n```'])
    question = [{"role": "user", "content": "?"}]
    reply = run_sync(model.agenerate(question, response_format=Verdict))
    assert reply.parsed == Verdict(label="no")
    first, second = model.requests
    assert second.messages[:2] == (
        first.messages[0],
        {"role": "assistant", "content": '{"label": "maybe"}'},
    )
    assert second.args == first.args
    prompt = second.messages[2]["content"]
    assert "label: Input should be" in prompt
    assert '"inner"' in prompt  # the schema
    assert model.get_usage()["total_tokens"] == reply.usage.total_tokens
    assert model.get_usage_by_role()["forward"]["scripted"]["calls"] == 2


def test_words_of_a_repair():
    """The prompt is part of the contract: a change of its words is a change of it."""
    model = ScriptedModel(["</reason> no", '{"a": 1}'])
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}},
    }
    question = [{"role": "user", "content": "?"}]
    assert run_sync(model.agenerate(question, response_format=wanted)).parsed == {
        "a": 1
    }
    assert model.requests[1].messages[2]["content"] == (
        "That reply cannot be used, because it does not fit the format asked for:\n"
        "<reason2>\n"
        "expected JSON, got: </reason> no (Expecting value: line 1 column 1 "
        "(char 0)).\n"
        "</reason2>\n"
        "Answer the request before it again: one JSON value that fits this schema, and "
        "nothing before or after it.\n"
        '<schema>\n{\n "type": "object"\n}\n</schema>'
    )


def test_repair_is_paid_from_the_budget():
    """A second question that does not fit the budget is not asked."""
    model = ScriptedModel(["no", '{"label": "no"}'])
    with Budget(calls=1), pytest.raises(BudgetError):
        model.chat([{"role": "user", "content": "?"}], response_format=Verdict)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("reply", "args"),
    [
        (Reply("{", stop_reason="max_tokens"), {}),
        (Reply("I will not", stop_reason="refusal"), {}),
        (Reply("no", stop_reason="content_filter"), {}),
        (Reply("no"), {"role": "critic"}),
        (Reply("no"), {"role": "judge"}),
        (Reply("no"), {"role": "optimizer"}),
    ],
)
def test_what_asking_again_cannot_help_is_not_asked_again(reply, args):
    """Cut off and refused replies stay; critics and judges repair on their own."""
    model = ScriptedModel([reply])
    question = [{"role": "user", "content": "?"}]
    wanted = {"type": "json_object"}
    found = run_sync(model.agenerate(question, response_format=wanted, **args))
    assert (found.text, found.parsed) == (reply.text, None)
    assert len(model.requests) == 1


def test_refusal_is_no_object():
    """A refusal is named as such."""
    with pytest.raises(ReplyError, match="'refusal'"):
        ask(Reply(None, stop_reason="refusal"), response_format=Verdict)


def test_json_formats_are_parsed_leniently():
    """A dict response_format never raises: what is no JSON gives None."""
    wanted = {"type": "json_object"}
    assert ask('{"a": 1}', response_format=wanted).parsed == {"a": 1}
    assert ask("no json", response_format=wanted).parsed is None
    assert ask('{"a": 1}').parsed is None


def test_strict_schema_closes_objects_and_keeps_names():
    """Every object is closed, every field required; fields named like keywords stay."""
    schema = strict_schema(json_schema(Verdict))
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["label", "inner", "properties"]
    inner = schema["$defs"]["Inner"]
    assert inner["required"] == ["default"]
    assert "default" not in inner["properties"]["default"]


def test_wire_format_passes_dicts_verbatim():
    """Only classes are converted."""
    given_format = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    assert wire_format(given_format) is given_format
    assert wire_format(Verdict)["json_schema"]["name"] == "Verdict"
    assert json_schema(given_format) == {}
    assert json_schema({"type": "text"}) is None


documents = st.dictionaries(st.text(), st.text() | st.integers(), max_size=4)


@given(
    documents,
    st.sampled_from(
        [
            "{}",
            "```json\n{}\n```",
            "```\n{}\n```",
            "Sure: {} Bye.",
            "{} Bye.",
            "In {braces}: {}",
            "<think>{ no }</think>\n{}",
        ]
    ),
)
def test_json_is_found_in_fences_and_prose(document, around):
    """Whatever stands around an object, the object is found."""
    text = json.dumps(document)
    assert json.loads(extract_json(around.replace("{}", text))) == document
