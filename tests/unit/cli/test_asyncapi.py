"""A service describes itself by its route table."""

import json
import re
from typing import Any

from cli.asyncapi import asyncapi, flow_rows
from contracts.freeze import FOLDER, load
from shared.messaging.bus import Bus
from shared.messaging.cloudevent import CloudEvent
from shared.service import On, OnDeadLetter, Service
from shared.settings import ServiceSettings
from tests.support.services import Echoed, Noted


async def handle(event: Any) -> None:
    """Does nothing."""


def service() -> Service:
    settings = ServiceSettings()
    return Service(
        name="worker",
        settings=settings,
        bus=Bus(settings, "worker"),
        consumes=(On(Noted, handle, target="one"), On(Noted, handle, target="two"), OnDeadLetter(handle)),
        publishes=(Echoed,),
    )


def test_the_flow_has_each_subject_once_and_names_the_template_of_targets() -> None:
    rows = [(row.direction, row.subject, row.consumer, row.each) for row in flow_rows(service())]
    assert rows == [
        ("consumes", "deadletter.>", "worker_deadletter", False),
        ("consumes", "imaging.thing.noted.v1", "worker_thing_noted_{target}", True),
        ("publishes", "imaging.thing.echoed.v1", "", False),
    ]


def test_the_document_has_a_channel_a_message_and_an_operation_per_event() -> None:
    document = asyncapi(service(), title="worker", version="1.0.0")
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {"imaging.thing.noted.v1", "imaging.thing.echoed.v1"}
    assert {name: made["action"] for name, made in document["operations"].items()} == {
        "receive_thing_noted": "receive",
        "send_thing_echoed": "send",
    }
    assert document["components"]["schemas"]["Noted"]["properties"]["number"] == {"title": "Number", "type": "integer"}


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi(service(), title="worker", version="1.0.0")
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        found: Any = document
        for key in reference.split("/"):
            found = found[key]


def test_the_document_is_the_same_every_time() -> None:
    first, second = (json.dumps(asyncapi(service(), title="worker", version="1.0.0")) for _ in range(2))
    assert first == second


def test_the_envelope_is_the_frozen_one() -> None:
    """What integrators read in a document and what they validate with demand the same."""
    frozen = load(FOLDER / "cloudevent.json")
    envelope = asyncapi(service())["components"]["schemas"]["CloudEvent"]
    assert (envelope["required"], envelope["properties"]) == (frozen["required"], frozen["properties"])
    assert set(frozen["properties"]) == set(CloudEvent.model_fields)
