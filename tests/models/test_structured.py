"""Typed replies: schemas out, objects in."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from afnio._dispatch import run_sync
from afnio.errors import ReplyError
from afnio.models import Reply
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
def test_reply_that_does_not_fit_is_an_error(text, said):
    """A reply that does not fit the class raises, with the field and the raw reply."""
    with pytest.raises(ReplyError, match=said) as caught:
        ask(text, response_format=Verdict)
    assert caught.value.reply == text


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
    st.sampled_from(["{}", "```json\n{}\n```", "```\n{}\n```", "Sure: {} Bye."]),
)
def test_json_is_found_in_fences_and_prose(document, around):
    """Whatever stands around an object, the object is found."""
    text = json.dumps(document)
    assert json.loads(extract_json(around.replace("{}", text))) == document
