"""What a service says about itself: its AsyncAPI 3.0 document and its rows of the flow.

Both come from the ``Service`` object, so that they can't tell another story than the route table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from contracts.freeze import FOLDER, load
from contracts.streams import consumers
from shared.messaging.cloudevent import CONTENT_TYPE, EventType, data_schema
from shared.messaging.names import durable

_MODELS = "#/components/schemas/{model}"


class Row(Protocol):
    """A row of a route table (``shared.service.On`` and ``OnDeadLetter``)."""

    @property
    def subject(self) -> str:
        """The subject that it hears."""

    @property
    def stream(self) -> str:
        """The stream that holds the subject."""


class Described(Protocol):
    """What is read of a ``shared.service.Service``."""

    @property
    def name(self) -> str:
        """The service."""

    @property
    def consumes(self) -> Iterable[Row]:
        """Its route table."""

    @property
    def publishes(self) -> Iterable[type[EventType]]:
        """The events that it publishes."""


@dataclass(frozen=True, order=True)
class FlowRow:
    """``service`` consumes or publishes ``subject``; ``each`` is True where each target has its own consumer."""

    service: str
    direction: str
    subject: str
    stream: str
    consumer: str = ""
    each: bool = False


def flow_rows(service: Described) -> list[FlowRow]:
    """The rows of one service, each subject once per direction, consumed ones first."""
    consumed = {
        FlowRow(service.name, "consumes", row.subject, row.stream, _consumer(service.name, row), _is_each(row))
        for row in service.consumes
    }
    published = {FlowRow(service.name, "publishes", event.subject, event.stream()) for event in service.publishes}
    return sorted(consumed) + sorted(published)


def _is_each(row: Row) -> bool:
    return getattr(row, "target", None) is not None


def _consumer(service: str, row: Row) -> str:
    if not _is_each(row):
        return durable(service, row.subject)
    planned = {(each["service"], each["subject"]): each.get("each") for each in consumers()}
    return durable(service, row.subject, f"{{{planned.get((service, row.subject)) or 'target'}}}")


def asyncapi(
    service: Described, *, title: str | None = None, version: str = "1.0.0", description: str = ""
) -> dict[str, Any]:
    """The AsyncAPI 3.0.0 document of a service: channels, operations, messages with their envelope, data schemas."""
    title = title or f"Causeway {service.name}"
    events = {event.subject: event for event in _events(service)}
    schemas: dict[str, Any] = {"CloudEvent": _envelope_schema()}
    for event in events.values():
        schemas |= _schemas(event)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, "description": description, "license": {"name": "Apache-2.0"}},
        "defaultContentType": CONTENT_TYPE,
        "channels": {subject: _channel(event) for subject, event in sorted(events.items())},
        "operations": dict(sorted((_operation_name(row), _operation(row)) for row in _rows(service))),
        "components": {
            "messages": {subject: _message(event) for subject, event in sorted(events.items())},
            "messageTraits": {"CloudEventHeaders": {"headers": _headers_schema()}},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _rows(service: Described) -> list[FlowRow]:
    """What AsyncAPI can describe: rows of events, not the raw dead letters."""
    subjects = {event.subject for event in _events(service)}
    return [row for row in flow_rows(service) if row.subject in subjects]


def _events(service: Described) -> list[type[EventType]]:
    consumed: list[type[EventType]] = [row.event for row in service.consumes if hasattr(row, "event")]
    return consumed + list(service.publishes)


def _schemas(event: type[EventType]) -> dict[str, Any]:
    schema = event.model_json_schema(ref_template=_MODELS)
    return schema.pop("$defs", {}) | {event.__name__: schema}


def _channel(event: type[EventType]) -> dict[str, Any]:
    return {
        "address": event.subject,
        "description": f"Stream {event.stream()}",
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.subject}"}},
    }


def _message(event: type[EventType]) -> dict[str, Any]:
    envelope = {"$ref": _MODELS.format(model="CloudEvent")}
    data = {"$ref": _MODELS.format(model=event.__name__)}
    fixed = {"type": {"const": event.subject}, "dataschema": {"const": data_schema(event.subject)}, "data": data}
    return {
        "name": event.__name__,
        "title": event.subject,
        "summary": (event.__doc__ or "").strip().split("\n", 1)[0],
        "contentType": CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/CloudEventHeaders"}],
        "correlationId": {"location": "$message.header#/traceparent"},
        "payload": {"allOf": [envelope, {"type": "object", "properties": fixed, "required": ["data"]}]},
    }


def _operation_name(row: FlowRow) -> str:
    return f"{'receive' if row.direction == 'consumes' else 'send'}_{'_'.join(row.subject.split('.')[1:3])}"


def _operation(row: FlowRow) -> dict[str, Any]:
    receives = row.direction == "consumes"
    told = {"description": f"Durable consumer {row.consumer}"} if receives else {}
    return {
        "action": "receive" if receives else "send",
        "channel": {"$ref": f"#/channels/{row.subject}"},
        **told,
    }


def _envelope_schema() -> dict[str, Any]:
    """The frozen one that integrators validate with; a document holds its schemas without a name of their own."""
    schema = load(FOLDER / "cloudevent.json")
    return {name: value for name, value in schema.items() if name not in ("$schema", "$id")}


def _headers_schema() -> dict[str, Any]:
    names = ("content-type", "ce-specversion", "ce-id", "ce-type", "ce-source", "Nats-Msg-Id", "traceparent")
    return {
        "type": "object",
        "description": "Attributes of the envelope for tools that read headers only; Nats-Msg-Id equals ce-id.",
        "required": [name for name in names if name != "traceparent"],
        "properties": {name: {"type": "string"} for name in names},
    }
