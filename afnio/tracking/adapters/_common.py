"""What adapters share: importing their library, and making facts flat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from afnio.errors import MissingExtraError


def need(module: str, logger: str, extra: str) -> Any:
    """Import a library that a logger needs.

    Raises:
        MissingExtraError: It is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{logger} needs {module.partition('.')[0]}, which cannot be imported "
            f"({error}): pip install 'afnio[{extra}]'"
        ) from error


def numbers(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the metrics that are numbers, by names that every tracker takes."""
    for name, value in metrics.items():
        if isinstance(value, (bool, int, float)):
            yield plain_name(name), float(value)


def plain_name(name: str) -> str:
    """Return a metric's name with no characters but those that trackers agree on."""
    clean = name.replace("($)", "_usd")
    return "".join(c if c.isalnum() or c in "_-./ " else "_" for c in clean)


def flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested facts as names with dots and short texts."""
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        else:
            yield name, value if isinstance(value, str) else json.dumps(value)


def prompts(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the parameters that a ``parameters`` event tells."""
    for each in fields.get("values", ()):
        data = each["data"]
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        yield each["name"], text
