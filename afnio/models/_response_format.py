"""Response formats for JSON objects, as strict as providers can hold models to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def object_schema(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response format for an object in which every property is required."""
    return {
        "type": "json_schema",
        "json_schema": {
            "name": name,
            "strict": True,
            "schema": closed_object(properties),
        },
    }


def closed_object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with just these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
