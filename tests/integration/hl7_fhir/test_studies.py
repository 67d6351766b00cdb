"""Studies, tied to orders and patients that come before or after them, on SQLite and PostgreSQL."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from contracts.events import Event, StudyMatched
from services.hl7_fhir.adapters.effects import Effects
from services.hl7_fhir.adapters.following import Follower, OrderNow, PatientNow
from services.hl7_fhir.adapters.matches import SqlMatches
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.studies import SqlStudies, Studies
from services.hl7_fhir.adapters.study_tables import order_keys, studies, study_orders
from services.hl7_fhir.adapters.tables import changes, metadata, resources, versions
from services.hl7_fhir.adapters.telling_all import TellingAll
from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.intake.arrival import Arrival, now
from services.hl7_fhir.domain.mapping.identity import Identity
from services.hl7_fhir.domain.studies.deciding import Verdict, VerdictRefused
from services.hl7_fhir.handlers import StudyEvents
from shared.errors import AlreadyDone, RetryLater
from shared.sql import Database
from tests.support import studies as made
from tests.support.databases import Migrated
from tests.support.fhir import assert_valid
from tests.support.hl7 import adt, orm

UID = "1.2.840.99.1"
REF = made.KEY.study_ref(UID)
SITE = Site(patient_issuer="SITE", order_issuer="SITE")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
UNTIED = {"tail": "ZDS|"}


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
        if isinstance(told, StudyMatched):
            self.events.append(told)
            self.ids.append(id)


class Desk:
    """Takes messages and events into a real database."""

    def __init__(self, database: Database, most: int = 100, largest: int = 10**6) -> None:
        self.database, self.told, self.documents = database, Told(), made.Documents()
        self.studies = Studies(self.told, made.KEY, "https://pacs.example/dicom-web")
        self.on = StudyEvents(SqlStudies(database, self.studies, SITE, made.KEY), self.documents, UTC, most, largest)
        self.followers: tuple[Follower, ...] = (self.studies,)
        self.matches = SqlMatches(database, self.studies, made.KEY)

    async def send(self, content: bytes) -> None:
        """Do what a message says."""
        arrival = Arrival.of(content, now(), made.KEY)
        decision = Reader(SITE, made.KEY).decide(content, arrival.ref, arrival.received)

        def apply(connection: Connection) -> None:
            Effects(connection, self.told, SITE, made.KEY, arrival, decision, followers=self.followers).apply()

        await self.database.run(apply)

    async def receive(self, uid: str = UID) -> None:
        await self._hear(self.on.received, made.received(uid))

    async def complete(self, uid: str = UID, revision: int = 1, instances: int = 3, **said: Any) -> None:
        blob = self.documents.keep(f"{uid}/{revision}/{instances}", made.summary(uid, **said))
        event = made.completed(uid, blob, revision=revision, instances=instances)
        await self._hear(self.on.completed, event)

    async def archive(self, uid: str = UID, revision: int = 1, instances: int = 3, **said: Any) -> None:
        blob = self.documents.keep(f"{uid}/{revision}/{instances}", made.summary(uid, **said))
        await self._hear(self.on.archived, made.archived(uid, blob, revision=revision, instances=instances))

    async def _hear(self, method: Callable[[Any], Awaitable[None]], event: Any) -> None:
        with suppress(AlreadyDone):
            await method(event)

    async def merge(self, survivor: str, merged: str) -> None:
        """A40: both are ids of HOSP."""
        ids = [made.KEY.token("patient-resource", "HOSP", each) for each in (survivor, merged)]
        patient = PatientNow(ids[0], Identity("HOSP", survivor), {}, {}, "0" * 32, NOW)
        await self.database.run(lambda c: self.studies.patients_merged(c, patient, ids[1]))

    async def study(self, uid: str = UID) -> Stored:
        """Its ImagingStudy, which every judge accepts."""
        found = await SqlResources(self.database).read("ImagingStudy", made.KEY.study_ref(uid))
        assert found is not None
        assert_valid(found.shown())
        return found

    async def patient(self, value: str = "P1") -> str:
        return f"Patient/{made.KEY.token('patient-resource', 'HOSP', value)}"

    async def order(self, value: str = "ACC1") -> str:
        wanted = order_keys.c.accession_token == made.KEY.accession_token("SITE", value)
        asked = select(order_keys.c.id).where(wanted)
        return f"ServiceRequest/{await self.database.read(lambda c: c.execute(asked).scalars().first())}"

    async def reasons(self, uid: str = UID) -> list[str]:
        shown = await self.matches.shown(made.KEY.study_ref(uid))
        assert shown is not None
        return list(shown["reasons"])

    async def state(self) -> Any:
        """All that a reader can see of studies: not when, nor how often."""

        def read(connection: Connection) -> Any:
            kept = (studies.c.id, studies.c.revision, studies.c.rank, studies.c.patient, studies.c.basis)
            bodies = select(resources.c.type, resources.c.id, resources.c.body).where(
                resources.c.type.in_(("ImagingStudy", "ServiceRequest"))
            )
            return (
                [tuple(row) for row in connection.execute(select(*kept, studies.c.reasons).order_by(studies.c.id))],
                sorted(tuple(row) for row in connection.execute(select(study_orders))),
                sorted(
                    (row[0], row[1], json.dumps(json.loads(row[2]), sort_keys=True))
                    for row in connection.execute(bodies)
                ),
            )

        return await self.database.read(read)

    async def history(self) -> tuple[int, int]:
        """How many versions and changes there are."""

        def count(connection: Connection) -> tuple[int, int]:
            return len(connection.execute(select(versions)).all()), len(connection.execute(select(changes)).all())

        return await self.database.read(count)

    async def clear(self) -> None:
        await self.database.run(lambda c: [c.execute(table.delete()) for table in metadata.sorted_tables])


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    database = Database(migrated(request.param, "hl7_fhir"))
    yield Desk(database)
    await database.close()


def based_on(stored: Stored) -> list[str]:
    return [each["reference"] for each in stored.body.get("basedOn", ())]


async def test_a_study_after_its_order_is_tied_to_it_and_says_what_its_images_are(desk: Desk) -> None:
    await desk.send(orm(obr31="R51^Headache^I10"))
    await desk.complete()
    stored = await desk.study()
    body = dict(stored.body)
    assert body.pop("basedOn") == [{"reference": await desk.order(), "type": "ServiceRequest"}]
    assert body.pop("subject") == {"reference": await desk.patient(), "type": "Patient"}
    named, accession = body.pop("identifier")
    assert named == {"system": "urn:dicom:uid", "value": f"urn:oid:{UID}"}
    assert (accession["type"]["coding"][0]["code"], accession["value"]) == ("ACSN", "ACC1")
    assert body.pop("procedureCode")[0]["coding"][0]["code"] == "24725-4"
    assert body.pop("reasonCode")[0]["coding"][0]["code"] == "R51"
    dcm, sop = (
        "http://dicom.nema.org/resources/ontology/DCM",
        {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{made.CT}"},
    )
    head = {"system": "urn:x-causeway:dicom:body-part-examined", "code": "HEAD", "display": "HEAD"}
    assert body == {
        "resourceType": "ImagingStudy",
        "status": "available",
        "modality": [{"system": dcm, "code": "CT"}],
        "started": "2026-01-01T11:30:00+00:00",
        "description": "Head",
        "endpoint": [{"reference": "Endpoint/dicomweb", "type": "Endpoint"}],
        "numberOfSeries": 1,
        "numberOfInstances": 3,
        "series": [
            {
                "uid": f"{UID}.1",
                "modality": {"system": dcm, "code": "CT"},
                "numberOfInstances": 3,
                "number": 1,
                "description": "Axial",
                "bodySite": head,
                "started": "2026-01-01T11:31:00+00:00",
                "instance": [{"uid": f"{UID}.1.{n}", "sopClass": sop, "number": n} for n in (1, 2, 3)],
            }
        ],
    }
    assert (await desk.matches.listed(None, 10, 0))[0] == 0


async def test_an_order_after_its_study_ties_it(desk: Desk) -> None:
    await desk.receive()
    assert (await desk.study()).body["status"] == "registered"
    await desk.complete()
    assert (based_on(await desk.study()), await desk.reasons()) == ([], ["order-missing", "patient-unknown"])
    await desk.send(adt())
    assert (await desk.study()).body["subject"]["reference"] == await desk.patient()
    assert await desk.reasons() == ["order-missing"]
    await desk.send(orm())
    assert based_on(await desk.study()) == [await desk.order()]
    assert (await desk.reasons(), (await desk.matches.listed(None, 10, 0))[0]) == ([], 0)


async def test_the_subject_of_a_study_whose_patient_nobody_registered_is_logical(desk: Desk) -> None:
    await desk.complete()
    token = made.KEY.patient_token("HOSP", "P1")
    assert (await desk.study()).body["subject"]["identifier"]["value"] == token
    await desk.complete("1.2.3", patient=None)
    assert (await desk.study("1.2.3")).body["subject"]["extension"][0]["valueCode"] == "unknown"


MERGED = "PID|1||P2^^^HOSP^MR||Doe^J\rMRG|P1^^^HOSP^MR"

STEPS: tuple[tuple[str, Callable[[Desk], Awaitable[None]]], ...] = (
    ("admitted", lambda desk: desk.send(adt("A04", control_id="1", time="20260101100000"))),
    ("ordered", lambda desk: desk.send(orm(control_id="2", time="20260101110000"))),
    (
        "changed",
        lambda desk: desk.send(orm("XO", control_id="3", time="20260101120000", obr4="24726-2^CT Head^LN")),
    ),
    ("received", lambda desk: desk.receive()),
    ("completed", lambda desk: desk.complete()),
    ("archived", lambda desk: desk.archive()),
    ("revised", lambda desk: desk.complete(revision=2, instances=4, series=[made.series(f"{UID}.1", 4)])),
    ("merged", lambda desk: desk.send(adt("A40", control_id="5", time="20260101130000", pid=MERGED))),
    (
        "survivor",
        lambda desk: desk.send(adt("A08", control_id="4", time="20260101090000", pid="PID|1||P2^^^HOSP^MR||Doe^J")),
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.permutations(STEPS), again=st.lists(st.sampled_from(STEPS), max_size=4))
async def test_in_whatever_order_events_come_and_come_again_the_end_is_the_same(
    desk: Desk, order: list[tuple[str, Any]], again: list[tuple[str, Any]]
) -> None:
    await desk.clear()
    for _, step in STEPS:
        await step(desk)
    wanted = await desk.state()
    assert [row[3:] for row in wanted[0]] == [
        (made.KEY.token("patient-resource", "HOSP", "P2"), "study-uid-and-accession", "")
    ]
    await desk.clear()
    for _, step in (*order, *again):
        await step(desk)
    assert await desk.state() == wanted


async def test_a_replay_of_everything_changes_nothing(desk: Desk) -> None:
    for _, step in STEPS:
        await step(desk)
    before = (await desk.state(), await desk.history(), list(desk.told.ids))
    for _, step in STEPS:
        await step(desk)
    assert (await desk.state(), await desk.history(), desk.told.ids) == before


async def test_studies_and_orders_that_arrive_at_the_same_moment_meet(desk: Desk) -> None:
    uids = [f"1.2.840.99.{number}" for number in range(16)]

    def order(uid: str) -> bytes:
        return orm(control_id=uid, orc2=uid, obr2=uid, orc3=uid, obr3=uid, obr18=f"A{uid}", tail=f"ZDS|{uid}")

    await desk.send(adt())
    moments = [(desk.send(order(uid)), desk.complete(uid, accession=None), desk.receive(uid)) for uid in uids]
    await asyncio.gather(*(each for moment in moments for each in moment))
    for uid in uids:
        assert based_on(await desk.study(uid)) == [await desk.order(f"A{uid}")]


class Pause:
    """A follower that holds up the transaction of an order."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def patient_changed(self, connection: Connection, patient: PatientNow) -> None: ...
    def patients_merged(self, connection: Connection, survivor: PatientNow, merged: str) -> None: ...
    def order_changed(self, connection: Connection, order: OrderNow) -> None:
        self.reached.set()
        assert self.go.wait(10)


async def test_a_study_that_comes_while_its_order_is_being_written_meets_it(desk: Desk) -> None:
    pause = Pause()
    desk.followers = (desk.studies, pause)
    ordering = asyncio.create_task(desk.send(orm()))
    assert await asyncio.to_thread(pause.reached.wait, 10)
    completing = asyncio.create_task(desk.complete())
    await asyncio.sleep(0.5)
    pause.go.set()
    await asyncio.gather(ordering, completing)
    assert based_on(await desk.study()) == [await desk.order()]


async def test_what_cannot_be_queued_is_not_done_and_done_when_it_comes_again(desk: Desk) -> None:
    await desk.send(orm())
    desk.told.trouble = RetryLater("outbox-full")
    with pytest.raises(RetryLater):
        await desk.complete()
    assert await SqlResources(desk.database).read("ImagingStudy", REF) is None
    await desk.complete()
    assert based_on(await desk.study()) == [await desk.order()]


CONTRADICTIONS: Mapping[str, tuple[list[bytes], dict[str, Any], list[str]]] = {
    "accession says one order, the study UID another": (
        [
            orm(control_id="1", orc2="PA", obr2="PA", orc3="FA", obr3="FA", **UNTIED),
            orm(control_id="2", orc2="PB", obr2="PB", orc3="FB", obr3="FB", obr18="ACC2"),
        ],
        {},
        ["orders-contradict"],
    ),
    "the images are of another patient": ([orm()], {"patient": ("HOSP", "P9")}, ["patient-differs", "patient-unknown"]),
    "the images are of another patient's issuer": (
        [orm()],
        {"patient": ("ELSEWHERE", "P1")},
        ["patient-differs", "patient-unknown"],
    ),
    "the accession number is another issuer's": (
        [orm(**UNTIED)],
        {"accession": ("ELSEWHERE", "ACC1")},
        ["order-missing"],
    ),
    "the order has another study UID": ([orm(tail="ZDS|1.2.3.4")], {}, ["study-uid-differs"]),
    "the order has another accession number": ([orm(obr18="ACC2")], {}, ["accession-differs"]),
    "the order was cancelled": ([orm("CA")], {}, ["order-cancelled"]),
    "an accession number alone, and nobody knows of whom": (
        [orm(**UNTIED)],
        {"patient": None},
        ["patient-not-identified"],
    ),
    "an accession number alone, ordered for somebody unknown": (
        [orm(pid="PID|1||UNKNOWN^^^HOSP^MR||Doe^John", **UNTIED)],
        {},
        ["patient-not-identified", "patient-unknown"],
    ),
    "an accession number alone, and an id of the patient whose issuer nobody named": (
        [orm(pid="PID|1||P1^^^HOSP^MR~77^^^^PI||Doe^Jane", **UNTIED)],
        {"patient": ("SITE", "77")},
        ["patient-differs", "patient-unknown"],
    ),
    "the same patient, procedure and time": (
        [orm(obr18="", tail="", obr6="20260101113000")],
        {"accession": None},
        ["order-missing"],
    ),
    "images of two patients": (
        [orm(), adt(control_id="2", pid="PID|1||P2^^^HOSP^MR||Roe^Jane")],
        {"patient": [("HOSP", "P1"), ("HOSP", "P2")]},
        ["patient-differs", "several-patients"],
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
@pytest.mark.parametrize("images_first", [False, True])
async def test_no_guess_is_ever_tied(desk: Desk, what: str, images_first: bool) -> None:
    messages, said, reasons = CONTRADICTIONS[what]
    if images_first:
        await desk.complete(**said)
    for message in messages:
        await desk.send(message)
    if not images_first:
        await desk.complete(**said)
    stored = await desk.study()
    assert (based_on(stored), await desk.reasons()) == ([], reasons)
    assert "procedureCode" not in stored.body and len(stored.body["identifier"]) == 1
    shown = await desk.matches.shown(REF)
    assert shown is not None and all(one["confidence"] <= 0.95 for one in shown["candidates"])
    if "accession number is another" not in what:
        assert [one["order"] for one in shown["candidates"]], "somebody has to have something to choose from"


async def test_an_accession_number_of_the_same_patient_ties_where_no_study_uid_is_known(desk: Desk) -> None:
    await desk.send(orm(**UNTIED))
    await desk.complete()
    assert based_on(await desk.study()) == [await desk.order()]
    assert desk.told.events[-1].basis == "accession"  # type: ignore[attr-defined]  # only events of matches are looked at


async def test_a_study_uid_ties_images_whose_patient_nobody_identified(desk: Desk) -> None:
    await desk.send(orm())
    await desk.complete(patient=None, accession=None)
    stored = await desk.study()
    assert based_on(stored) == [await desk.order()]
    assert stored.body["subject"]["reference"] == await desk.patient()
    assert await desk.reasons() == []


async def test_two_orders_under_one_study_uid_are_both_tied(desk: Desk) -> None:
    await desk.send(orm(control_id="1"))
    await desk.send(orm(control_id="2", orc2="PL2", obr2="PL2", orc3="FI2", obr3="FI2", obr18="ACC2"))
    await desk.complete(accession=None)
    assert sorted(based_on(await desk.study())) == sorted([await desk.order("ACC1"), await desk.order("ACC2")])


async def test_an_order_that_is_cancelled_or_changed_is_matched_anew(desk: Desk) -> None:
    await desk.send(orm(control_id="1", time="20260101100000"))
    await desk.complete()
    await desk.send(orm("XO", control_id="2", time="20260101110000", tail="ZDS|1.2.3.4"))
    assert (based_on(await desk.study()), await desk.reasons()) == ([], ["study-uid-differs"])
    await desk.send(orm("XO", control_id="3", time="20260101120000"))
    assert based_on(await desk.study()) == [await desk.order()]
    await desk.send(orm("CA", control_id="4", time="20260101130000"))
    assert (based_on(await desk.study()), await desk.reasons()) == ([], ["order-cancelled"])


async def test_a_cancelled_order_gives_way_to_the_one_that_replaces_it(desk: Desk) -> None:
    await desk.send(orm(control_id="1", time="20260101100000", orc3="", obr3=""))
    await desk.send(orm("CA", control_id="2", time="20260101110000", orc3="", obr3=""))
    await desk.complete()
    await desk.send(orm(control_id="3", time="20260101120000", orc2="PL2", obr2="PL2", orc3="", obr3=""))
    assert len(based_on(await desk.study())) == 1
    assert await desk.reasons() == []


async def test_after_a_merge_the_study_is_the_survivors_and_a_chain_ends_at_the_last(desk: Desk) -> None:
    await desk.send(orm())
    for number, name in enumerate(("P2", "P3"), 2):
        await desk.send(adt(control_id=f"{number}", pid=f"PID|1||{name}^^^HOSP^MR||Doe^Jane"))
    await desk.complete()
    await desk.merge("P2", "P1")
    assert (await desk.study()).body["subject"]["reference"] == await desk.patient("P2")
    await desk.merge("P3", "P2")
    stored = await desk.study()
    assert stored.body["subject"]["reference"] == await desk.patient("P3")
    assert based_on(stored) == [await desk.order()]
    indexed = select(resources.c.patient).where(resources.c.type == "ImagingStudy")
    assert (
        await desk.database.read(lambda c: c.execute(indexed).scalar_one()) == (await desk.patient("P3")).split("/")[1]
    )
    await desk.merge("P1", "P3")
    assert (await desk.study()).body["subject"]["reference"] == await desk.patient("P1")


async def test_a_merge_ties_images_of_the_other_record_to_the_order(desk: Desk) -> None:
    await desk.send(orm())
    await desk.send(adt(control_id="2", pid="PID|1||P2^^^HOSP^MR||Doe^Jane"))
    await desk.complete(patient=("HOSP", "P2"))
    assert await desk.reasons() == ["patient-differs"]
    await desk.merge("P1", "P2")
    assert (based_on(await desk.study()), await desk.reasons()) == ([await desk.order()], [])


async def test_a_second_id_of_the_patient_ties_images_that_bear_it(desk: Desk) -> None:
    await desk.send(orm(**UNTIED))
    await desk.complete(patient=("OLD", "77"))
    assert await desk.reasons() == ["patient-differs", "patient-unknown"]
    both = "PID|1||P1^^^HOSP^MR~77^^^OLD^PI||Doe^Jane"
    await desk.send(adt("A08", control_id="2", time="20260101130000", pid=both))
    assert based_on(await desk.study()) == [await desk.order()]
    await desk.send(adt("A08", control_id="3", time="20260101140000", pid=both.replace("~77^^^OLD^PI", "")))
    assert based_on(await desk.study()) == []


async def test_an_account_number_identifies_nobody(desk: Desk) -> None:
    await desk.send(orm(pid="PID|1||P1^^^HOSP^MR~77^^^HOSP^AN||Doe^Jane", **UNTIED))
    await desk.complete(patient=("HOSP", "77"))
    assert based_on(await desk.study()) == []


async def test_a_decision_ties_is_told_and_survives_whatever_comes_later(desk: Desk) -> None:
    await desk.send(orm(tail="ZDS|1.2.3.4"))
    await desk.complete()
    order = (await desk.order()).split("/")[1]
    shown = await desk.matches.decide(REF, Verdict("order", order), "alice", NOW)
    assert shown is not None and (shown["orders"], shown["basis"], shown["reasons"]) == ([order], "decision", [])
    assert shown["decisions"] == [{"kind": "order", "target": order, "who": "alice", "decided": NOW.isoformat()}]
    await desk.complete(revision=2, instances=4)
    await desk.archive(revision=2, instances=4)
    await desk.send(orm("XO", control_id="9", time="20260101150000", tail="ZDS|1.2.3.5"))
    assert based_on(await desk.study()) == [f"ServiceRequest/{order}"]
    told = [event for event in desk.told.events if event.basis == "decision"]  # type: ignore[attr-defined]  # only events of matches are looked at
    assert [event.order_refs for event in told] == [(order,)]  # type: ignore[attr-defined]  # only events of matches are looked at


async def test_a_decision_made_twice_is_one(desk: Desk) -> None:
    await desk.send(orm(tail="ZDS|1.2.3.4"))
    await desk.complete()
    verdict = Verdict("order", (await desk.order()).split("/")[1])
    first = await desk.matches.decide(REF, verdict, "alice", NOW)
    history = await desk.history()
    assert await desk.matches.decide(REF, verdict, "bob", NOW) == first
    assert await desk.history() == history


async def test_a_decision_about_the_patient_leaves_the_order_open(desk: Desk) -> None:
    await desk.send(adt(pid="PID|1||P2^^^HOSP^MR||Roe^Jane"))
    await desk.complete(patient=None, accession=None)
    assert await desk.reasons() == ["order-missing", "patient-not-identified"]
    await desk.matches.decide(REF, Verdict("patient", (await desk.patient("P2")).split("/")[1]), "alice", NOW)
    assert (await desk.study()).body["subject"]["reference"] == await desk.patient("P2")
    assert await desk.reasons() == ["order-missing"]


async def test_a_decision_about_the_patient_counts_when_orders_are_matched(desk: Desk) -> None:
    await desk.send(orm(**UNTIED))
    await desk.complete(patient=None)
    assert await desk.reasons() == ["patient-not-identified"]
    patient = (await desk.patient()).split("/")[1]
    await desk.matches.decide(REF, Verdict("patient", patient), "alice", NOW)
    assert based_on(await desk.study()) == [await desk.order()]
    await desk.send(adt(control_id="2", pid="PID|1||P2^^^HOSP^MR||Roe^Jane"))
    await desk.matches.decide(REF, Verdict("patient", (await desk.patient("P2")).split("/")[1]), "bob", NOW)
    assert (based_on(await desk.study()), await desk.reasons()) == ([], ["patient-differs"])


async def test_what_was_dismissed_stays_away_until_there_is_another_reason(desk: Desk) -> None:
    await desk.send(adt())
    await desk.complete()
    assert await desk.reasons() == ["order-missing"]
    await desk.matches.decide(REF, Verdict("dismiss"), "alice", NOW)
    assert (await desk.matches.listed(None, 10, 0))[0] == 0
    await desk.complete(revision=2, instances=4)
    assert await desk.reasons() == []
    await desk.send(orm("CA", control_id="2"))
    assert await desk.reasons() == ["order-cancelled"]
    await desk.matches.decide(REF, Verdict("dismiss"), "alice", NOW)
    await desk.send(orm("XO", control_id="3", time="20260101130000", obr18="OTHER", tail="ZDS|1.2.3.4"))
    assert await desk.reasons() == []
    await desk.matches.decide(REF, Verdict("undo"), "alice", NOW)
    assert await desk.reasons() == ["order-missing"]


async def test_what_was_decided_can_be_taken_back(desk: Desk) -> None:
    await desk.send(orm(tail="ZDS|1.2.3.4"))
    await desk.complete()
    await desk.matches.decide(REF, Verdict("order", (await desk.order()).split("/")[1]), "alice", NOW)
    await desk.matches.decide(REF, Verdict("undo"), "alice", NOW)
    assert (based_on(await desk.study()), await desk.reasons()) == ([], ["study-uid-differs"])


@pytest.mark.parametrize("kind", ["order", "patient"])
async def test_a_decision_about_what_is_not_there_is_refused(desk: Desk, kind: Any) -> None:
    await desk.complete()
    with pytest.raises(VerdictRefused):
        await desk.matches.decide(REF, Verdict(kind, "nobody"), "alice", NOW)
    assert await desk.matches.decide("nobody", Verdict("dismiss"), "alice", NOW) is None


async def test_candidates_are_sorted_by_how_likely_they_are(desk: Desk) -> None:
    near = orm(control_id="1", obr6="20260101114500", obr18="", tail="")
    far = orm(control_id="2", obr6="20251201114500", obr18="", tail="", orc2="P2", obr2="P2", orc3="F2", obr3="F2")
    other = orm(control_id="3", obr18="", tail="", obr24="MR", orc2="P3", obr2="P3", orc3="F3", obr3="F3")
    for message in (other, far, near):
        await desk.send(message)
    await desk.complete(accession=None)
    shown = await desk.matches.shown(REF)
    assert shown is not None
    assert [one["for"] for one in shown["candidates"]] == [
        ["modality", "patient", "time"],
        ["modality", "patient"],
        ["patient"],
    ]
    assert shown["candidates"][0]["procedure"] == "CT Head"


async def test_of_a_large_study_instances_are_counted_not_listed(desk: Desk) -> None:
    await desk.complete(instances=101, series=[made.series(f"{UID}.1", 101)])
    (one,) = (await desk.study()).body["series"]
    assert (one["numberOfInstances"], "instance" in one) == (101, False)


async def test_a_summary_that_is_too_large_is_not_read(desk: Desk) -> None:
    desk.on = StudyEvents(desk.on.studies, desk.on.documents, UTC, 100, 10)
    await desk.receive()
    await desk.complete()
    await desk.archive()
    body = (await desk.study()).body
    assert (body["status"], body["numberOfSeries"], body["numberOfInstances"]) == ("available", 1, 3)


async def test_what_is_archived_makes_no_new_version(desk: Desk) -> None:
    await desk.complete()
    await desk.archive()
    assert (await desk.study()).version == 1


async def test_orders_that_were_here_before_this_part_was_are_known_to_it(desk: Desk) -> None:
    desk.followers = ()
    await desk.send(orm())
    desk.followers = (desk.studies,)
    await SqlStudies(desk.database, desk.studies, SITE, made.KEY).catch_up()
    await desk.complete()
    assert based_on(await desk.study()) == [await desk.order()]
    history = await desk.history()
    await SqlStudies(desk.database, desk.studies, SITE, made.KEY).catch_up()
    assert await desk.history() == history


async def test_what_came_before_its_patients_and_orders_were_known_is_tied_in_the_end(desk: Desk) -> None:
    desk.followers = ()
    for number in range(7):
        pid = f"PID|1||P{number}^^^HOSP^MR||Doe^Jane"
        await desk.send(adt(control_id=f"A{number}", pid=pid))
        numbers = {"orc2": f"PL{number}", "obr2": f"PL{number}", "orc3": f"FI{number}", "obr3": f"FI{number}"}
        await desk.send(orm(control_id=f"O{number}", pid=pid, obr18=f"ACC{number}", tail="", **numbers))
    desk.followers = (desk.studies,)
    await desk.complete()
    assert await desk.reasons() == ["order-missing", "patient-unknown"]
    telling = TellingAll(desk.database, desk.studies, SITE, made.KEY)
    await telling.run(at_once=3)
    assert based_on(await desk.study()) == [await desk.order()]
    assert await desk.database.read(lambda c: len(c.execute(select(order_keys)).all())) == 7


async def test_a_start_that_is_broken_off_goes_on_at_the_next_and_what_cannot_be_told_is_left_out(desk: Desk) -> None:
    desk.followers = ()
    for number in range(6):
        numbers = {"orc2": f"PL{number}", "obr2": f"PL{number}", "orc3": f"FI{number}", "obr3": f"FI{number}"}
        await desk.send(orm(control_id=f"O{number}", obr18=f"ACC{number}", tail="", **numbers))
    orders = select(resources.c.id).where(resources.c.type == "ServiceRequest").order_by(resources.c.id)
    broken = (await desk.database.read(lambda c: c.execute(orders).scalars().all()))[1]
    spoilt = resources.update().where(resources.c.id == broken).values(body="{}")
    await desk.database.run(lambda c: c.execute(spoilt))
    told: list[str] = []

    class Broken(Studies):
        def order_changed(self, connection: Connection, order: OrderNow) -> None:
            if len(told) == 4:
                raise asyncio.CancelledError
            told.append(order.id)
            super().order_changed(connection, order)

    with pytest.raises(asyncio.CancelledError):
        await TellingAll(desk.database, Broken(desk.told, made.KEY), SITE, made.KEY).run(at_once=2)
    known = select(order_keys.c.id)
    before = set(await desk.database.read(lambda c: c.execute(known).scalars().all()))
    assert 0 < len(before) < 5
    await SqlStudies(desk.database, desk.studies, SITE, made.KEY).catch_up()
    after = set(await desk.database.read(lambda c: c.execute(known).scalars().all()))
    assert (len(after), broken in after) == (5, False)


async def test_the_endpoint_is_written_once_and_switched_off_with_its_setting(desk: Desk) -> None:
    for _ in range(2):
        await desk.database.run(desk.studies.offer)
    found = await SqlResources(desk.database).read("Endpoint", "dicomweb")
    assert found is not None
    assert_valid(found.shown())
    assert (found.version, found.body["address"]) == (1, "https://pacs.example/dicom-web")
    await desk.database.run(Studies(desk.told, made.KEY).offer)
    found = await SqlResources(desk.database).read("Endpoint", "dicomweb")
    assert found is not None
    assert_valid(found.shown())
    assert (found.version, found.body["status"]) == (2, "off")


async def test_nothing_that_is_told_names_anybody(desk: Desk) -> None:
    await desk.send(orm())
    await desk.complete()
    told = desk.told.events[-1].model_dump()
    assert set(told) == {"study_uid", "study_ref", "patient_ref", "order_refs", "basis", "reasons"}
    assert not any(name in json.dumps(told) for name in ("P1", "ACC1", "Doe"))
