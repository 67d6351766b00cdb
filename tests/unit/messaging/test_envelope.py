"""The envelope: CloudEvents 1.0 on the wire, and silence about what cannot be read."""

import json
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from shared.errors import Unprocessable
from shared.messaging.cloudevent import CloudEvent, decode, encode, forwardable, headers
from shared.messaging.names import durable
from shared.messaging.plan import covers, quantity, read_plan


class Noted(BaseModel):
    model_config = ConfigDict(frozen=True)
    subject: ClassVar[str] = "imaging.thing.noted.v1"
    number: int

    @classmethod
    def stream(cls) -> str:
        return "IMAGING"


def envelope(**others: object) -> CloudEvent[Noted]:
    fields = {
        "id": "a",
        "source": "/causeway/local/worker",
        "type": Noted.subject,
        "time": datetime(2026, 1, 31, tzinfo=UTC),
        "data": Noted(number=1),
    }
    return CloudEvent[Noted].model_validate(fields | others)


def test_the_wire_is_a_structured_cloud_event() -> None:
    assert json.loads(encode(envelope())) == {
        "specversion": "1.0",
        "id": "a",
        "source": "/causeway/local/worker",
        "type": "imaging.thing.noted.v1",
        "time": "2026-01-31T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {"number": 1},
    }


def test_what_is_encoded_is_read_again() -> None:
    sent = envelope(traceparent=f"00-{'1' * 32}-{'2' * 16}-01")
    assert decode(encode(sent), Noted) == sent


def test_attributes_and_fields_of_later_versions_are_ignored() -> None:
    document = json.loads(encode(envelope())) | {"causewaynew": 1}
    document["data"]["added"] = "later"
    assert decode(json.dumps(document).encode(), Noted) == envelope()


@pytest.mark.parametrize(
    "body",
    [b"", b"DOE^JOHN", b"[]", b'{"data": {"number": "DOE^JOHN"}}', b"\xff\xfe", b'{"specversion": "0.3"}'],
)
def test_what_cannot_be_read_is_refused_without_a_word_of_it(body: bytes) -> None:
    with pytest.raises(Unprocessable, match="undecodable") as refusal:
        decode(body, Noted)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_an_event_of_another_type_is_refused() -> None:
    with pytest.raises(Unprocessable, match="unexpected-type"):
        decode(encode(envelope(type="imaging.thing.echoed.v1")), Noted)


def test_headers_mirror_the_envelope() -> None:
    mirrored = headers(envelope())
    assert mirrored["ce-id"] == mirrored["Nats-Msg-Id"] == "a"
    assert "traceparent" not in mirrored


def test_headers_of_the_server_and_baggage_are_not_passed_on() -> None:
    received = {"Nats-Msg-Id": "a", "Nats-Expected-Stream": "X", "nats-Sequence": "1", "Baggage": "x", "ce-id": "a"}
    assert forwardable(received) == {"ce-id": "a"}
    assert forwardable(None) == {}


@pytest.mark.parametrize(
    ("subject", "target", "name"),
    [
        ("imaging.pack.planned.v1", None, "encryption_pack_planned"),
        ("imaging.pack.sealed.v1", "cloud-a", "encryption_pack_sealed_cloud-a"),
        ("deadletter.>", None, "encryption_deadletter"),
    ],
)
def test_durable_consumers_are_named_by_service_entity_and_fact(subject: str, target: str | None, name: str) -> None:
    assert durable("encryption", subject, target) == name


@pytest.mark.parametrize(
    ("pattern", "subject", "held"),
    [
        ("imaging.>", "imaging.batch.stored.v1", True),
        ("imaging.>", "imaging", False),
        ("imaging.*.stored.v1", "imaging.batch.stored.v1", True),
        ("imaging.*", "imaging.batch.stored.v1", False),
        ("deadletter.>", "deadletter.>", True),
        ("imaging.batch.stored.v1", "imaging.batch.stored.v2", False),
    ],
)
def test_a_pattern_holds_what_nats_says_it_holds(pattern: str, subject: str, held: bool) -> None:
    assert covers(pattern, subject) is held


@pytest.mark.parametrize(("text", "value"), [("90d", 7776000), ("2h", 7200), ("8GiB", 8 << 30), (30, 30), ("1.5m", 90)])
def test_quantities_have_units(text: str, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["soon", "3 weeks", "", "-1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)


@pytest.mark.parametrize("twice", ["streams", "consumers"])
def test_a_plan_that_says_something_twice_is_refused(twice: str) -> None:
    document = {
        "streams": [{"name": "A", "subjects": ["a.>"]}],
        "consumers": [{"service": "x", "subject": "a.b.c.v1"}],
    }
    with pytest.raises(ValueError, match="planned twice"):
        read_plan(document, {"streams" if twice == "streams" else "consumers": document[twice]})
