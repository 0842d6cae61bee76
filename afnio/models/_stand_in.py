"""What stands for a reply where none is asked for: it has the form that was wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from afnio.models._messages import Reply, Request
from afnio.models._structured import json_schema

STAND_IN: Final = "(a reply would stand here)"

_BYTES_PER_TOKEN: Final = 4
_FILLER: Final = " …words…"
_DEEPEST: Final = 8
"""Levels of a schema that refers to itself, before optional parts are left out."""

_TAGS: Final = re.compile(r"^<([\w-]+)>\n[^<\n]+\n</\1>$", re.MULTILINE)
_VECTOR: Final = (0.0,) * 8


def stand_in_reply(request: Request, text: str | None, tokens: int) -> Reply:
    """Return a reply in the form that ``request`` asks for.

    Args:
        request: The call.
        text: Exactly what to say; found out from the request where None.
        tokens: How long a free text should be.
    """
    if request.kind == "embedding":
        texts = request.messages[0]["content"]
        return Reply(None, parsed=[list(_VECTOR) for _ in texts])
    return Reply(stand_in_text(request, tokens) if text is None else text)


def stand_in_text(request: Request, tokens: int) -> str:
    """Return JSON for a schema, a text in tags where tags were asked for, or words."""
    schema = json_schema(request.args.get("response_format"))
    if schema is not None:
        return json.dumps(instance(schema, schema), ensure_ascii=False)
    last = request.messages[-1].get("content")
    words = filled(tokens)
    if isinstance(last, str) and (tags := _TAGS.findall(last)):
        return f"<{tags[-1]}>\n{words}\n</{tags[-1]}>"
    return words


def filled(tokens: int) -> str:
    """Return a text of about so many tokens that says what it is."""
    missing = tokens * _BYTES_PER_TOKEN - len(STAND_IN)
    return STAND_IN + _FILLER * max(0, missing // len(_FILLER.encode()))


def instance(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a small value that fits a JSON schema, as far as schemas are that simple.

    Args:
        schema: What to fit.
        root: The whole document, which ``$ref`` refers into.
        depth: How deep ``schema`` is in it.
    """
    if not isinstance(schema, Mapping):
        return STAND_IN
    for keyword, make in _KEYWORDS.items():
        if schema.get(keyword):
            return make(schema, root, depth)
    if "const" in schema:  # its value may be false
        return schema["const"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    make_kind: Callable[..., Any] = _MAKERS.get(kind, _text)
    return make_kind(schema, root, depth)


def _first(schema: Mapping[str, Any], _root: Mapping[str, Any], _depth: int) -> Any:
    return schema["enum"][0]


def _choice(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    """Take the first choice; null, if the schema goes round in circles."""
    choices = schema.get("anyOf") or schema["oneOf"]
    if depth > _DEEPEST:
        for choice in choices:
            if isinstance(choice, Mapping) and choice.get("type") == "null":
                return None
    return instance(choices[0], root, depth + 1)


def _reference(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    return instance(_resolved(str(schema["$ref"]), root), root, depth + 1)


def _all(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    merged: dict[str, Any] = {}
    for part in schema["allOf"]:
        merged.update(_resolved(str(part["$ref"]), root) if "$ref" in part else part)
    return instance(merged, root, depth + 1)


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(name, {}) if isinstance(found, Mapping) and name else found
    return found if isinstance(found, Mapping) else {}


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    properties = schema.get("properties", {})
    names = schema.get("required", properties if depth <= _DEEPEST else ())
    return {name: instance(properties.get(name), root, depth + 1) for name in names}


def _array(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    fewest = int(schema.get("minItems", 0 if depth > _DEEPEST else 1))
    fewest = min(fewest, int(schema.get("maxItems", fewest)))
    return [instance(schema.get("items"), root, depth + 1) for _ in range(fewest)]


def _text(schema: Mapping[str, Any], _root: Mapping[str, Any], _depth: int) -> str:
    text = STAND_IN.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema.get("maxLength", len(text)))]


def _number(schema: Mapping[str, Any], _root: Mapping[str, Any], _depth: int) -> Any:
    """Take the lowest number: what a stand-in does is the worst that can be."""
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    highest = schema.get("maximum", schema.get("exclusiveMaximum", lowest + 1) - 1)
    return min(lowest, highest) if "minimum" not in schema else lowest


def _false(*_: Any) -> bool:
    return False


def _null(*_: Any) -> None:
    return None


_KEYWORDS: Final[dict[str, Callable[..., Any]]] = {
    "enum": _first,
    "$ref": _reference,
    "anyOf": _choice,
    "oneOf": _choice,
    "allOf": _all,
}
"""Keywords that decide before a type does, and what they make."""

_MAKERS: Final[dict[str, Callable[..., Any]]] = {
    "array": _array,
    "boolean": _false,
    "integer": _number,
    "null": _null,
    "number": _number,
    "object": _object,
    "string": _text,
}
"""What to make for each type of a schema."""
