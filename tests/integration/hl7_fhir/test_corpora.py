"""Every message of the corpora, decided and done in a database: no trouble, and every resource is valid FHIR."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from services.hl7_fhir.adapters.effects import Effects
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.arrival import Arrival
from services.hl7_fhir.domain.messages.checking import check
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.messages.refusal import Refused
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.corpus import data_dir
from tests.support.fhir import assert_valid
from tests.unit.hl7_fhir.test_oracle import corpus as messages_of_the_corpora

KEY = SiteKey(b"k" * 32)
SITE = Site(patient_issuer="SITE", order_issuer="SITE")
READER = Reader(SITE, KEY)
RECEIVED = datetime(2026, 12, 31, tzinfo=UTC)

#: What is broken in the corpora: base64 that goes on in the next line, and an appointment without SCH.
BROKEN = {
    "ORU^R01-PDF.hl7:0": "not-a-segment",
    "SIU^S12-NewAppointmentBooking.hl7:0": "segment-missing",
}


class Silent:
    """An outbox that nobody reads."""

    def add(self, connection: Connection, told: Any, *, id: str) -> None:  # noqa: A002
        """Nothing."""


def refusals(found: list[tuple[str, bytes]]) -> dict[str, str]:
    refused = {}
    for name, content in found:
        try:
            check(read(content, "utf-8"))
        except Refused as refusal:
            refused[name] = refusal.reason
    return refused


def test_what_is_broken_in_the_corpora_is_refused_and_nothing_else() -> None:
    assert refusals(messages_of_the_corpora()) == BROKEN


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_every_message_of_the_corpora_is_done_and_makes_valid_resources(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    data_dir()
    url = f"sqlite:///{tmp_path / 'x.db'}" if kind == "sqlite" else request.getfixturevalue("postgres")
    database = Database(url)
    await database.migrate("services.hl7_fhir.migrations")
    found = [(name, content) for name, content in messages_of_the_corpora() if name not in BROKEN]
    if kind == "postgresql":  # the simulated days are all alike
        found = [(name, content) for name, content in found if "messages.out" not in name or name.endswith("7")]
    for start in range(0, len(found), 100):
        await database.run(lambda connection, start=start: _take(connection, found[start : start + 100]))
    rows = await database.read(lambda connection: connection.execute(select(resources)).all())
    await database.close()
    counted = Counter(row.type for row in rows)
    assert set(counted) == {
        "Appointment", "DiagnosticReport", "DocumentReference", "Encounter", "Location", "Observation", "Organization",
        "Patient", "Practitioner", "Provenance", "ServiceRequest",
    }  # fmt: skip
    seen: Counter[str] = Counter()
    for row in rows:
        seen[row.type] += 1
        if seen[row.type] <= 150 or seen[row.type] % 20 == 0:
            assert_valid({**json.loads(row.body), "id": row.id})


def _take(connection: Connection, contents: list[tuple[str, bytes]]) -> None:
    for _, content in contents:
        arrival = Arrival.of(content, RECEIVED, KEY)
        decision = READER.decide(content, arrival.ref, RECEIVED)
        Effects(connection, Silent(), SITE, KEY, arrival, decision).apply()
