"""``cache``: what is on file, and tidying it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from afnio._terminal import printable
from afnio.cli._command import command, print_json, say
from afnio.cli._settings import default_cache
from afnio.errors import InputValueError

if TYPE_CHECKING:
    from afnio.models._cache_admin import CacheEntry, CacheInfo

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look into a file of cached replies, tidy it, export it.",
)

File = Annotated[Path, typer.Argument(metavar="PATH", help="The cache file.")]
Default = Annotated[
    Path | None,
    typer.Argument(
        metavar="PATH",
        help="The cache file; by default cache.sqlite where runs are kept.",
    ),
]
Model = Annotated[str | None, typer.Option(help="Only entries of this model.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]

_KEY: Final = 12
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def info(path: Default = None, *, as_json: Json = False) -> None:
    """Show how much is on file, by model, and what it cost."""
    from afnio.models._cache_admin import summarize

    found = summarize(path or default_cache())
    if as_json:
        print_json(asdict(found))
        return
    for line in _info_lines(found):
        typer.echo(line)


def _info_lines(found: CacheInfo) -> Iterator[str]:
    yield f"{found.path}: {found.entries:,} replies, {found.bytes:,} bytes"
    for model, count in found.models.items():
        yield f"  {count:>8,}  {printable(model)}"
    tokens = found.input_tokens + found.output_tokens
    yield f"  paid for once: {tokens:,} tokens, ${found.cost_usd:.4f}"
    if found.oldest_s is not None:
        yield f"  from {_time(found.oldest_s)} to {_time(found.newest_s)}"


def list_entries(
    path: Default = None,
    *,
    model: Model = None,
    contains: Annotated[
        str | None, typer.Option(help="Only with this text, whatever its case.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List what is on file, the newest first."""
    from afnio.models._cache_admin import entries

    found = entries(
        path or default_cache(), model=model, contains=contains, limit=limit
    )
    if as_json:
        print_json([_brief(entry) for entry in found])
        return
    for entry in found:
        typer.echo(
            f"{entry.key[:_KEY]}  {_time(entry.stored_at_s)}  {printable(entry.model)}"
        )
        typer.echo(f"  asked    {printable(entry.prompt)}")
        typer.echo(f"  answered {printable(entry.answer)}")
    if not found:
        say("afnio: nothing on file matches.")


def _brief(entry: CacheEntry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "model": entry.model,
        "stored_at": entry.stored_at_s,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "cost_usd": float(entry.cost_usd),
        "prompt": entry.prompt,
        "answer": entry.answer,
    }


def show(
    path: File,
    key: Annotated[str, typer.Argument(help="An entry's key, or how it begins.")],
) -> None:
    """Show one entry as JSON: the request and the reply."""
    from afnio.models._cache_admin import entries

    found = entries(path, key=key, limit=2)
    if len(found) != 1:
        number = "several entries" if found else "no entry"
        raise InputValueError(f"{path} has {number} whose key begins with {key!r}.")
    print_json(found[0].document(), indent=2)


def prune(
    path: File,
    *,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Such as 30d, 12h, 45m, 90s.")
    ] = None,
    model: Model = None,
    max_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Then the oldest, down to 500k, 100M, 2G."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many would go.")
    ] = False,
) -> None:
    """Delete entries that match, and give their space back."""
    from afnio.models._cache_admin import prune as prune_entries

    number = prune_entries(
        path,
        older_than_s=None if older_than is None else _measure(older_than, _UNITS),
        model=model,
        max_bytes=None if max_size is None else int(_measure(max_size, _SIZES)),
        dry_run=dry_run,
    )
    typer.echo(f"{number:,} entries {'would be ' if dry_run else ''}deleted")


def export(
    path: File,
    out: Annotated[Path, typer.Argument(help="The .jsonl file to write.")],
) -> None:
    """Write all entries as lines of JSON, the oldest first."""
    from afnio.models._cache_admin import export_jsonl

    typer.echo(f"{export_jsonl(path, out):,} entries written to {out}")


def _measure(text: str, units: dict[str, int]) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]?)b?", text.strip().lower())
    if match is None or match[2] not in units:
        known = ", ".join(f"{unit}" for unit in units if unit)
        raise InputValueError(
            f"{text!r} is no amount; expected a number and one of {known}, such as 30"
            f"{next(unit for unit in reversed(units) if unit)}."
        )
    return float(match[1]) * units[match[2]]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "(time unknown)  "
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")


for _name, _function in (
    ("info", info),
    ("list", list_entries),
    ("show", show),
    ("prune", prune),
    ("export", export),
):
    command(app, _name)(_function)
