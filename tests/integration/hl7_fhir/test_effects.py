"""Visits, reports, documents, appointments and parties in the database; merges and links; SQLite and PostgreSQL."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select

from contracts.events import Event, OrderChanged, PatientMerged
from services.hl7_fhir.adapters.effects import Effects
from services.hl7_fhir.adapters.following import OrderNow, PatientNow
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.arrival import Arrival
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.fhir import assert_valid
from tests.support.hl7 import adt, orm

KEY = SiteKey(b"k" * 32)
SITE = Site(patient_issuer="SITE", order_issuer="SITE")
READER = Reader(SITE, KEY)
RECEIVED = datetime(2026, 12, 31, tzinfo=UTC)
PID = "PID|1||{}^^^HOSP^MR||{}^Jane||19800203|F"
PV1 = "PV1|1|I|W^1^2^HOSP||||77^House^Greg^^^Dr^^^HIS||||||||||||V1^^^HOSP|||||||||||||||||||||||||20260101080000"


@dataclass
class Heard:
    """A follower that remembers."""

    patients: list[PatientNow] = field(default_factory=list)
    merged: list[tuple[str, str]] = field(default_factory=list)
    orders: list[OrderNow] = field(default_factory=list)

    def patient_changed(self, connection: Connection, patient: PatientNow) -> None:
        self.patients.append(patient)

    def patients_merged(self, connection: Connection, survivor: PatientNow, merged: str) -> None:
        self.merged.append((survivor.id, merged))

    def order_changed(self, connection: Connection, order: OrderNow) -> None:
        self.orders.append(order)


@dataclass
class Desk:
    """Takes messages into a real database, several in one transaction."""

    database: Database
    events: list[Event] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)

    def add(self, connection: Connection, told: Event, *, id: str) -> None:  # noqa: A002
        self.events.append(told)

    async def send(self, *contents: bytes) -> list[tuple[str, ...]]:
        """The flags of each."""
        return await self.database.run(lambda connection: [self._take(connection, content) for content in contents])

    def _take(self, connection: Connection, content: bytes) -> tuple[str, ...]:
        arrival = Arrival.of(content, RECEIVED, KEY)
        decision = READER.decide(content, arrival.ref, RECEIVED)
        return Effects(connection, self, SITE, KEY, arrival, decision, [self.heard]).apply()

    async def all(self, kind: str) -> list[dict[str, Any]]:
        """Every resource of ``kind`` as it is now, with its id, valid by the judges."""
        wanted = select(resources).where(resources.c.type == kind).order_by(resources.c.id)
        rows = await self.database.read(lambda connection: connection.execute(wanted).all())

        found = [{**json.loads(row.body), "id": row.id} for row in rows]
        for one in found:
            assert_valid(one)
        return found

    async def only(self, kind: str) -> dict[str, Any]:
        """The one resource of ``kind``."""
        (found,) = await self.all(kind)
        return found

    async def patient(self, number: str) -> dict[str, Any]:
        """The Patient whose own identifier is ``number``."""
        (found,) = [
            one
            for one in await self.all("Patient")
            if any(each["value"] == number and each.get("use") != "old" for each in one["identifier"])
        ]
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    database = Database(migrated(request.param, "hl7_fhir"))
    yield Desk(database)
    await database.close()


def visit(trigger: str, time: str, pid: str = "", pv1: str = PV1) -> bytes:
    content = adt(trigger, control_id=f"{trigger}{time}", time=time, pid=pid or PID.format("P1", "Doe"))
    return content.replace(b"PV1|1|O", pv1.encode())


def merge(survivor: str, merged: str, time: str = "20260102", trigger: str = "A40") -> bytes:
    return visit(trigger, time, PID.format(survivor, "Roe")) + f"MRG|{merged}^^^HOSP^MR||||||Old^Name\r".encode()


def reference(kind: str, resource: dict[str, Any]) -> str:
    return f"{kind}/{resource['id']}"


async def test_a_visit_is_admitted_discharged_and_read_with_its_places_and_people(desk: Desk) -> None:
    await desk.send(visit("A01", "20260101"))
    found = await desk.only("Encounter")
    assert found["status"] == "in-progress"
    assert found["class"]["code"] == "IMP"
    assert found["subject"]["reference"] == reference("Patient", await desk.only("Patient"))
    assert found["period"] == {"start": "2026-01-01T08:00:00+00:00"}
    assert found["participant"][0]["individual"]["reference"] == reference(
        "Practitioner", await desk.only("Practitioner")
    )
    places = {one["name"]: one for one in await desk.all("Location")}
    assert found["location"][0]["location"]["reference"] == reference("Location", places["2"])
    assert places["2"]["partOf"]["reference"] == reference("Location", places["1"])
    assert set(places) == {"HOSP", "W", "1", "2"}
    await desk.send(visit("A03", "20260103", pv1=PV1 + "|20260103100000"))
    found = await desk.only("Encounter")
    assert (found["status"], found["period"]["end"]) == ("finished", "2026-01-03T10:00:00+00:00")


@pytest.mark.parametrize(
    ("triggers", "status"),
    [
        (["A01", "A11"], "cancelled"),
        (["A05", "A38"], "cancelled"),
        (["A05"], "planned"),
        (["A01", "A23"], "entered-in-error"),
        (["A01", "A03", "A13"], "in-progress"),
        (["A01", "A02", "A12"], "in-progress"),
        (["A01", "A11", "A08"], "cancelled"),
        (["A01", "A11", "A01"], "in-progress"),
    ],
)
async def test_the_status_of_a_visit_follows_its_events(desk: Desk, triggers: list[str], status: str) -> None:
    contents = [visit(trigger, f"202601{day:02}") for day, trigger in enumerate(triggers, 1)]
    await desk.send(*contents)
    assert (await desk.only("Encounter"))["status"] == status


async def test_who_is_not_discharged_after_all_has_no_time_of_discharge(desk: Desk) -> None:
    await desk.send(visit("A03", "20260102", pv1=PV1 + "|20260102100000"), visit("A13", "20260103"))
    found = await desk.only("Encounter")
    assert (found["status"], found["period"]) == ("in-progress", {"start": "2026-01-01T08:00:00+00:00"})


async def test_a_late_admission_does_not_revive_a_cancelled_visit(desk: Desk) -> None:
    await desk.send(visit("A11", "20260102"), visit("A01", "20260101"))
    assert (await desk.only("Encounter"))["status"] == "cancelled"


async def test_a_visit_that_nothing_names_is_no_resource(desk: Desk) -> None:
    await desk.send(adt("A01"))
    assert await desk.all("Encounter") == []


@pytest.mark.parametrize(
    ("controls", "status"),
    [
        ([("NW", ""), ("XO", "")], "active"),
        ([("NW", ""), ("SC", "CM"), ("XO", "")], "completed"),
        ([("NW", ""), ("CA", ""), ("XO", "")], "revoked"),
        ([("NW", ""), ("RP", "")], "revoked"),
        ([("NW", ""), ("UC", "")], "active"),
        ([("NW", ""), ("SC", "HD"), ("SC", "IP")], "active"),
        ([("XO", "")], "unknown"),
    ],
)
async def test_the_status_of_an_order_follows_its_messages(desk: Desk, controls: list, status: str) -> None:
    for day, (control, state) in enumerate(controls, 1):
        await desk.send(orm(control, orc5=state, control_id=f"{day}", time=f"202601{day:02}"))
    assert (await desk.only("ServiceRequest"))["status"] == status


async def test_an_order_belongs_to_its_visit(desk: Desk) -> None:
    await desk.send(orm(pid=PID.format("P1", "Doe") + "\r" + PV1))
    found = await desk.only("ServiceRequest")
    assert found["encounter"]["reference"] == reference("Encounter", await desk.only("Encounter"))


@pytest.mark.parametrize("trigger", ["A34", "A40", "A47"])
async def test_a_merge_is_recorded_on_both_sides_and_takes_everything_along(desk: Desk, trigger: str) -> None:
    await desk.send(orm(pid=PID.format("P1", "Doe") + "\r" + PV1), visit("A04", "20260101", PID.format("P2", "Roe")))
    old, survivor = await desk.patient("P1"), await desk.patient("P2")
    desk.events.clear()
    assert await desk.send(merge("P2", "P1", trigger=trigger)) == [()]
    old, survivor = await desk.patient("P1"), await desk.patient("P2")
    assert (old["active"], survivor["active"]) == (False, True)
    assert old["link"] == [
        {"other": {"reference": reference("Patient", survivor), "type": "Patient"}, "type": "replaced-by"}
    ]
    assert survivor["link"][0]["type"] == "replaces"
    assert {"use": "old", "value": "P1"}.items() <= survivor["identifier"][1].items()
    for kind in ("ServiceRequest", "Encounter"):
        assert {one["subject"]["reference"] for one in await desk.all(kind)} == {reference("Patient", survivor)}
    assert desk.heard.merged == [(survivor["id"], old["id"])]
    assert desk.heard.orders[-1].patient == survivor["id"]
    told = [event for event in desk.events if isinstance(event, PatientMerged)]
    assert told == [
        PatientMerged(
            patient_ref=survivor["id"],
            patient_token=KEY.patient_token("HOSP", "P2"),
            merged_ref=old["id"],
            merged_token=KEY.patient_token("HOSP", "P1"),
        )
    ]
    moved = [event for event in desk.events if isinstance(event, OrderChanged)]
    assert [event.patient_token for event in moved] == [KEY.patient_token("HOSP", "P2")]


async def test_what_is_said_of_a_merged_patient_goes_to_the_survivor_and_is_flagged(desk: Desk) -> None:
    await desk.send(adt("A04", time="20260101", pid=PID.format("P1", "Doe")), merge("P2", "P1"))
    assert await desk.send(orm(time="20260103", pid=PID.format("P1", "Poe"))) == [("patient-merged",)]
    survivor = await desk.patient("P2")
    assert survivor["name"][0]["family"] == "Poe"
    assert (await desk.only("ServiceRequest"))["subject"]["reference"] == reference("Patient", survivor)
    assert [one["value"] for one in survivor["identifier"]] == ["P2", "P1"]


async def test_a_merge_of_a_patient_whom_nobody_knows_makes_a_record_that_resolves(desk: Desk) -> None:
    await desk.send(merge("P2", "P1"))
    old = await desk.patient("P1")
    assert (old["active"], old["name"][0]["family"]) == (False, "Old")


async def test_a_message_may_merge_several_pairs(desk: Desk) -> None:
    second = PID.format("P4", "Poe") + "\rPD1||||88^Wilson^^^^^^^HIS\rMRG|P3^^^HOSP^MR\r"
    await desk.send(merge("P2", "P1") + second.encode())
    assert [(await desk.patient(number))["active"] for number in ("P1", "P2", "P3", "P4")] == [False, True, False, True]
    assert (await desk.patient("P4"))["generalPractitioner"][0]["display"] == "Wilson"
    assert len(desk.heard.merged) == 2


async def test_a_chain_of_merges_leads_to_the_last_survivor(desk: Desk) -> None:
    await desk.send(orm(pid=PID.format("P1", "Doe")), merge("P2", "P1", "20260102"), merge("P3", "P2", "20260103"))
    last = await desk.patient("P3")
    assert (await desk.only("ServiceRequest"))["subject"]["reference"] == reference("Patient", last)
    assert await desk.send(orm(control_id="2", time="20260104", orc2="PL2", obr2="PL2", orc3="F2", obr3="F2")) == [
        ("patient-merged",)
    ]
    assert {one["subject"]["reference"] for one in await desk.all("ServiceRequest")} == {reference("Patient", last)}
    assert [one["value"] for one in last["identifier"]] == ["P3", "P1", "P2"]


async def test_a_circle_of_merges_and_a_merge_into_itself_are_flagged_and_not_followed(desk: Desk) -> None:
    assert await desk.send(merge("P2", "P1", "20260102"), merge("P1", "P2", "20260103"), merge("P2", "P2")) == [
        (),
        ("merge-in-a-circle",),
        ("merge-into-itself",),
    ]
    assert (await desk.patient("P2"))["active"] is True


async def test_an_older_merge_does_not_undo_a_newer_one(desk: Desk) -> None:
    flags = await desk.send(merge("P3", "P1", "20260103"), merge("P2", "P1", "20260102"))
    assert flags == [(), ("older-than-known",)]
    assert (await desk.patient("P1"))["link"][0]["other"]["reference"] == reference("Patient", await desk.patient("P3"))


async def test_a_repeated_merge_changes_nothing(desk: Desk) -> None:
    await desk.send(merge("P2", "P1", "20260102"))
    before = await desk.all("Patient")
    desk.events.clear()
    await desk.send(merge("P2", "P1", "20260103").replace(b"A4020260103", b"again"))
    assert await desk.all("Patient") == before


@pytest.mark.parametrize("nobody", ["UNKNOWN", "", "0000", "TRAUMA7"])
async def test_ids_that_match_nothing_are_never_merged(desk: Desk, nobody: str) -> None:
    await desk.send(adt("A04", time="20260101", pid=PID.format(nobody, "Doe")))
    assert await desk.send(merge("P2", nobody)) == [("merge-not-identified",)]
    assert all(one["active"] for one in await desk.all("Patient"))


async def test_patients_are_linked_and_the_link_is_taken_back(desk: Desk) -> None:
    pair = PID.format("P1", "Doe") + "\r" + PID.format("P2", "Roe")
    await desk.send(adt("A24", time="20260102", pid=pair))
    one, other = await desk.patient("P1"), await desk.patient("P2")
    for here, there in ((one, other), (other, one)):
        assert here["active"] is True
        assert here["link"] == [
            {"other": {"reference": reference("Patient", there), "type": "Patient"}, "type": "seealso"}
        ]
    await desk.send(adt("A37", time="20260103", pid=pair))
    assert "link" not in await desk.patient("P1")
    assert await desk.send(adt("A24", time="20260102", pid=pair)) == [("older-than-known",)]


ORU = (
    r"MSH|^~\&|RIS|HOSP|C|H|20260105||ORU^R01|R{n}|P|2.5" + "\r" + PID.format("P1", "Doe") + "\r" + PV1 + "\r"
    "ORC|RE|PL1^HIS|FI1^RIS\rOBR|1|PL1^HIS|FI1^RIS|24725-4^CT Head^LN|||20260104101500|||||||||||||||20260105||CT|"
    "{status}|||||||77&House&Greg&&&Dr\rOBX|1|TX|24725-4^CT Head^LN||No bleeding.~No fracture.||||||{status}\r"
    "NTE|1||seen twice\rOBX|2|NM|9^Dose^L||1.5|mSv^mSv^UCUM|0-2|N|||F\r"
    "OBX|3|ED|18748-4^Report^LN||^application^pdf^Base64^JVBERi0=||||||F\r"
    "OBX|4|ST|113014^DICOM Study^DCM||1.2.840.99.1||||||F\r"
)


async def test_a_report_becomes_a_diagnostic_report_with_observations_and_its_order(desk: Desk) -> None:
    await desk.send(orm(pid=PID.format("P1", "Doe")))
    assert await desk.send(ORU.format(n=1, status="P").encode()) == [()]
    report = await desk.only("DiagnosticReport")
    assert report["status"] == "preliminary"
    assert report["basedOn"][0]["reference"] == reference("ServiceRequest", await desk.only("ServiceRequest"))
    assert report["encounter"]["reference"] == reference("Encounter", await desk.only("Encounter"))
    assert report["presentedForm"] == [{"contentType": "application/pdf", "data": "JVBERi0="}]
    assert report["imagingStudy"][0]["identifier"]["value"] == "urn:oid:1.2.840.99.1"
    assert report["resultsInterpreter"][0]["display"] == "Dr Greg House"
    observations = {reference("Observation", one): one for one in await desk.all("Observation")}
    results = [observations[one["reference"]] for one in report["result"]]
    assert results[0]["valueString"] == "No bleeding.\nNo fracture."
    assert results[0]["note"] == [{"text": "seen twice"}]
    assert results[1]["valueQuantity"] == {
        "value": 1.5, "unit": "mSv", "system": "http://unitsofmeasure.org", "code": "mSv"
    }  # fmt: skip
    await desk.send(ORU.format(n=2, status="F").replace("|20260105||ORU", "|20260106||ORU").encode())
    report = await desk.only("DiagnosticReport")
    assert (report["status"], len(await desk.all("Observation"))) == ("final", 3)


async def test_a_report_without_a_known_order_is_kept_and_flagged(desk: Desk) -> None:
    assert await desk.send(ORU.format(n=1, status="F").encode()) == [("report-without-order",)]
    assert "basedOn" not in await desk.only("DiagnosticReport")


async def test_a_document_becomes_a_document_reference(desk: Desk) -> None:
    content = (
        r"MSH|^~\&|RIS|HOSP|C|H|20260105||MDM^T02|D1|P|2.5" + "\rEVN|T02|20260105\r" + PID.format("P1", "Doe") + "\r"
        "TXA|1|DI^Diagnostic imaging^HL70270|TX|20260105|||||77^House|||D9^RIS|||FI1^RIS||LA||AV\r"
        "OBX|1|TX|1^Text^L||First line||||||F\rOBX|2|TX|1^Text^L||Second line||||||F\r"
    )
    await desk.send(orm(pid=PID.format("P1", "Doe")), content.encode())
    found = await desk.only("DocumentReference")
    assert found["context"]["related"][0]["reference"] == reference("ServiceRequest", await desk.only("ServiceRequest"))
    assert (found["status"], found["docStatus"], found["masterIdentifier"]["value"]) == ("current", "final", "D9")
    assert found["content"][0]["attachment"]["contentType"] == "text/plain"


SIU = (
    r"MSH|^~\&|RIS|HOSP|C|H|{time}||SIU^{trigger}|S{time}|P|2.5" + "\rSCH|A1^HIS|B1^RIS|||||R^Reason^L|Normal|30|MIN|"
    "^^30^20260110090000\rNTE|1||Bring films\rNTE|2||and papers\r"
    + PID.format("P1", "Doe")
    + "\rRGS|1\rAIS|1|A|CTH^CT Head^L|20260110090000\r"
    "AIL|1|A|W^1^^HOSP\rAIP|1|A|77^House^Greg|MTRA\r"
)


async def test_an_appointment_is_booked_moved_and_cancelled(desk: Desk) -> None:
    await desk.send(SIU.format(time="20260101", trigger="S12").encode())
    found = await desk.only("Appointment")
    assert found["status"] == "booked"
    assert (found["start"], found["end"]) == ("2026-01-10T09:00:00+00:00", "2026-01-10T09:30:00+00:00")
    kinds = [one["actor"]["type"] for one in found["participant"]]
    assert kinds == ["Patient", "Location", "Practitioner"]
    assert found["comment"] == "Bring films\nand papers"
    moved = SIU.replace("^30^20260110090000", "^30^20260111090000")
    await desk.send(moved.format(time="20260102", trigger="S13").encode())
    assert (await desk.only("Appointment"))["start"] == "2026-01-11T09:00:00+00:00"
    await desk.send(SIU.format(time="20260103", trigger="S15").encode())
    assert (await desk.only("Appointment"))["status"] == "cancelled"


async def test_a_provenance_says_which_message_changed_what(desk: Desk) -> None:
    content = orm(pid=PID.format("P1", "Doe"), orc10="12^Clerk^Ann^^^^^^HIS")
    await desk.send(content)
    found = await desk.only("Provenance")
    assert {one["reference"] for one in found["target"]} == {
        reference(kind, await desk.only(kind)) for kind in ("Patient", "ServiceRequest", "Practitioner")
    }
    assert [agent["who"]["display"] for agent in found["agent"]] == ["Ann Clerk", "HOSP", "RIS"]
    assert found["activity"]["coding"][0]["code"] == "CREATE"
    assert found["entity"][0]["what"]["identifier"]["value"] == Arrival.of(content, RECEIVED, KEY).ref


async def test_a_message_that_changes_nothing_has_no_provenance(desk: Desk) -> None:
    await desk.send(adt(time="20260101"))
    await desk.send(adt(time="20260102", control_id="2"))
    assert len(await desk.all("Provenance")) == 1


async def test_what_was_confirmed_later_is_not_overwritten_by_a_message_in_between(desk: Desk) -> None:
    for day, name in ((1, "Doe"), (3, "Doe"), (2, "Roe")):
        await desk.send(adt("A08", control_id=f"{day}", time=f"2026010{day}", pid=PID.format("P1", name)))
    assert (await desk.only("Patient"))["name"][0]["family"] == "Doe"
