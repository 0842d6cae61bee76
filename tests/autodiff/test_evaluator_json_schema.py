"""JSONSchemaEvaluator: pydantic classes, JSON schemas, and errors by path."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
from pydantic import BaseModel, TypeAdapter, field_validator

from afnio import Variable
from afnio.autodiff.evaluator import JSONSchemaEvaluator
from afnio.errors import InputTypeError, InputValueError, MissingExtraError


class Item(BaseModel):
    name: str
    price: float


class Order(BaseModel):
    items: list[Item]
    note: str


SCHEMA = {
    "title": "Order",
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        "note": {"type": "string"},
    },
    "required": ["items", "note"],
    "$defs": {
        "item": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
            "required": ["name", "price"],
        }
    },
}
RIGHT = json.dumps({"items": [{"name": "tea", "price": 2}], "note": "-"})
WRONG = json.dumps({"items": [{"name": "tea", "price": "two"}, {"name": 3}]})
schemas = pytest.mark.parametrize("schema", [Order, SCHEMA, TypeAdapter(Order)])


@schemas
def test_fits_or_not(schema):
    """Fitting JSON scores 1, other JSON and other text 0."""
    texts = Variable([RIGHT, WRONG, "no JSON", f"```json\n{RIGHT}\n```"], "order")
    score, _ = JSONSchemaEvaluator.apply(texts, schema, None)
    assert score.data == [1, 0, 0, 0]


@schemas
def test_all_errors_are_listed_by_path(schema):
    """Feedback and explanation name every error and where it is."""
    text = Variable(WRONG, "order", requires_grad=True)
    score, explanation = JSONSchemaEvaluator.apply(text, schema)
    explanation.backward()
    for words in (text.grad[0].data, explanation.data, score.evidence[0].critique):
        assert "$.items[0].price: " in words
        assert "$.items[1].name: " in words
        assert "$.items[1]" in words
        assert "note" in words
    assert len(score.evidence[0].critique.splitlines()) == 4


@schemas
def test_what_fits_gets_no_feedback(schema):
    """Right samples carry an empty gradient."""
    text = Variable(RIGHT, "order", requires_grad=True)
    JSONSchemaEvaluator.apply(text, schema)[0].backward()
    assert [grad.data for grad in text.grad] == [""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": NaN}', "NaN"),
        ("[" * 100_000, "nests too deeply"),
        ("", "no JSON"),
        ("{} {}", "no JSON"),
    ],
)
def test_strict_json(text, words):
    """What strict parsers refuse is refused, and said."""
    score, _ = JSONSchemaEvaluator.apply(Variable(text), {})
    assert score.data == 0
    assert words in score.evidence[0].critique


@pytest.mark.parametrize(
    ("schema", "error", "words"),
    [
        ({"type": "objekt"}, InputValueError, "no valid JSON schema"),
        (dict, InputTypeError, "schema"),
        ("{}", InputTypeError, "schema"),
    ],
)
def test_wrong_schemas(schema, error, words):
    """A schema is checked at the call."""
    with pytest.raises(error, match=words):
        JSONSchemaEvaluator.apply(Variable("{}"), schema)


def test_other_documents_are_not_fetched():
    """A reference to elsewhere is a fault of the schema, and nothing is downloaded."""
    schema = {"$ref": "https://example.invalid/schema.json"}
    with pytest.raises(InputValueError, match="refers to something outside"):
        JSONSchemaEvaluator.apply(Variable("{}"), schema)[0].data


def test_a_missing_extra_names_its_install_line(monkeypatch):
    """Without jsonschema a dict is refused, a pydantic class works."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(MissingExtraError, match=r"afnio\[jsonschema\]"):
        JSONSchemaEvaluator.apply(Variable("{}"), SCHEMA)
    assert JSONSchemaEvaluator.apply(Variable(RIGHT), Order)[0].data == 1


def test_importing_loads_no_validator():
    """The validators load on first use."""
    module = importlib.import_module("afnio.autodiff._json_schema_evaluator")
    assert not {"jsonschema", "pydantic"} & set(vars(module))


def test_a_failing_validator_is_an_error_not_a_score():
    """An error that is no verdict on the text is raised."""

    class Broken(BaseModel):
        a: int

        @field_validator("a")
        @classmethod
        def fail(cls, value):
            raise LookupError("table is down")

    with pytest.raises(LookupError) as caught:
        JSONSchemaEvaluator.apply(Variable(['{"a": 1}']), Broken)
    assert caught.value.__notes__ == ["while evaluating sample 0"]


def test_missing_samples_and_numbers():
    """None in a batch has no score; what is no text is an error."""
    score, _ = JSONSchemaEvaluator.apply(Variable([RIGHT, None]), Order, None)
    assert score.data == [1, None]
    with pytest.raises(InputTypeError, match="needs text"):
        JSONSchemaEvaluator.apply(Variable(3), Order)
