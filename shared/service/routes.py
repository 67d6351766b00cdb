"""From the route table to subscribers: decode, trace, call."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from faststream.nats.message import NatsMessage
from nats.aio.msg import Msg

from shared.messaging import deadletters
from shared.messaging.cloudevent import Received, decode
from shared.messaging.subscriber import DurableSubscriber, subscribe
from shared.messaging.tracing import Arrival, processing, references
from shared.observability import bound
from shared.service.model import On, OnDeadLetter, Service


@dataclass(frozen=True)
class Delivered:
    """A decoded message and what its span may say."""

    content: Any
    arrival: Arrival


def bind(service: Service) -> list[DurableSubscriber]:
    """Make the subscriber of each row of the route table."""
    return [_subscriber(service, row) for row in service.consumes]


def _subscriber(service: Service, row: On | OnDeadLetter) -> DurableSubscriber:
    return subscribe(
        service.bus,
        subject=row.subject,
        stream=row.stream,
        durable=row.durable(service.name),
        at_once=row.at_once,
        handler=_traced(row.handler),
        decoder=_event_decoder(row) if isinstance(row, On) else _dead_letter_decoder,
    )


def _traced(handler: Callable[[Any], Awaitable[None]]) -> Callable[[Delivered], Awaitable[None]]:
    async def handle(delivered: Delivered) -> None:
        arrival = delivered.arrival
        with (
            bound(event_id=arrival.id, subject=arrival.subject),
            processing(arrival),
        ):
            await handler(delivered.content)

    return handle


def _event_decoder(row: On) -> Callable[[NatsMessage], Awaitable[Delivered]]:
    async def decode_event(message: NatsMessage) -> Delivered:
        raw: Msg = message.raw_message
        envelope = decode(raw.data, row.event)
        received = Received(
            id=envelope.id,
            data=envelope.data,
            time=envelope.time,
            sequence=raw.metadata.sequence.stream,
            deliveries=raw.metadata.num_delivered,
            traceparent=envelope.traceparent,
        )
        arrival = _arrival(raw, row.subject, envelope.id, envelope.traceparent, references(envelope.data))
        return Delivered(received, arrival)

    return decode_event


async def _dead_letter_decoder(message: NatsMessage) -> Delivered:
    raw: Msg = message.raw_message
    header = raw.headers or {}
    sequence = raw.metadata.sequence.stream
    letter = deadletters.read(header, raw.data, sequence, raw.metadata.timestamp)
    return Delivered(letter, _arrival(raw, deadletters.WILDCARD, letter.event_id, header.get("traceparent")))


def _arrival(
    raw: Msg, subject: str, event_id: str, traceparent: str | None, about: Mapping[str, str] | None = None
) -> Arrival:
    return Arrival(
        subject=subject,
        consumer=raw.metadata.consumer,
        id=event_id,
        size=len(raw.data),
        time=raw.metadata.timestamp.astimezone(UTC),
        traceparent=traceparent,
        retried="cw-retry-of" in (raw.headers or {}),
        references=about or {},
    )
