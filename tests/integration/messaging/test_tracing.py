"""Send and process are spans of one trace, except for replays; nothing but known words is in them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.errors import Unprocessable
from shared.messaging import tracing
from shared.messaging.bus import Bus
from shared.messaging.cloudevent import CloudEvent, encode, headers
from shared.service.model import OnDeadLetter, Service
from tests.support.nats import NatsServer
from tests.support.services import Echoed, Noted, eventually, living, publisher, worker


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is traced in this process from now on."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan | None:
    return next((span for span in spans.get_finished_spans() if span.name == name), None)


async def test_what_a_handler_sends_belongs_to_the_trace_of_what_it_received(
    bus: NatsServer, spans: InMemorySpanExporter
) -> None:
    service: Any = None

    async def handle(event) -> None:
        await service.bus.publish(Echoed(number=1), id="b")

    service = worker(bus, handle)
    async with living(service), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: named(spans, "process imaging.thing.noted.v1"))
    sent = named(spans, "send imaging.thing.noted.v1")
    processed = named(spans, "process imaging.thing.noted.v1")
    sent_on = named(spans, "send imaging.thing.echoed.v1")
    assert sent and processed and sent_on
    assert processed.parent and processed.parent.span_id == sent.context.span_id
    assert sent_on.parent and sent_on.parent.span_id == processed.context.span_id
    assert {span.context.trace_id for span in (sent, processed, sent_on)} == {sent.context.trace_id}
    assert processed.attributes == {
        "messaging.system": "nats",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.template": "imaging.thing.noted.v1",
        "messaging.message.id": "a",
        "messaging.message.body.size": processed.attributes["messaging.message.body.size"],
        "messaging.consumer.group.name": "worker_thing_noted",
    }


async def test_further_causes_are_links_each_of_its_own(bus: NatsServer, spans: InMemorySpanExporter) -> None:
    """FastStream keeps one link per correlation id: two messages of one study end in one."""
    others = [f"00-{digit * 32}-{'2' * 16}-01" for digit in "15"]
    first = f"00-{'3' * 32}-{'4' * 16}-01"
    async with publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a", traceparent=first, links=others)
    sent = named(spans, "send imaging.thing.noted.v1")
    assert sent and sent.parent
    assert trace.format_trace_id(sent.context.trace_id) == "3" * 32
    assert [trace.format_trace_id(link.context.trace_id) for link in sent.links] == ["1" * 32, "5" * 32]


def test_a_message_of_long_ago_is_linked_not_continued(spans: InMemorySpanExporter) -> None:
    sender = f"00-{'1' * 32}-{'2' * 16}-01"
    for age, parent in ((timedelta(0), True), (timedelta(days=2), False)):
        arrival = tracing.Arrival("a.b.c.v1", "x_b_c", "i", 1, datetime.now(UTC) - age, sender)
        with tracing.processing(arrival):
            """Processed."""
        span = spans.get_finished_spans()[-1]
        assert (span.parent is not None) is parent
        assert len(span.links) == (0 if parent else 1)
        assert (trace.format_trace_id(span.context.trace_id) == "1" * 32) is parent


async def test_baggage_is_not_passed_on(bus: NatsServer, spans: InMemorySpanExporter) -> None:
    """It would go to every later message, across sites."""
    token = context.attach(baggage.set_baggage("patient", "DOE^JOHN"))
    try:
        async with publisher(bus) as sender, bus.jetstream() as jetstream:
            await sender.publish(Noted(number=1), id="a")
            raw = await jetstream.get_msg("IMAGING", seq=1)
    finally:
        context.detach(token)
    assert raw.headers is not None
    assert raw.headers["traceparent"]
    assert "DOE" not in str(raw.headers) + str(raw.data)


async def test_baggage_that_arrives_ends_here(bus: NatsServer) -> None:
    """FastStream puts it on whatever the handler publishes."""
    service: Any = None

    async def handle(event) -> None:
        await service.bus.publish(Echoed(number=1), id="b")

    service = worker(bus, handle)
    async with living(service), publisher(bus) as sender, bus.jetstream() as jetstream:
        event = Noted(number=1)
        sent = CloudEvent(id="a", source=sender.source, type=event.subject, time=datetime.now(UTC), data=event)
        carrying = headers(sent) | {"baggage": "patient=DOE"}
        await sender.publish_raw("IMAGING", event.subject, encode(sent), carrying)

        async def sent_on() -> bool:
            return (await jetstream.stream_info("IMAGING")).state.messages == 2

        await eventually(sent_on)
        raw = await jetstream.get_msg("IMAGING", subject=Echoed.subject)
    assert raw.headers is not None
    assert "baggage" not in {name.lower() for name in raw.headers}


async def test_a_span_is_named_by_the_template_of_its_subject(bus: NatsServer, spans: InMemorySpanExporter) -> None:
    """FastStream takes the subject as it is: each new one would be a new name and a new label of every metric."""

    async def handle(event) -> None:
        raise Unprocessable("broken")

    async def note(letter) -> None:
        """Nothing."""

    settings = bus.settings()
    ledger = Service(name="ledger", settings=settings, bus=Bus(settings, "ledger"), consumes=(OnDeadLetter(note),))
    async with living(worker(bus, handle)), living(ledger), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: named(spans, "process deadletter.>"))
    span = named(spans, "process deadletter.>")
    assert span and span.attributes
    assert span.attributes["messaging.destination.template"] == "deadletter.>"
    assert "deadletter.worker" not in span.to_json()


async def test_a_span_tells_an_error_by_its_class_and_code_alone(bus: NatsServer, spans: InMemorySpanExporter) -> None:
    """An exception's text may hold what came from a message."""

    async def handle(event) -> None:
        try:
            raise ValueError("DOE^JOHN")
        except ValueError as error:
            raise Unprocessable("broken") from error

    async with living(worker(bus, handle)), publisher(bus) as sender:
        await sender.publish(Noted(number=1), id="a")
        await eventually(lambda: named(spans, "process imaging.thing.noted.v1"))
    span = named(spans, "process imaging.thing.noted.v1")
    assert span and span.attributes
    assert (span.attributes["error.type"], span.status.description) == ("Unprocessable", "broken")
    assert "DOE" not in span.to_json()
