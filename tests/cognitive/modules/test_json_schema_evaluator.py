"""Tests of afnio.cognitive.modules.json_schema_evaluator."""

import pytest
from pydantic import BaseModel

import afnio.cognitive as cog
from afnio import Variable


class City(BaseModel):
    name: str


TEXTS = Variable(['{"name": "Rome"}', "{}"], "city")


@pytest.mark.parametrize("schema", [City, {"type": "object", "required": ["name"]}])
def test_configured_and_overridden(schema):
    """A class or a dict can be configured; a call overrides; the state is empty."""
    evaluate = cog.JSONSchemaEvaluator(schema)
    assert evaluate(TEXTS)[0].data == 1
    assert evaluate(TEXTS, "a target", {}, None)[0].data == [1, 1]
    assert dict(evaluate.state_dict()) == {}


def test_missing_schema():
    """A call without a schema says so."""
    with pytest.raises(TypeError, match="no schema"):
        cog.JSONSchemaEvaluator()(TEXTS)
