"""JSONSchemaEvaluator: whether text is JSON of an expected form."""

from __future__ import annotations

import builtins
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, Final

from afnio._text import fill, shorten
from afnio._variable import Variable
from afnio.autodiff import _evaluation as common
from afnio.autodiff._deterministic import KnowingEvaluator
from afnio.autodiff._evaluation import Reduction
from afnio.autodiff._evaluator_prompts import JSON_FEEDBACK
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.function import FunctionNode
from afnio.errors import InputTypeError, InputValueError, MissingExtraError

_PURPOSE: Final = "JSON schema"
_MESSAGE: Final = 300
"""Characters of one error."""

Check = Callable[[str], list[str]]
"""Lists everything wrong with a text, each error behind its path."""


@evaluator
class JSONSchemaEvaluator(KnowingEvaluator):
    """Score 1 where text is JSON that fits a schema, else 0.

    ``apply(prediction, schema, reduction_fn=sum, reduction_fn_purpose="summation")``.
    Nothing around the JSON is allowed. ``format`` is not asserted, and references to
    other documents are not followed.

    Args of apply:
        prediction: The Variable to score; a list is a batch. It must hold text.
        schema: A pydantic class or ``TypeAdapter``, or a JSON schema as a dict, which
            needs ``pip install afnio[jsonschema]``.
        reduction_fn: Makes one score of a batch's; None keeps the list.
        reduction_fn_purpose: What it computes, in words.

    Model calls: none, forward or backward.

    Raises:
        InputTypeError: An argument of the wrong type, or a prediction that is no text.
        InputValueError: ``schema`` is no valid JSON schema.
        MissingExtraError: A JSON schema was given, and jsonschema is not installed.
    """

    @staticmethod
    def plan(
        prediction: Variable,
        schema: Any,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[str, ...]:
        """Validate and return the roles of score and explanation."""
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        common.validate_parts(prediction, reduction)
        checker(schema)
        return common.roles_of(prediction)

    @staticmethod
    def forward(
        ctx: FunctionNode,
        prediction: Variable,
        schema: Any,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable | None = "summation",
    ) -> tuple[Any, Any]:
        """Check every sample, then reduce."""
        check, name = checker(schema), _name(schema)
        batch = isinstance(prediction.data, list)
        column = prediction.data if batch else [prediction.data]
        ctx.save_for_backward(prediction)
        ctx.write = functools.partial(_write, str(prediction.role or "prediction"))
        ctx.evidence = tuple(
            Evidence(index=index, target=name)
            if item is None and batch
            else _record(check, index, item, name)
            for index, item in enumerate(column)
        )
        reduction = Reduction(reduction_fn, reduction_fn_purpose)
        return common.conclude(_PURPOSE, ctx.evidence, reduction, batch=batch, say=_say)


def _record(check: Check, index: int, item: Any, name: str) -> Evidence:
    try:
        errors = check(common.require_text(item, _PURPOSE))
    except Exception as error:
        error.add_note(f"while evaluating sample {index}")
        raise
    return Evidence(
        index=index,
        output=item,
        target=name,
        score=int(not errors),
        success=not errors,
        critique="\n".join(errors),
    )


def checker(schema: Any) -> Check:
    """Return what checks a text against a schema.

    Raises:
        InputTypeError: ``schema`` is nothing that describes JSON.
        InputValueError: It is no valid JSON schema.
        MissingExtraError: jsonschema is needed and not installed.
    """
    for method in ("model_validate_json", "validate_json"):
        if callable(validate := getattr(schema, method, None)):
            return functools.partial(_pydantic_errors, validate)
    if isinstance(schema, Mapping):
        return functools.partial(_schema_errors, _validator(dict(schema)))
    raise InputTypeError(
        "schema must be a pydantic class, a TypeAdapter or a JSON schema as a dict, "
        f"got {type(schema).__name__}: {shorten(schema)}."
    )


def _pydantic_errors(validate: Callable[[str], Any], text: str) -> list[str]:
    from pydantic import ValidationError

    try:
        validate(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return _sorted((item["loc"], item["msg"]) for item in found)
    return []


def _validator(schema: dict[str, Any]) -> Any:
    try:
        jsonschema = import_module("jsonschema")
        specifications = import_module("jsonschema_specifications")
    except ImportError as error:
        raise MissingExtraError(
            "checking against a JSON schema needs jsonschema: "
            "pip install 'afnio[jsonschema]'; a pydantic class needs nothing more."
        ) from error
    latest = jsonschema.Draft202012Validator
    cls = jsonschema.validators.validator_for(schema, default=latest)
    try:
        cls.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise InputValueError(
            f"schema is no valid JSON schema: {error.json_path}: "
            f"{shorten(error.message)}."
        ) from error
    return cls(schema, registry=specifications.REGISTRY)


def _schema_errors(validator: Any, text: str) -> list[str]:
    unresolvable = import_module("referencing.exceptions").Unresolvable
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        found = [(e.absolute_path, e.message) for e in validator.iter_errors(value)]
    except ValueError as error:
        return [f"$: it is no JSON: {shorten(error, _MESSAGE)}"]
    except RecursionError:
        return ["$: it nests too deeply to be checked"]
    except unresolvable as error:
        raise InputValueError(
            f"schema refers to something outside of it: {shorten(error)}. Put it under "
            "$defs."
        ) from error
    return _sorted(found)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _sorted(errors: Iterable[tuple[Iterable[Any], str]]) -> list[str]:
    return sorted(f"{_path(loc)}: {shorten(text, _MESSAGE)}" for loc, text in errors)


def _path(parts: Iterable[Any]) -> str:
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return "$" + "".join(steps)


def _name(schema: Any) -> str:
    if isinstance(schema, Mapping):
        return str(schema.get("title") or "JSON schema")
    return str(getattr(schema, "__name__", type(schema).__name__))


def _say(record: Evidence) -> str:
    if record.score is None:
        return f"The {_PURPOSE} evaluation had no prediction to check."
    errors = f" Errors: {'; '.join(record.critique.splitlines())}."
    return (
        f"The {_PURPOSE} evaluation checked the prediction '{record.output}' against "
        f"{record.target} and gave the score: {record.score}."
        f"{'' if record.success else errors}"
    )


def _write(role: str, record: Evidence) -> str:
    return fill(
        JSON_FEEDBACK,
        {
            "role": role,
            "schema": record.target,
            "prediction": common.fenced(record.output, "prediction"),
            "errors": common.fenced(record.critique, "errors"),
        },
    )
