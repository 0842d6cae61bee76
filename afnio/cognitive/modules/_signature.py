"""What a model has to know of a function: its arguments, from signature and docstring.

pydantic turns the annotations into a JSON schema, and checks what the model sends.
"""

from __future__ import annotations

import inspect
import re
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError

_VARIADIC: Final[Mapping[Any, str]] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's arguments, as a schema and as a check."""

    parameters: Mapping[str, Any]
    """JSON schema of the arguments."""
    model: Any
    """The pydantic class that checks them; its fields have other names."""

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that were given, converted to their types.

        Raises:
            InputValueError: Saying of every argument that does not fit why.
        """
        import pydantic

        try:
            found = self.model.model_validate(dict(arguments))
        except pydantic.ValidationError as error:
            raise InputValueError(_problems(error)) from error
        fields = self.model.model_fields
        return {
            field.alias: getattr(found, name)
            for name, field in fields.items()
            if name in found.model_fields_set
        }


def read_signature(fn: Callable[..., Any], name: str) -> Signature:
    """Return the arguments of ``fn``.

    Args:
        fn: What the model calls.
        name: What the tool is called, for errors.

    Raises:
        InputTypeError: Its arguments cannot be described as a JSON object.
    """
    import pydantic

    described = _arguments_in(inspect.getdoc(fn) or "")
    fields: dict[str, Any] = {}
    for position, (arg, (kind, parameter)) in enumerate(_annotated(fn, name).items()):
        default = ... if parameter.default is parameter.empty else parameter.default
        about: dict[str, Any] = {"alias": arg}
        if arg in described:
            about["description"] = described[arg]
        fields[f"a{position}"] = (kind, pydantic.Field(default, **about))
    try:
        model = pydantic.create_model(
            name, __config__=pydantic.ConfigDict(extra="forbid"), **fields
        )
        with warnings.catch_warnings():  # a default that is no JSON is left out
            warnings.simplefilter(
                "ignore", pydantic.json_schema.PydanticJsonSchemaWarning
            )
            schema = _untitled(model.model_json_schema())
    except pydantic.errors.PydanticUserError as error:
        raise InputTypeError(
            f"the tool {name!r} takes arguments that JSON has no form for: "
            f"{shorten(error, 300)}. Annotate them with text, numbers, bool, lists, "
            "dicts, Literal, or pydantic classes."
        ) from error
    return Signature({"type": "object", "properties": {}, **schema}, model)


def _annotated(
    fn: Callable[..., Any], name: str
) -> dict[str, tuple[Any, inspect.Parameter]]:
    """Return every argument's type and parameter, in order."""
    try:
        signature = inspect.signature(fn)
        target = fn if inspect.isroutine(fn) else type(fn).__call__
        hints = typing.get_type_hints(target, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise InputTypeError(
            f"the signature of the tool {name!r} cannot be read: {error}. Wrap it in "
            "a function with annotated arguments."
        ) from error
    found = {}
    for arg, parameter in signature.parameters.items():
        if arg == "self" and "." in getattr(fn, "__qualname__", ""):
            raise InputTypeError(
                f"the tool {name!r} is a method without its object; pass the method of "
                "an object: Tool(thing.method)."
            )
        if parameter.kind in _VARIADIC or (
            parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        ):
            shown = _VARIADIC.get(parameter.kind, "") + arg
            raise InputTypeError(
                f"the tool {name!r} takes {shown!r}; a model names every argument, so "
                "*args, **kwargs and positional-only arguments cannot be called. Wrap "
                "it in a function without them."
            )
        found[arg] = (_described(hints.get(arg, Any)), parameter)
    return found


def _described(hint: Any) -> Any:
    """Let a plain text in ``Annotated[..., "text"]`` be the description."""
    import pydantic

    if typing.get_origin(hint) is not Annotated:
        return hint
    kind, *extras = typing.get_args(hint)
    infos = [
        pydantic.Field(description=extra) if isinstance(extra, str) else extra
        for extra in extras
    ]
    for info in infos:
        kind = Annotated[kind, info]
    return kind


def _arguments_in(doc: str) -> dict[str, str]:
    import docstring_parser

    parsed = docstring_parser.parse(doc)
    found = {item.arg_name: (item.description or "").strip() for item in parsed.params}
    return {name: text for name, text in found.items() if text}


def description_in(fn: Callable[..., Any]) -> str:
    """Return what a function's docstring says that it does, without its sections."""
    import docstring_parser

    doc = inspect.getdoc(fn) if inspect.isroutine(fn) else type(fn).__doc__
    return (docstring_parser.parse(doc or "").description or "").strip()


def name_of(fn: Any) -> str:
    """Return a function's name, or that of an object's class in snake case."""
    own = getattr(fn, "__name__", None)
    if isinstance(own, str):
        return own
    inner = getattr(fn, "func", None)  # functools.partial
    if inner is not None:
        return name_of(inner)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(fn).__name__).lower()


def _untitled(schema: Any, *, names: bool = False) -> Any:
    """Drop the titles that pydantic makes up; ``names``: its keys are arguments."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _untitled(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key != "title" or not isinstance(value, str)
    }


def _problems(error: Any) -> str:
    """List what does not fit, one argument a line; values are shortened."""
    lines = []
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"]) or "arguments"
        given = "" if item["type"] == "missing" else f" (got {shorten(item['input'])})"
        lines.append(f"- {place}: {item['msg']}{given}")
    return "\n".join(lines)
