"""The forms in which answers are asked for: tags, fields, code fences, JSON."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.simworld._notation import Prompt, capital

_TAGS: Final = re.compile(r"<([\w-]+)>[ \r\n]*([^<>]{0,80}?)[ \r\n]*</\1>")
_ASKED_FIELDS: Final = re.compile(
    r"Respond with (?:the corresponding output fields|a JSON object)(.*)", re.DOTALL
)
_NAMES: Final = re.compile(r"`(?:\[\[ ## )?(\w+)(?: ## \]\])?`")
_WHY: Final = re.compile(
    r"reason|why|think|expla|analy|cause|diagnos|rational", re.IGNORECASE
)
_KIND: Final = re.compile(r"^(op|kind|action|type|operation|edit)$", re.IGNORECASE)
_PLACE: Final = re.compile(
    r"anchor|find|old|where|line|after|place|target|quote", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a prompt."""

    kind: Literal["add", "replace", "delete"]
    anchor: str | None
    """The line that it replaces, deletes, or follows; None: the end."""
    line: str | None


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What a rewriter has come to."""

    prompt: Prompt
    edits: tuple[Edit, ...]
    advice: tuple[str, ...]


def schema_of(args: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the JSON schema that a call asks for, if it does."""
    wanted = args.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return None
    return dict(wanted.get("json_schema", {}).get("schema", {}))


def required(args: Mapping[str, Any]) -> list[str] | None:
    """Return the names of a call's JSON answer, or None if it asks for none."""
    schema = schema_of(args)
    return None if schema is None else list(schema.get("required", ()))


def asks_for_edits(args: Mapping[str, Any]) -> bool:
    """Whether the answer is a list of changes."""
    asked = json.dumps(schema_of(args) or {})
    return '"array"' in asked and '"value"' not in asked


def fields_of(text: str) -> list[str]:
    """Return the names of the fields that an answer has to have."""
    asked = _ASKED_FIELDS.search(text)
    names = _NAMES.findall(asked[1]) if asked else []
    return [name for name in dict.fromkeys(names) if name != "completed"]


def answer_in_fields(text: str, values: Mapping[str, str]) -> str:
    """Write an answer of several fields, as JSON if the request says so."""
    asked = _ASKED_FIELDS.search(text)
    if asked is not None and "JSON" in asked[0]:
        return json.dumps(dict(values))
    return in_fields(values)


def in_fields(values: Mapping[str, str]) -> str:
    """Write an answer of several fields."""
    said = [f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()]
    return "\n\n".join([*said, "[[ ## completed ## ]]"])


def write(
    found: Rewriting,
    text: str,
    args: Mapping[str, Any],
    rng: random.Random,
    *,
    broken: bool,
) -> str:
    """Write a new prompt in the form that a request asks for.

    Args:
        found: What to say.
        text: The request.
        args: Of the call.
        rng: Says how a broken answer is broken.
        broken: Whether the form is missed.
    """
    prompt = found.prompt.text()
    schema = schema_of(args)
    if schema is not None:
        said = _filled(schema, schema, "", found)
        if isinstance(said, dict) and "values" in said:  # whole texts, each by its name
            said["values"] = [{"name": _name_in(text, found), "value": prompt}]
        answer = json.dumps(said, indent=1)
        return answer[: len(answer) * 2 // 3] if broken else answer
    if fields := fields_of(text):
        values = {name: _field(name, prompt, found) for name in fields}
        answer = answer_in_fields(text, values)
        return answer[: len(answer) // 2] if broken else answer
    if tags := _asked_tags(text):
        opening, closing = f"<{tags}>\n", f"\n</{tags}>"
        return opening + prompt + ("" if broken else closing)
    if "```" in text:
        chat = "Here is the improved version:\n\n" if rng.random() < 0.3 else ""
        return chat + (prompt if broken else f"```\n{prompt}\n```")
    return prompt


def _asked_tags(text: str) -> str | None:
    """Return the last tags around words that only say what goes there."""
    found = [tag for tag, inside in _TAGS.findall(text) if not inside.endswith(".")]
    return found[-1] if found else None


def _field(name: str, prompt: str, found: Rewriting) -> str:
    if "instruction" in name:
        return prompt
    return " ".join(f"Suggestion: {advice}." for advice in found.advice) or "None."


def _filled(
    root: dict[str, Any], schema: dict[str, Any], name: str, found: Rewriting
) -> Any:
    """Return a value that fits a schema."""
    schema = _resolved(root, schema)
    if schema.get("type") == "object":
        parts = schema.get("properties", {})
        return {key: _filled(root, part, key, found) for key, part in parts.items()}
    if schema.get("type") == "array":
        item = _resolved(root, schema.get("items", {}))
        return [_edit(item, edit) for edit in found.edits]
    if schema.get("type") in ("integer", "number"):
        return 1
    if kinds := schema.get("enum"):
        return kinds[-1]
    if name == "rule":  # one more line for a prompt
        return "\n".join(f"- {capital(advice)}" for advice in found.advice)
    return "It was missing." if _WHY.search(name) else found.prompt.text()


def _name_in(text: str, found: Rewriting) -> str:
    """Return the name that stands on a line of its own before the prompt."""
    before = text[: text.rfind(found.prompt.head)]
    names = re.findall(r"^(\w+):$", before, re.MULTILINE)
    return str(names[-1]) if names else ""


def _resolved(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return root.get("$defs", {}).get(name, schema) if name else schema


def _edit(schema: dict[str, Any], edit: Edit) -> dict[str, Any]:
    """Write one change with the names and kinds that a schema has for it."""
    said: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        kinds = part.get("enum") or ()
        if kinds or _KIND.search(name):
            said[name] = _kind(edit, [str(kind) for kind in kinds])
        elif _WHY.search(name):
            said[name] = "It was missing."
        elif _PLACE.search(name):
            said[name] = f"- {edit.anchor}" if edit.anchor else ""
        else:
            said[name] = f"- {edit.line}" if edit.line else ""
    return said


def _kind(edit: Edit, kinds: list[str]) -> str:
    words = {
        "add": ("add", "insert", "append"),
        "replace": ("replace", "change", "rewrite"),
        "delete": ("delete", "remove"),
    }[edit.kind]
    for kind in kinds:
        if any(word in kind.lower() for word in words):
            return kind
    return kinds[0] if kinds else edit.kind
