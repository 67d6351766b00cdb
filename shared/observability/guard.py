"""The guard: what is not in the registry leaves no span, no log line and no metric label."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from shared.observability.names import EVENT_NAME, KEYS, NAME, NUMBER, ROUTE, SPAN_NAME

_MISSING = object()
_LONGEST = 32  # values of a sequence


def allowed(key: str, value: Any) -> bool:
    """Whether ``value`` under ``key`` may be written anywhere."""
    kind = KEYS.get(key, _MISSING)
    if kind is _MISSING:
        return False
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return kind is NUMBER or (kind is NAME and 0 <= value < 1000)
    if isinstance(value, list | tuple):
        return len(value) <= _LONGEST and all(allowed(key, each) for each in value)
    return kind is not NUMBER and isinstance(value, str) and KEYS[key].fullmatch(value) is not None  # type: ignore[union-attr]


def filtered(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """``attributes`` that may be written."""
    return {key: value for key, value in (attributes or {}).items() if value is not None and allowed(key, value)}


def label(value: object) -> str:
    """``value`` as a metric label, ``other`` when it is no name of ours."""
    text = str(value)
    known = NAME.fullmatch(text) or ROUTE.fullmatch(text) or (text.isdigit() and len(text) <= 3)
    return text if known else "other"


def span_name(name: str) -> str:
    """``name``, or only its first word, or ``unnamed``."""
    first = name.split(" ", 1)[0]
    return name if SPAN_NAME.fullmatch(name) else first if SPAN_NAME.fullmatch(first) else "unnamed"


def event_name(name: object) -> str:
    """``name`` when it is a fixed code, ``unnamed`` otherwise."""
    return name if isinstance(name, str) and EVENT_NAME.fullmatch(name) else "unnamed"


class GuardedExporter(SpanExporter):
    """An exporter that is given only what the registry allows: no exception text, no status text, no free value."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([guarded(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def guarded(span: ReadableSpan) -> ReadableSpan:
    """A copy of ``span`` that is safe to export."""
    return ReadableSpan(
        name=span_name(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=filtered({"reason": span.status.description, **(span.attributes or {})}),
        events=[Event(event_name(event.name), filtered(event.attributes), event.timestamp) for event in span.events],
        links=[Link(link.context, filtered(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
