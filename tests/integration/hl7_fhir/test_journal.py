"""Messages and what they change, in one transaction, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from contracts.events import Event, OrderCancelled, OrderChanged, OrderPlaced, PatientRegistered, PatientUpdated
from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.indexing import Index as SearchIndex
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.profiles import Hl7apyProfiles
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.senders import Anybody, Registry
from services.hl7_fhir.adapters.tables import messages, metadata, resources
from services.hl7_fhir.adapters.waiting import SqlWaiting
from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.fhir.conditions import Search
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.fhir.search import read
from services.hl7_fhir.domain.intake.senders import Sender
from services.hl7_fhir.handlers import Mapping, Messages
from shared.errors import RetryLater, Unprocessable
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.hl7 import adt, code_of, omi, orm

KEY = SiteKey(b"k" * 32)
SITE = Site(patient_issuer="SITE", order_issuer="SITE")


@dataclass
class Told:
    """An outbox that remembers; ``trouble`` is raised once instead."""

    events: list[Event] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    trouble: Exception | None = None

    def add(self, connection: Connection, told: Event, *, id: str) -> None:  # noqa: A002
        trouble, self.trouble = self.trouble, None
        if trouble:
            raise trouble
        self.events.append(told)
        self.ids.append(id)

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.events]


@dataclass
class Desk:
    """Takes messages into a real database."""

    database: Database
    told: Told

    def parts(self) -> tuple[Messages, Mapping]:
        """What takes messages, and what maps them."""
        sealer, others = Sealer(KEY), Sender("", SITE)
        registry = Registry(Anybody(others), others, KEY)
        messages = Messages(registry, SqlJournal(self.database, sealer), Hl7apyProfiles(), KEY)
        return messages, Mapping(SqlWaiting(self.database, self.told, registry, KEY, Contents(sealer)))

    async def send(self, content: bytes) -> str:
        """MSA-1 of the answer; the message is mapped."""
        messages, mapping = self.parts()
        (answer,) = await messages.arrived(content)
        await mapping.map_all()
        return code_of(answer)

    async def rows(self) -> list[Any]:
        """The messages kept, in their order."""
        return list(await self.database.read(lambda c: c.execute(select(messages).order_by(messages.c.sequence)).all()))

    def content(self, row: Any) -> bytes:
        """The bytes of a message."""
        return Sealer(KEY).open(row.ref, row.content)

    async def only(self, kind: str) -> Stored:
        """The one resource of ``kind``."""
        page = await SqlResources(self.database).search(Search(kind))
        assert page.total == 1
        return page.found[0]

    async def count(self, kind: str) -> int:
        """How many resources of ``kind`` there are."""
        counted = select(func.count()).select_from(resources).where(resources.c.type == kind)
        return await self.database.read(lambda connection: int(connection.execute(counted).scalar_one()))


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    database = Database(migrated(request.param, "hl7_fhir"))
    await SearchIndex(database).build()
    yield Desk(database, Told())
    await database.close()


async def test_a_message_is_kept_with_its_exact_bytes(desk: Desk) -> None:
    content = adt().replace(b"Jane", "Zoë".encode()) + b"ZXY|\xf0\x9f\x8f\xa5|local\r\r\n"
    assert await desk.send(content) == "AA"
    row = (await desk.rows())[0]
    assert desk.content(row) == content
    assert (row.code, row.type, row.trigger_event, row.control_id, row.mapped) == ("AA", "ADT", "A04", "C1", True)


async def test_a_repeat_changes_nothing(desk: Desk) -> None:
    for _ in range(3):
        assert await desk.send(orm()) == "AA"
    assert len(await desk.rows()) == 1
    assert desk.told.kinds() == [PatientRegistered, OrderPlaced]
    assert (await desk.only("ServiceRequest")).version == 1


async def test_the_same_control_id_with_other_bytes_is_another_message_and_flagged(desk: Desk) -> None:
    assert await desk.send(adt(pid="PID|1||P1^^^HOSP^MR||Doe^Jane")) == "AA"
    assert await desk.send(adt(pid="PID|1||P2^^^HOSP^MR||Roe^Jane")) == "AA"
    assert [row.flags for row in await desk.rows()] == ["", "control-id-reused"]
    assert await desk.count("Patient") == 2


async def test_the_same_control_id_of_another_sender_is_no_reuse(desk: Desk) -> None:
    await desk.send(adt())
    await desk.send(adt().replace(b"|RIS|", b"|HIS|"))
    assert [row.flags for row in await desk.rows()] == ["", ""]


async def test_when_the_event_cannot_be_queued_the_message_waits_and_nothing_of_it_is_seen(desk: Desk) -> None:
    desk.told.trouble = RetryLater("outbox-full")
    with pytest.raises(RetryLater):
        await desk.send(orm())
    assert [row.state for row in await desk.rows()] == ["waiting"]
    assert await desk.count("Patient") == 0
    await desk.parts()[1].map_all()
    assert [row.state for row in await desk.rows()] == ["done"]
    assert desk.told.kinds() == [PatientRegistered, OrderPlaced]


async def test_a_message_that_cannot_be_mapped_holds_up_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    messages, mapping = desk.parts()
    decide = Reader.decide

    def odd(self: Reader, content: bytes, ref: str, received: datetime) -> Any:
        if b"|C3|" in content:
            raise ZeroDivisionError
        return decide(self, content, ref, received)

    monkeypatch.setattr(Reader, "decide", odd)
    for number in range(6):
        await messages.arrived(adt(control_id=f"C{number}", pid=f"PID|1||P{number}^^^HOSP^MR||Doe^Jane"))
    await mapping.map_all()
    assert [row.state for row in await desk.rows()] == ["done", "done", "done", "failed", "done", "done"]
    assert (await desk.rows())[3].reason == "internal-error"
    assert await desk.count("Patient") == 5


async def test_a_flood_is_kept_in_groups_and_mapped_in_its_order(desk: Desk) -> None:
    messages, mapping = desk.parts()
    sent = [adt("A08", control_id=f"{n}", pid=f"PID|1||P1^^^HOSP^MR||Doe^J{n}") for n in range(300)]
    await asyncio.gather(*(messages.arrived(content) for content in sent))
    assert [row.control_id for row in await desk.rows()] == [f"{n}" for n in range(300)]
    await mapping.map_all()
    assert (await desk.only("Patient")).body["name"][0]["given"] == ["J299"]


async def test_the_bytes_at_rest_say_nothing_without_the_key(desk: Desk) -> None:
    await desk.send(adt())
    row = (await desk.rows())[0]
    assert b"Doe" not in row.content
    assert len(row.content) == row.size + 28
    with pytest.raises(Unprocessable, match="content-unreadable"):
        Sealer(SiteKey(b"x" * 32)).open(row.ref, row.content)
    with pytest.raises(Unprocessable, match="content-unreadable"):
        Sealer(KEY).open("0" * 32, row.content)


async def test_what_is_refused_is_kept_with_the_reason_and_can_be_sent_again(desk: Desk) -> None:
    broken = orm().replace(b"ORC|NW", b"ORC|")
    assert [await desk.send(broken) for _ in range(2)] == ["AE", "AE"]
    rows = await desk.rows()
    assert [(row.code, row.reason, row.place) for row in rows] == [("AE", "order-control-missing", "ORC^1^1")]
    assert desk.content(rows[0]) == broken
    assert await desk.count("Patient") == 0
    assert await desk.send(orm()) == "AA"


async def test_an_order_is_placed_changed_and_cancelled(desk: Desk) -> None:
    await desk.send(orm("NW", control_id="1", time="20260101100000"))
    await desk.send(orm("XO", control_id="2", time="20260101110000", obr4="24726-2^CT Head with contrast^LN"))
    await desk.send(orm("CA", control_id="3", time="20260101120000", obr4=""))
    assert desk.told.kinds() == [PatientRegistered, OrderPlaced, OrderChanged, OrderCancelled]
    assert len({event.order_ref for event in desk.told.events[1:]}) == 1  # type: ignore[attr-defined]
    stored = await desk.only("ServiceRequest")
    assert (stored.version, stored.body["status"]) == (3, "revoked")
    assert stored.body["code"]["coding"][0]["code"] == "24726-2"


async def test_events_hold_tokens_and_references_alone(desk: Desk) -> None:
    await desk.send(omi())
    placed = desk.told.events[1]
    assert placed.model_dump() == {
        "order_ref": (await desk.only("ServiceRequest")).id,
        "patient_ref": (await desk.only("Patient")).id,
        "patient_token": KEY.patient_token("HOSP", "P1"),
        "accession_token": KEY.accession_token("HOSP", "ACC7"),
        "study_uid": "1.2.840.99.7",
        "priority": "stat",
        "modality": "MR",
    }


async def test_event_ids_are_those_that_a_repeat_would_give(desk: Desk) -> None:
    await desk.send(orm())
    again = Desk(desk.database, Told())
    await desk.database.run(lambda c: [c.execute(table.delete()) for table in metadata.sorted_tables])
    await again.send(orm())
    assert again.told.ids == desk.told.ids


async def test_an_older_order_message_fills_gaps_and_revives_nothing(desk: Desk) -> None:
    await desk.send(orm("CA", control_id="2", time="20260101120000"))
    await desk.send(orm("NW", control_id="1", time="20260101100000", obr31="R51^Headache^I10", obr4="X^Old^L"))
    stored = await desk.only("ServiceRequest")
    assert stored.body["status"] == "revoked"
    assert stored.body["code"]["coding"][0]["code"] == "24725-4"
    assert stored.body["reasonCode"][0]["coding"][0]["code"] == "R51"
    assert desk.told.kinds() == [PatientRegistered, OrderCancelled, OrderChanged]
    assert "older-than-known" in (await desk.rows())[1].flags


async def test_a_patient_is_registered_updated_and_not_overwritten_by_older_messages(desk: Desk) -> None:
    def named(family: str, phone: str = "") -> str:
        return f"PID|1||P1^^^HOSP^MR||{family}^Jane||19800203|F|||||{phone}"

    await desk.send(adt("A04", control_id="1", time="20260101100000", pid=named("Doe")))
    await desk.send(adt("A08", control_id="2", time="20260101120000", pid=named("Roe")))
    await desk.send(adt("A08", control_id="3", time="20260101110000", pid=named("Poe")))
    assert (await desk.only("Patient")).body["name"][0]["family"] == "Roe"
    assert desk.told.kinds() == [PatientRegistered, PatientUpdated]
    await desk.send(adt("A08", control_id="4", time="20260101110000", pid=named("Poe", "5550123")))
    stored = await desk.only("Patient")
    assert (stored.body["name"][0]["family"], stored.body["telecom"][0]["value"]) == ("Roe", "5550123")
    assert [row.flags for row in await desk.rows()] == ["", "", "older-than-known", "older-than-known"]


async def test_a_message_that_says_nothing_new_makes_no_version_and_no_event(desk: Desk) -> None:
    await desk.send(adt("A08", control_id="1", time="20260101100000"))
    await desk.send(adt("A08", control_id="2", time="20260101110000"))
    assert (await desk.only("Patient")).version == 1
    assert desk.told.kinds() == [PatientRegistered]


async def test_a_second_admission_is_a_fact_of_its_own(desk: Desk) -> None:
    await desk.send(adt("A01", control_id="1", time="20260101100000"))
    await desk.send(adt("A01", control_id="2", time="20260201100000"))
    assert desk.told.kinds() == [PatientRegistered, PatientRegistered]


async def test_earlier_versions_stay_readable(desk: Desk) -> None:
    await desk.send(adt("A04", control_id="1", time="20260101100000"))
    await desk.send(adt("A08", control_id="2", time="20260101110000", pid="PID|1||P1^^^HOSP^MR||Roe^Jane"))
    patient = await desk.only("Patient")
    first = await SqlResources(desk.database).read("Patient", patient.id, 1)
    assert first is not None
    assert (first.body["name"][0]["family"], patient.body["name"][0]["family"]) == ("Doe", "Roe")


@pytest.mark.parametrize("pid", ["PID|1||||Doe^John", "PID|1||UNKNOWN^^^HOSP^MR||Doe^John"])
async def test_patients_without_an_id_are_never_the_same(desk: Desk, pid: str) -> None:
    await desk.send(adt(control_id="1", pid=pid))
    await desk.send(adt(control_id="2", pid=pid))
    assert await desk.count("Patient") == 2
    assert all(event.patient_token is None for event in desk.told.events)  # type: ignore[attr-defined]
    assert [row.flags for row in await desk.rows()] == ["patient-not-identified"] * 2


async def test_one_placer_order_may_become_several_of_the_filler(desk: Desk) -> None:
    await desk.send(orm(control_id="1", orc3="FI1^RIS", obr3="FI1^RIS"))
    await desk.send(orm(control_id="2", orc3="FI2^RIS", obr3="FI2^RIS"))
    assert await desk.count("ServiceRequest") == 2


async def test_an_order_known_by_its_placer_number_gets_its_filler_number_later(desk: Desk) -> None:
    await desk.send(orm(control_id="1", time="20260101100000", orc3="", obr3=""))
    await desk.send(orm("SC", control_id="2", time="20260101110000"))
    await desk.send(orm("CA", control_id="3", time="20260101120000", orc2="", obr2=""))
    assert (await desk.only("ServiceRequest")).body["status"] == "revoked"


async def test_orders_without_any_number_are_never_the_same(desk: Desk) -> None:
    for number in range(2):
        await desk.send(orm(control_id=f"{number}", orc2="", orc3="", obr18=""))
    assert await desk.count("ServiceRequest") == 2


async def test_one_message_may_hold_several_orders_and_speak_twice_of_one(desk: Desk) -> None:
    unnumbered = orm(orc2="", obr2="", orc3="", obr3="", obr18="")
    await desk.send(unnumbered + unnumbered.split(b"\r", 2)[2])
    assert await desk.count("ServiceRequest") == 2
    placed, cancelled = orm(control_id="2"), orm("CA", control_id="2")
    await desk.send(placed + cancelled.split(b"\r", 2)[2])
    assert desk.told.kinds() == [PatientRegistered, *[OrderPlaced] * 3, OrderCancelled]
    assert len(set(desk.told.ids)) == 5


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (adt().replace(b"|RIS|", b"|R\x00S|"), "AE"),
        (b"\x00" * 9, "AE"),
        (b"MSH|^~\\&|\x00|\x00", "AE"),
        (adt(pid=r"PID|1||P\X00\1^^^H\X0041\||D\X00\oe^\X0B\Jane"), "AA"),
        (orm(orc2="PL\\X00\\^\\X00\\", obr18="A" * 5000, orc3="F" * 5000), "AA"),
        (adt(control_id="C" * 5000), "AA"),
        (adt(pid="PID|1||" + "~".join(f"P{n}^^^H" for n in range(900))), "AA"),
    ],
)
async def test_odd_characters_and_lengths_break_no_row(desk: Desk, content: bytes, code: str) -> None:
    assert await desk.send(content) == code
    assert desk.content((await desk.rows())[0]) == content


async def test_a_failure_report_about_an_order_nobody_knows_makes_none(desk: Desk) -> None:
    await desk.send(orm("UC"))
    assert await desk.count("ServiceRequest") == 0
    assert (await desk.rows())[0].flags == "order-unknown"


async def test_an_order_that_moves_to_another_patient_is_flagged(desk: Desk) -> None:
    await desk.send(orm(control_id="1", time="20260101100000"))
    await desk.send(orm("XO", control_id="2", time="20260101110000", pid="PID|1||P2^^^HOSP^MR||Roe^Jane"))
    assert (await desk.rows())[1].flags == "order-of-another-patient"


async def test_messages_about_one_patient_that_arrive_together_are_all_done(desk: Desk) -> None:
    sent = [
        adt("A08", control_id=f"{n}", time=f"202601011000{n:02}", pid=f"PID|1||P1^^^HOSP^MR||Doe^J{n}")
        for n in range(12)
    ]
    assert await asyncio.gather(*(desk.send(content) for content in sent)) == ["AA"] * 12
    patient = await desk.only("Patient")
    assert patient.body["name"][0]["given"] == ["J11"]
    assert desk.told.kinds().count(PatientRegistered) == 1


async def test_the_same_message_over_two_connections_at_once_is_done_once(desk: Desk) -> None:
    assert await asyncio.gather(*(desk.send(orm()) for _ in range(6))) == ["AA"] * 6
    assert desk.told.kinds() == [PatientRegistered, OrderPlaced]


async def test_resources_are_found_by_identifier_and_patient(desk: Desk) -> None:
    await desk.send(orm())
    await desk.send(adt(control_id="2", pid="PID|1||P2^^^HOSP^MR||Roe^Jane"))
    found, system = SqlResources(desk.database), "urn:x-causeway:issuer:HOSP"

    async def ids(kind: str, *asked: tuple[str, str]) -> list[str]:
        return [each.id for each in (await found.search(read(kind, asked, datetime.now(UTC)))).found]

    (patient,) = await ids("Patient", ("identifier", f"{system}|P1"))
    assert len(await ids("Patient", ("identifier", "P1,P2"))) == 2
    assert await ids("Patient", ("identifier", "P1"), ("identifier", "P2")) == []
    assert await ids("Patient", ("identifier", "|P1")) == []
    assert await ids("Patient", ("_id", f"{patient},x")) == [patient]
    (order,) = await ids("ServiceRequest", ("patient", patient))
    assert await ids("ServiceRequest", ("identifier", "urn:dicom:uid|urn:oid:1.2.840.99.1")) == [order]
    assert await ids("ServiceRequest", ("patient.name", "doe"), ("code", "24725-4")) == [order]


async def test_the_time_of_receipt_is_utc(desk: Desk) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    await desk.send(adt())
    received = (await desk.rows())[0].received
    assert (received if received.tzinfo else received.replace(tzinfo=UTC)) >= before
