"""OpenTelemetry: what the SDK's in-memory exporters get."""

from __future__ import annotations

import pytest

from afnio import tracking
from afnio.errors import BadRequestError
from afnio.models.testing import ScriptedModel
from afnio.tracking.adapters import OpenTelemetryLogger

pytest.importorskip(
    "opentelemetry.sdk", reason="needs opentelemetry: pip install 'afnio[otel]'"
)
ASK = [{"role": "user", "content": "secret question"}]


class Backend:
    """Keeps spans and metrics."""

    def __init__(self):
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
            InMemorySpanExporter,
        )

        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meter_provider = MeterProvider([self.reader])

    def logger(self, **options):
        return OpenTelemetryLogger(
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            **options,
        )

    def spans(self):
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def metrics(self):
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def backend():
    """Return a backend that keeps what it gets."""
    made = Backend()
    yield made
    made.tracer_provider.shutdown()
    made.meter_provider.shutdown()


def test_calls_are_spans_below_the_run(backend):
    """Names are those of the GenAI conventions; contents are left out."""
    model = ScriptedModel("Rome", model="test-1")
    with tracking.init("me", "P", name="r1", loggers=[backend.logger()]) as run:
        model.chat(ASK, temperature=0.5)
        run.log("val_loss", 0.75, 2)
        run.record("decision", step=1, accepted=True, reason="better", changes=[])
    spans = backend.spans()
    call, root = spans["chat test-1"], spans["afnio.run r1"]
    assert call.parent.span_id == root.context.span_id
    assert call.kind.name == "CLIENT"
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.request.model"] == "test-1"
    assert call.attributes["gen_ai.request.temperature"] == 0.5
    assert call.attributes["gen_ai.usage.output_tokens"] > 0
    assert call.attributes["afnio.role"] == "forward"
    assert call.end_time >= call.start_time
    assert "secret" not in str(dict(call.attributes))
    assert root.attributes["afnio.status"] == "COMPLETED"
    (event,) = root.events
    assert event.name == "afnio.decision"
    assert event.attributes["reason"] == "better"
    metrics = backend.metrics()
    assert metrics["afnio.val_loss"][0].value == 0.75
    used = metrics["gen_ai.client.token.usage"]
    kinds = {point.attributes["gen_ai.token.type"] for point in used}
    assert kinds == {"input", "output"}
    assert metrics["gen_ai.client.operation.duration"][0].count == 1


def test_contents_if_asked_for(backend):
    """Messages and replies are there then."""
    with tracking.init("me", "P", loggers=[backend.logger(capture_content=True)]):
        ScriptedModel("Rome", model="m").chat(ASK)
    attributes = backend.spans()["chat m"].attributes
    assert "secret question" in attributes["gen_ai.input.messages"]
    assert "Rome" in attributes["gen_ai.output.messages"]


def test_a_span_of_the_program_is_the_parent(backend):
    """Calls inside it are below it, not directly below the run."""
    tracer = backend.tracer_provider.get_tracer("mine")
    with (
        tracking.init("me", "P", loggers=[backend.logger()]),
        tracer.start_as_current_span("mine"),
    ):
        ScriptedModel("x", model="m").chat(ASK)
    spans = backend.spans()
    assert spans["chat m"].parent.span_id == spans["mine"].context.span_id


def test_failures(backend):
    """A call that failed has its type; the run that it ended is an error too."""

    def fail(messages, **_):
        raise BadRequestError("down")

    with (
        pytest.raises(BadRequestError),
        tracking.init("me", "P", loggers=[backend.logger()]),
    ):
        ScriptedModel(fail, model="m").chat(ASK)
    spans = backend.spans()
    assert spans["chat m"].attributes["error.type"] == "BadRequestError"
    statuses = {name: span.status.status_code.name for name, span in spans.items()}
    assert set(statuses.values()) == {"ERROR"}


def test_nothing_is_watched_after_the_end(backend):
    """Later calls are nobody's."""
    with tracking.init("me", "P", loggers=[backend.logger()]):
        pass
    ScriptedModel("x", model="m").chat(ASK)
    assert "chat m" not in backend.spans()
