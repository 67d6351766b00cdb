"""The envelope: structured CloudEvents 1.0 in JSON, mirrored in a few NATS headers.

CloudEvents 1.0.2, JSON event format and NATS protocol binding (structured content mode).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import Unprocessable

CONTENT_TYPE = "application/cloudevents+json"

T = TypeVar("T")


class EventType(Protocol):
    """What messaging asks of an event class: a pydantic model that knows its subject and its stream."""

    subject: ClassVar[str]

    @classmethod
    def model_json_schema(cls, by_alias: bool = True, ref_template: str = "") -> dict[str, Any]:
        """The JSON Schema of the event's data."""

    @classmethod
    def stream(cls) -> str:
        """The JetStream stream that holds the subject."""


class CloudEvent(BaseModel, Generic[T]):
    """A fact in its envelope. ``type`` is the subject, ``id`` is deterministic (``SiteKey.event_id``)."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str | None = None
    traceparent: str | None = None
    data: T


@dataclass(frozen=True)
class Received(Generic[T]):
    """An event as a handler sees it.

    ``sequence`` is that of the stream, ``deliveries`` counts from 1, ``traceparent`` is that of the sender (W3C Trace
    Context), ``time`` the sender's.
    """

    id: str
    data: T
    time: datetime
    sequence: int = 0
    deliveries: int = 1
    traceparent: str | None = None


def data_schema(subject: str) -> str:
    """The URI that names the JSON Schema of ``subject``'s data."""
    return f"urn:causeway:schema:{subject}"


def encode(envelope: CloudEvent[Any]) -> bytes:
    """The structured JSON form, without the attributes that are absent."""
    absent = {name for name in ("dataschema", "traceparent") if getattr(envelope, name) is None}
    return envelope.model_dump_json(exclude=absent).encode()


def headers(envelope: CloudEvent[Any]) -> dict[str, str]:
    """The NATS headers that mirror the envelope; ``Nats-Msg-Id`` lets the stream ignore a repeat."""
    mirrored = {
        "content-type": CONTENT_TYPE,
        "ce-specversion": envelope.specversion,
        "ce-id": envelope.id,
        "ce-type": envelope.type,
        "ce-source": envelope.source,
        "Nats-Msg-Id": envelope.id,
    }
    return mirrored | ({"traceparent": envelope.traceparent} if envelope.traceparent else {})


def decode(body: bytes, event: type[Any]) -> CloudEvent[Any]:
    """Read ``body`` as an envelope of ``event``; Unprocessable, without a word of the input, when it is none."""
    try:
        envelope: CloudEvent[Any] = _envelope(event).model_validate_json(body)
    except ValidationError:
        # ``from None``: a validation error tells what it saw, and what it saw may name a patient.
        raise Unprocessable("undecodable") from None
    if envelope.type != event.subject:
        raise Unprocessable("unexpected-type")
    return envelope


def _envelope(event: Any) -> Any:
    return CloudEvent[event]  # pydantic keeps what it made


def forwardable(received: Mapping[str, str] | None) -> dict[str, str]:
    """The headers that may be published again: none of the server's ``Nats-*``, no baggage.

    ``Nats-Expected-Stream`` of the first publish makes every later one fail; a copied ``Nats-Msg-Id`` hides it.
    """
    return {
        name: value
        for name, value in (received or {}).items()
        if not name.lower().startswith("nats-") and name.lower() != "baggage"
    }
