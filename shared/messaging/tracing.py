"""Spans of what is sent and what is processed, and the context that travels between them (W3C Trace Context).

Names and attributes follow the OpenTelemetry messaging conventions 1.44. Baggage is neither read nor written: it would
be copied to every later message, across sites.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import CausewayError
from shared.observability.names import REFERENCES

#: A message older than this is a replay: its processing links to its sender instead of prolonging a trace days old.
REPLAYED_AFTER = timedelta(hours=1)

BODY_SIZE = "messaging.message.body.size"

_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class Arrival:
    """What the span of a processed message may say of it."""

    subject: str
    consumer: str
    id: str
    size: int
    time: datetime
    traceparent: str | None
    retried: bool = False
    references: Mapping[str, str] = field(default_factory=dict)


def current_traceparent() -> str | None:
    """The ``traceparent`` of the current span, None outside of any."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def references(data: Any, depth: int = 2) -> dict[str, str]:
    """The opaque ids in an event's data (a model or a mapping), of it and of what it holds: what a span may say."""
    items = data.items() if isinstance(data, Mapping) else ((name, getattr(data, name)) for name in _fields(data))
    found: dict[str, str] = {}
    for name, value in items:
        if name in REFERENCES and isinstance(value, str):
            found[name] = value
        elif depth > 1 and (isinstance(value, Mapping) or _fields(value)):
            found = references(value, depth - 1) | found
    return found


def _fields(value: Any) -> Iterable[str]:
    return getattr(type(value), "model_fields", ())


def context_of(traceparent: str | None) -> Context | None:
    """The context that ``traceparent`` names, None when it names none."""
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context()) if traceparent else None


@contextmanager
def sending(
    subject: str,
    message_id: str,
    parent: str | None,
    links: Iterable[str] = (),
    about: Mapping[str, str] | None = None,
) -> Iterator[str | None]:
    """A ``send`` span under ``parent`` (a traceparent; None: the current span); yields its own traceparent."""
    attributes = _attributes("send", subject, message_id) | dict(about or {})
    with (
        _tracer().start_as_current_span(
            f"send {subject}",
            context_of(parent),
            SpanKind.PRODUCER,
            attributes,
            _links(links),
            record_exception=False,
            set_status_on_exception=False,
        ) as span,
        _told(span),
    ):
        yield current_traceparent()


@contextmanager
def processing(arrival: Arrival) -> Iterator[None]:
    """A ``process`` span: child of the sender's, or linked to it when the message is a replay."""
    replayed = arrival.retried or datetime.now(UTC) - arrival.time > REPLAYED_AFTER
    attributes = _attributes("process", arrival.subject, arrival.id) | dict(arrival.references)
    with (
        _tracer().start_as_current_span(
            f"process {arrival.subject}",
            None if replayed else context_of(arrival.traceparent),
            SpanKind.CONSUMER,
            attributes | {"messaging.consumer.group.name": arrival.consumer, BODY_SIZE: arrival.size},
            _links([arrival.traceparent] if replayed and arrival.traceparent else ()),
            record_exception=False,
            set_status_on_exception=False,
        ) as span,
        _told(span),
    ):
        yield


def _tracer() -> trace.Tracer:
    return trace.get_tracer("causeway.messaging")


def _attributes(operation: str, subject: str, message_id: str) -> dict[str, str | int]:
    return {
        "messaging.system": "nats",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.template": subject,
        "messaging.message.id": message_id,
    }


def _links(traceparents: Iterable[str]) -> list[Link]:
    contexts = (trace.get_current_span(context_of(given)).get_span_context() for given in traceparents)
    return [Link(context) for context in contexts if context.is_valid]


@contextmanager
def _told(span: Span) -> Iterator[None]:
    """Tell the span of an error by class and code; the text of an exception may name a patient."""
    try:
        yield
    except Exception as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR, error.reason if isinstance(error, CausewayError) else None))
        raise
