"""OpenTelemetry: a span for the run and one for every model call, in GenAI's words.

Names follow the semantic conventions for generative AI: spans ``chat <model>`` with
``gen_ai.*`` attributes, and the metrics ``gen_ai.client.token.usage`` and
``gen_ai.client.operation.duration``. What only afnio knows begins with ``afnio.``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from afnio.models import CallEvent, observe
from afnio.tracking.adapters._common import flat, need, numbers
from afnio.tracking.loggers import RunInfo, RunLogger

__all__ = ["OpenTelemetryLogger"]

_ARGUMENTS: Final = {
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
}
_NS: Final = 1_000_000_000


class OpenTelemetryLogger(RunLogger):
    """Sends the run and its model calls to OpenTelemetry.

    From when it is made until the run ends, every model call of the process is a span:
    below the span that is current where the call was made, or else below the run's.

    Args:
        tracer_provider: Where spans go; by default OpenTelemetry's global provider.
        meter_provider: Where metrics go; by default the global provider.
        capture_content: Whether spans hold messages and replies. They may hold personal
            data, so the conventions leave them out unless asked.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(
        self,
        *,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        capture_content: bool = False,
    ) -> None:
        self._trace = need("opentelemetry.trace", "OpenTelemetryLogger", "otel")
        metrics = need("opentelemetry.metrics", "OpenTelemetryLogger", "otel")
        self._provider = tracer_provider or self._trace.get_tracer_provider()
        self._tracer = self._trace.get_tracer("afnio", tracer_provider=tracer_provider)
        self._meter = metrics.get_meter("afnio", meter_provider=meter_provider)
        self._tokens = self._meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of a model call."
        )
        self._duration = self._meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "Time of a model call."
        )
        self._gauges: dict[str, Any] = {}
        self._content = capture_content
        self._lock = threading.Lock()
        self._run: Any = None
        self._observer: observe | None = observe(self._called)

    # -- the run ----------------------------------------------------------------------

    def _run_span(self) -> Any:
        with self._lock:
            if self._run is None:
                self._run = self._tracer.start_span("afnio.run")
            return self._run

    def start(self, run: RunInfo) -> None:
        """Name the run's span."""
        span = self._run_span()
        span.update_name(f"afnio.run {run.name}")
        span.set_attribute("afnio.run.name", run.name)
        span.set_attribute("afnio.run.uuid", run.uuid)
        span.set_attribute("afnio.project", run.project)

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Put facts on the run's span."""
        for name, value in flat(facts):
            self._run_span().set_attribute(f"afnio.{name}", value)

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Set a gauge for every number."""
        for name, value in numbers(metrics):
            if name not in self._gauges:
                self._gauges[name] = self._meter.create_gauge(f"afnio.{name}")
            self._gauges[name].set(value, {"afnio.step": step})

    def log_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Add decisions and warnings to the run's span."""
        if kind in ("decision", "warning"):
            told = ("accepted", "candidate", "message", "optimizer", "reason", "step")
            facts = {key: fields[key] for key in told if key in fields}
            self._run_span().add_event(f"afnio.{kind}", facts)

    def finish(self, status: str) -> None:
        """End the run's span, and send what waits."""
        if self._observer is not None:
            self._observer.remove()
        span = self._run_span()
        span.set_attribute("afnio.status", status)
        if status != "COMPLETED":
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, status))
        span.end()
        if hasattr(self._provider, "force_flush"):
            self._provider.force_flush()

    # -- calls ------------------------------------------------------------------------

    def _called(self, event: CallEvent) -> None:
        """Record a call that has ended, in the context of whoever made it."""
        current = self._trace.get_current_span()
        context = None
        if not current.get_span_context().is_valid:
            context = self._trace.set_span_in_context(self._run_span())
        started = int(event.started_at_s * _NS)
        span = self._tracer.start_span(
            f"chat {event.model}" if event.model else "chat",
            context=context,
            kind=self._trace.SpanKind.CLIENT,
            attributes=dict(self._attributes(event)),
            start_time=started,
        )
        if event.error is not None:
            kind = type(event.error).__name__
            span.set_attribute("error.type", kind)
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, kind))
        span.end(end_time=started + int(event.seconds * _NS))
        self._count(event)

    def _attributes(self, event: CallEvent) -> Iterator[tuple[str, Any]]:
        yield from _identity(event)
        yield "afnio.role", event.role
        yield "afnio.attempts", event.attempts
        yield "afnio.cached", event.cached
        for name, attribute in _ARGUMENTS.items():
            if isinstance(value := event.request.args.get(name), (int, float)):
                yield attribute, value
        if (reply := event.reply) is not None:
            yield "afnio.cost_usd", float(reply.usage.cost_usd)
            yield "gen_ai.usage.input_tokens", reply.usage.input_tokens
            yield "gen_ai.usage.output_tokens", reply.usage.output_tokens
            yield "gen_ai.response.model", reply.model or event.model or ""
            if reply.request_id:
                yield "gen_ai.response.id", reply.request_id
            if reply.stop_reason:
                yield "gen_ai.response.finish_reasons", (reply.stop_reason,)
        if self._content:
            yield from _content(event)

    def _count(self, event: CallEvent) -> None:
        if event.cached:
            return
        about = dict(_identity(event))
        if event.error is not None:
            about["error.type"] = type(event.error).__name__
        self._duration.record(event.seconds, about)
        if event.reply is not None:
            for kind in ("input", "output"):
                used = getattr(event.usage, f"{kind}_tokens")
                self._tokens.record(used, {**about, "gen_ai.token.type": kind})


def _identity(event: CallEvent) -> Iterator[tuple[str, Any]]:
    yield "gen_ai.operation.name", "chat"
    yield "gen_ai.provider.name", (event.provider or "afnio").lower()
    if event.model:
        yield "gen_ai.request.model", event.model
    if event.endpoint:
        server = urlsplit(event.endpoint)
        if server.hostname:
            yield "server.address", server.hostname
        if server.port:
            yield "server.port", server.port


def _content(event: CallEvent) -> Iterator[tuple[str, str]]:
    """Return messages and reply in the form of the conventions."""
    asked = [
        {"role": m["role"], "parts": _parts(m.get("content"))}
        for m in event.request.messages
    ]
    yield "gen_ai.input.messages", json.dumps(asked, ensure_ascii=False, default=repr)
    if event.reply is not None:
        told = [{"role": "assistant", "parts": _parts(event.reply.text)}]
        yield "gen_ai.output.messages", json.dumps(told, ensure_ascii=False)


def _parts(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    return list(content or ())
