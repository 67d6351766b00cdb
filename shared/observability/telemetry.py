"""Traces of a service, and everything of this package in one call."""

from dataclasses import dataclass
from typing import TextIO

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Tracer

from shared.observability.guard import GuardedExporter
from shared.observability.logs import configure_logs
from shared.observability.spans import JsonLinesExporter
from shared.settings import ServiceSettings

#: Milliseconds after which a finished span is on disk.
_DELAY = 250
_LIMITS = SpanLimits(max_span_attributes=64, max_events=32, max_links=128, max_span_attribute_length=256)


@dataclass(frozen=True)
class Telemetry:
    """What ``configure`` started; ``shutdown`` writes what is still waiting."""

    provider: TracerProvider

    def shutdown(self) -> None:
        """Export all finished spans and stop the exporters' threads."""
        self.provider.shutdown()


def configure(service: str, settings: ServiceSettings, *, out: TextIO | None = None) -> Telemetry:
    """Set up traces and logs of this process as ``service``; once, at its start.

    Spans go to ``settings.trace_file`` as lines and to ``settings.otlp_endpoint`` by OTLP over HTTP, where set.
    """
    configure_logs(service, settings.log_level, out)
    provider = tracer_provider(service, settings)
    trace.set_tracer_provider(provider)
    return Telemetry(provider)


def tracer_provider(service: str, settings: ServiceSettings) -> TracerProvider:
    """A provider with the exporters that ``settings`` ask for, each behind the guard."""
    resource = Resource({SERVICE_NAME: service, "service.namespace": "causeway"})
    provider = TracerProvider(resource=resource, span_limits=_LIMITS, shutdown_on_exit=False)
    for exporter in _exporters(settings):
        guarded = GuardedExporter(exporter)
        provider.add_span_processor(BatchSpanProcessor(guarded, schedule_delay_millis=_DELAY, max_queue_size=8192))
    return provider


def tracer() -> Tracer:
    """The tracer of this process."""
    return trace.get_tracer("causeway")


def _exporters(settings: ServiceSettings) -> list[SpanExporter]:
    exporters: list[SpanExporter] = []
    if settings.trace_file is not None:
        exporters.append(JsonLinesExporter(settings.trace_file))
    if settings.otlp_endpoint:
        # Imported only where it is used: it costs a tenth of a second at every start.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporters.append(OTLPSpanExporter(endpoint=settings.otlp_endpoint, timeout=5))
    return exporters
