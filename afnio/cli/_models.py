"""``models``: which providers there are, and what their models cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Annotated, Any, Final

import typer

from afnio.cli._command import command, print_json
from afnio.cli._load import load_object

_MILLION: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ProviderLine:
    """One provider, and whether it can be used here."""

    provider: str
    client: str
    installed: bool
    key_variable: str | None
    """The environment variable that its key is read from."""
    key_set: bool | None
    """Whether that is set; None if no key is needed. The key is never shown."""


@dataclass(frozen=True, kw_only=True)
class PriceLine:
    """What a model costs, in US dollars per million tokens; None if unknown."""

    model: str
    input: float | None
    output: float | None


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(models)


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROVIDER/MODEL]...", help="Models to show prices of."),
    ] = None,
    *,
    load: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py:NAME",
            help="A function that registers providers of your own; called first.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else.")
    ] = False,
) -> None:
    """List providers, keys and prices.

    Keys themselves are never shown.

    Examples:
      afnio models
      afnio models openai/gpt-4o anthropic/claude-sonnet-4-5
    """
    for spec in load or ():
        load_object(spec)()
    providers = [*_providers()]
    prices = [_price(name) for name in names or ()]
    if as_json:
        shown = {
            "providers": [asdict(line) for line in providers],
            "prices": [asdict(line) for line in prices],
        }
        print_json(shown)
        return
    for line in _lines(providers, prices):
        typer.echo(line)


def _providers() -> Iterator[ProviderLine]:
    from afnio.models.model_registry import PROVIDERS, _registered

    for name, factory in sorted({**PROVIDERS, **_registered}.items()):
        client = _client_class(factory)
        package = getattr(client, "_package", None)
        variable = getattr(client, "_key_variable", None)
        needed = "xllamacpp" if name == "local" else package
        yield ProviderLine(
            provider=name,
            client=getattr(client, "__name__", str(client)),
            installed=needed is None or find_spec(needed) is not None,
            key_variable=variable,
            key_set=None if variable is None else bool(os.environ.get(variable)),
        )


def _client_class(factory: Any) -> Any:
    """Return the class behind a factory, which may be a method of it."""
    if isinstance(factory, str):
        return factory
    owner = getattr(factory, "__self__", None)
    return owner if isinstance(owner, type) else factory


def _price(name: str) -> PriceLine:
    from afnio.models._prices import PriceBook
    from afnio.models._usage import Usage
    from afnio.models.model_registry import split_path

    provider, model = split_path(name)
    if provider == "local":
        return PriceLine(model=name, input=0.0, output=0.0)
    book = PriceBook(provider)
    costs = [
        book.cost(usage, model)
        for usage in (Usage(input_tokens=_MILLION), Usage(output_tokens=_MILLION))
    ]
    found = [None if cost is None else float(cost) for cost in costs]
    return PriceLine(model=name, input=found[0], output=found[1])


def _lines(providers: list[ProviderLine], prices: list[PriceLine]) -> Iterator[str]:
    for line in providers:
        parts = [f"{line.provider:<12}", f"{line.client:<14}"]
        parts.append("installed    " if line.installed else "not installed")
        if line.key_variable is not None:
            state = "is set" if line.key_set else "is not set"
            parts.append(f"{line.key_variable} {state}")
        yield "  ".join(parts).rstrip()
    for price in prices:
        if price.input is None or price.output is None:
            yield f"{price.model}: no price is known"
        else:
            yield (
                f"{price.model}: ${price.input:g} in, ${price.output:g} out, per "
                "million tokens"
            )
