"""``diff``: what two runs, programs, evaluations or prompts have different."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from afnio._terminal import printable
from afnio.cli._command import command, print_json
from afnio.cli._runs import checkpoint_of, find_run, find_state
from afnio.errors import InputValueError, MissingFileError

if TYPE_CHECKING:
    from afnio.evaluation import Evaluation
    from afnio.tracking.summary import TestLook

_TEXTS: Final = frozenset({".txt", ".md", ".prompt", ".jinja", ".j2", ""})
_PROMPT: Final = "prompt"
_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two things compared."""

    name: str
    prompts: Mapping[str, Any] | None = None
    """Parameters by name; None where that is not known."""
    look: TestLook | None = None
    """The last look at the test set."""
    evaluation: Evaluation | None = None
    """Of an evaluation, its results; of a run, those of the last look."""
    is_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """The differences."""

    prompts: Mapping[str, list[str]] = field(default_factory=dict)
    """Lines of a diff, by parameter; of those that differ."""
    same: int = 0
    """Parameters that are equal."""
    scores: Mapping[str, Any] | None = None
    words: tuple[str, ...] = ()


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(diff)


def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="BEFORE",
            help="A run, a checkpoint, an evaluation or a prompt's text file.",
        ),
    ],
    after: Annotated[
        str, typer.Argument(metavar="AFTER", help="What to compare it with.")
    ],
    *,
    samples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Changed samples shown.")
    ] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else.")
    ] = False,
) -> None:
    """Compare runs, evaluations or prompts.

    Shows how prompts differ, and the paired difference of scores.

    Runs are compared by their best checkpoints and their last looks at the test set,
    if both looked at the same samples; evaluations (afnio eval --out) sample by sample.

    Examples:
      afnio diff runs/demo/first runs/demo/second
      afnio diff old.json new.json --json
      afnio diff prompts/v1.txt prompts/v2.txt
    """
    found = _compare(_side(before), _side(after), samples)
    if as_json:
        print_json({"before": before, "after": after, **asdict(found)})
        return
    for line in _lines(found):
        typer.secho(line, fg=_COLOURS.get(line[:1]))


def _side(name: str) -> Side:
    path = Path(name)
    if path.is_file() and path.suffix.lower() in _TEXTS:
        return Side(name=name, prompts={_PROMPT: path.read_text("utf-8")})
    if path.is_file() and _is_evaluation(path):
        from afnio.evaluation import Evaluation

        return Side(name=name, evaluation=Evaluation.load(path))
    if path.is_file():
        return Side(name=name, prompts=_texts(find_state(name)[1]))
    return _run(name)


def _is_evaluation(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"afnio.evaluation"' in file.read(64)


def _run(name: str) -> Side:
    from afnio.tracking import read_run
    from afnio.tracking.summary import look_from

    path = find_run(name)
    _, events = read_run(path)
    looks = [look_from(event) for event in events if event.get("type") == "test"]
    try:
        prompts = _texts(find_state(str(checkpoint_of(path)))[1])
    except MissingFileError:
        prompts = None
    last = looks[-1] if looks else None
    results = _results(name, events)
    return Side(name=name, prompts=prompts, look=last, evaluation=results, is_run=True)


def _results(name: str, events: Iterable[Mapping[str, Any]]) -> Evaluation | None:
    """Return the results of a run's last test, as far as they are on record."""
    from afnio.evaluation import Evaluation, SampleResult

    told: dict[str, Mapping[str, Any]] = {}
    last: list[Mapping[str, Any]] = []
    for event in events:
        if event.get("type") == "outcomes" and event.get("stage") == "test":
            last = event.get("samples") or []
            told |= {row["key"]: row for row in last if "input" in row}
    samples = tuple(
        SampleResult(
            index=index,
            key=row["key"],
            inputs=told.get(row["key"], {}).get("input"),
            target=told.get(row["key"], {}).get("target"),
            output=row.get("output"),
            score=row["score"],
        )
        for index, row in enumerate(last)
        if isinstance(row.get("score"), (int, float))
    )
    return Evaluation(name=name, samples=samples) if samples else None


def _texts(state: Mapping[str, Any]) -> dict[str, Any]:
    from afnio.cognitive import Parameter

    return {k: each.data for k, each in state.items() if isinstance(each, Parameter)}


def _compare(before: Side, after: Side, samples: int) -> Found:
    is_evaluation = [
        side.evaluation is not None and not side.is_run for side in (before, after)
    ]
    if is_evaluation[0] != is_evaluation[1]:
        raise InputValueError(
            f"{before.name} and {after.name} are of different kinds; compare two "
            "evaluations, or two runs, checkpoints or texts."
        )
    if all(is_evaluation):
        return _evaluations(before, after, samples)
    prompts, same = _prompts(before, after)
    scores, words = _looks(before, after, samples)
    return Found(prompts=prompts, same=same, scores=scores, words=words)


def _evaluations(before: Side, after: Side, samples: int) -> Found:
    from afnio.evaluation._words import changed_lines

    assert before.evaluation is not None
    assert after.evaluation is not None
    change = after.evaluation.compare(before.evaluation)
    words = (*str(change).splitlines(), *changed_lines(change, samples))
    return Found(scores=change.to_dict(), words=words)


def _prompts(before: Side, after: Side) -> tuple[dict[str, list[str]], int]:
    from afnio.tracking._diff import diff_lines

    old, new = before.prompts or {}, after.prompts or {}
    names = list(dict.fromkeys([*old, *new]))
    diffs = {name: diff_lines(old.get(name), new.get(name)) for name in names}
    changed = {name: lines for name, lines in diffs.items() if lines}
    return changed, len(names) - len(changed)


def _looks(
    before: Side, after: Side, samples: int
) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    from afnio.tracking.summary import compare

    first, last = before.look, after.look
    if first is None or last is None:
        return None, ()
    scores: dict[str, Any] = {"before": first.score, "after": last.score}
    words = f"test score {first.score:.3f} -> {last.score:.3f}"
    found = compare(first, last)
    if found is None:
        return scores, (f"{words} (not paired: other samples, or unknown ones)",)
    low, high = found.interval
    words += f", change {found.mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    counts = f"{found.samples} paired samples: {found.higher} up, {found.lower} down"
    lines = (words, f"  {counts}", *_changed(before, after, samples))
    return {**scores, **asdict(found)}, lines


def _changed(before: Side, after: Side, samples: int) -> Iterator[str]:
    """Yield the samples whose score changed most, of looks at the same samples."""
    from afnio.evaluation._words import changed_lines

    if before.evaluation is not None and after.evaluation is not None:
        change = after.evaluation.compare(before.evaluation)
        yield from changed_lines(change, samples)


def _lines(found: Found) -> Iterator[str]:
    for name, lines in found.prompts.items():
        yield printable(f"{name}:")
        for line in lines:
            yield printable(line)
    if found.same:
        yield f"{found.same} equal"
    yield from found.words
