"""The page itself: templates, with every text of the program escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING, Any

from afnio._version import __version__
from afnio.tracking.report import _words as words

if TYPE_CHECKING:
    from jinja2 import Environment

    from afnio.tracking.report._report import Report


def render(report: Report, *, live: str) -> str:
    """Return the page of a report.

    Args:
        report: What it shows.
        live: How the run stands, for a page that follows it; empty for a file.
    """
    environment = _environment()
    script = _asset(environment, "report.js")
    if live:
        script += _asset(environment, "live.js")
    template = environment.get_template("report.html")
    return template.render(
        r=report,
        live=live,
        words=words,
        contents=_contents(report),
        sample_words=_sample_words(report),
        afnio_version=__version__,
        style=_safe(_asset(environment, "report.css")),
        script=_safe(script),
        script_hash=_hash(script),
    )


def _contents(report: Report) -> list[tuple[str, str]]:
    """Return the parts that the page has."""
    changes = report.changes
    charts = (report.scores, report.candidates, report.cost, report.raw)
    has_curves = any(charts) or report.others
    parts = [
        ("curves", "Curves", has_curves),
        (
            "changes",
            "Changes",
            report.parameters or changes.total_accepted or changes.total_rejected,
        ),
        ("rejected", "Rejected", changes.total_rejected),
        ("samples", "Samples", report.samples),
        ("costs", "Costs", report.costs),
        ("details", "Details", True),
    ]
    return [(key, name) for key, name, there in parts if there]


def _sample_words(report: Report) -> dict[str, str]:
    """Return what the outcomes of samples are called."""
    samples = report.samples
    return {} if samples is None else {k: word for k, word, _ in samples.counts}


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("afnio.tracking.report"),
        autoescape=True,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["trusted"] = _safe
    environment.filters["minus"] = lambda value: str(value).replace("-", "\u2212")
    return environment


def _visible(value: Any) -> Any:
    """Make control characters of a text seen; markup of ours is left alone."""
    if type(value) is str:
        return words.visible(value)
    return "" if value is None else value


def _asset(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - files of this package


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")
