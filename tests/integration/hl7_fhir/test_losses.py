"""What messages lost is remembered by message, sender and field; SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.hl7_fhir.adapters.losses import Lost, loss_report, losses_of, remember_losses
from services.hl7_fhir.domain.intake.arrival import Arrival
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.hl7 import adt

KEY = SiteKey(b"k" * 32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Database]:
    database = Database(migrated(request.param, "hl7_fhir"))
    yield database
    await database.close()


def arrival(control_id: str, sender: str = "RIS") -> Arrival:
    return Arrival.of(adt(control_id=control_id).replace(b"|RIS|", f"|{sender}|".encode()), NOW, KEY)


async def test_losses_are_remembered_by_message_and_counted_by_sender_and_field(database: Database) -> None:
    told = [
        (arrival("1"), ("PV1-44", "OBX[2]-8")),
        (arrival("2"), ("PV1-44", "OBX[2]-8")),
        (arrival("3"), ("PV1-44",)),
        (arrival("4"), ()),
        (arrival("5", "HIS"), ("ZPI-3",)),
        (arrival("6", "H" * 5000), ("ZPI-3",)),
    ]
    for one, lost in told:
        noted = [Lost(one, lost)] if lost else []
        await database.run(lambda connection, noted=noted: remember_losses(connection, noted))
    found = [await database.read(lambda c, one=one: losses_of(c, one.ref)) for one, _ in told]
    assert found == [lost for _, lost in told]
    assert await database.read(lambda c: loss_report(c, "RIS")) == [("RIS", "PV1-44", 3), ("RIS", "OBX[2]-8", 2)]
    assert ("HIS", "ZPI-3", 1) in await database.read(loss_report)


async def test_a_message_counts_once(database: Database) -> None:
    for _ in range(2):
        await database.run(lambda connection: remember_losses(connection, [Lost(arrival("1"), ("PV1-44",))]))
    assert await database.read(loss_report) == [("RIS", "PV1-44", 1)]


async def test_what_messages_of_one_transaction_lost_is_counted_as_if_each_came_alone(database: Database) -> None:
    told = [
        Lost(arrival("1"), ("PV1-44", "OBX[2]-8")),
        Lost(arrival("2"), ("PV1-44",)),
        Lost(arrival("3"), ("PV1-44", "OBX[2]-8")),
        Lost(arrival("4", "HIS"), ("PV1-44",)),
    ]
    await database.run(lambda connection: remember_losses(connection, told[:1]))
    await database.run(lambda connection: remember_losses(connection, told))
    await database.run(lambda connection: remember_losses(connection, []))
    expected = [("RIS", "PV1-44", 3), ("RIS", "OBX[2]-8", 2), ("HIS", "PV1-44", 1)]
    assert await database.read(loss_report) == expected
