"""Two senders, each with a default issuer of its own: what the one sent is not read again by the rules of the other."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select, select

from contracts.events import PatientMerged
from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.indexing import Index
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.profiles import Hl7apyProfiles
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.senders import Registry
from services.hl7_fhir.adapters.steps import Steps
from services.hl7_fhir.adapters.studies import Studies
from services.hl7_fhir.adapters.study_tables import order_keys, patient_tokens, studies
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.adapters.waiting import SqlWaiting
from services.hl7_fhir.adapters.worklist_tables import steps
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.senders import Sender, Senders
from services.hl7_fhir.domain.studies.hearing import Heard
from services.hl7_fhir.domain.studies.summary import Images
from services.hl7_fhir.domain.worklist.step import Rules
from services.hl7_fhir.handlers import Mapping, Messages
from shared.sql import Database
from tests.integration.hl7_fhir.test_journal import KEY, SITE, Told
from tests.support.databases import Migrated
from tests.support.hl7 import adt, code_of, orm

A, B = Site(patient_issuer="A", order_issuer="A"), Site(patient_issuer="B", order_issuer="B")
OTHER_FIELD = Site(patient_issuer="A", order_issuer="A", accession_fields=("OBR-20",))
ANNA, BERT = (KEY.token("patient-resource", issuer, "4711") for issuer in "AB")


class Registered:
    """S1 issues for A, S2 for B; S3 for A, with its accession numbers in OBR-20."""

    def get(self) -> Senders:
        named = (("S1", A), ("S2", B), ("S3", OTHER_FIELD))
        return Senders(None, tuple(Sender(name, site, applications=frozenset((name,))) for name, site in named))


@dataclass
class Desk:
    """Takes messages of the three into a real database; strangers are read as of SITE."""

    database: Database
    told: Told

    def __post_init__(self) -> None:
        sealer, registry = Sealer(KEY), Registry(Registered(), Sender("", SITE), KEY)
        self.studies = Studies(self.told, KEY)
        followers = (self.studies, Steps(SITE, KEY, Rules()))
        self.messages = Messages(registry, SqlJournal(self.database, sealer), Hl7apyProfiles(), KEY)
        self.mapping = Mapping(SqlWaiting(self.database, self.told, registry, KEY, Contents(sealer), followers))

    async def send(self, content: bytes) -> None:
        (answer,) = await self.messages.arrived(content)
        assert code_of(answer) == "AA"
        await self.mapping.map_all()

    async def rows(self, wanted: Select[Any]) -> list[Any]:
        return list(await self.database.read(lambda connection: connection.execute(wanted).all()))

    async def identifiers(self, resource_id: str) -> list[tuple[str, str]]:
        """(assigner, value) of a resource's identifiers."""
        (row,) = await self.rows(select(resources.c.body).where(resources.c.id == resource_id))
        return [(one["assigner"]["display"], one["value"]) for one in json.loads(row.body)["identifier"]]

    async def order(self) -> dict[str, tuple[str, str]]:
        """(assigner, value) of the only order's identifiers by their type."""
        (row,) = await self.rows(select(resources.c.body).where(resources.c.type == "ServiceRequest"))
        return {
            one["type"]["coding"][0]["code"]: (one["assigner"]["display"], one["value"])
            for one in json.loads(row.body)["identifier"]
            if "assigner" in one
        }

    async def tokens(self) -> set[tuple[str, str]]:
        """The decisive tokens with their patients."""
        wanted = select(patient_tokens.c.token, patient_tokens.c.patient).where(patient_tokens.c.decisive)
        return {(row.token, row.patient) for row in await self.rows(wanted)}

    async def accession(self) -> str | None:
        (row,) = await self.rows(select(order_keys.c.accession_token))
        return str(row.accession_token)

    async def step(self) -> tuple[Any, Any]:
        """The only step's row, and its data set."""
        (row,) = await self.rows(select(steps))
        return row, json.loads(row.data)


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    database = Database(migrated(request.param, "hl7_fhir"))
    await Index(database).build()
    yield Desk(database, Told())
    await database.close()


def about(sender: str, trigger: str, number: int, pid: str, more: str = "") -> bytes:
    time = f"2026010{number}120000"
    return adt(trigger, control_id=f"C{number}", time=time, pid=f"PID|1||{pid}{more}", sender=sender)


def ordered(sender: str, number: int = 1, control: str = "NW", **fields: str) -> bytes:
    fields = {"pid": "PID|1||4711||Alpha^Anna", "orc2": "PL1", "orc3": "FI1", **fields}
    content = orm(control, control_id=f"O{number}", time=f"2026010{number}120000", **fields)
    return content.replace(b"|RIS|", f"|{sender}|".encode(), 1)


MERGE = about("S2", "A40", 5, "99^^^B||Alpha^Anna", "\rMRG|4711^^^A")


async def test_a_late_message_of_another_sender_leaves_the_patient_who_it_is(desk: Desk) -> None:
    await desk.send(about("S1", "A04", 2, "4711||Alpha^Anna"))
    images = Images(patients=frozenset((KEY.patient_token("B", "4711"),)))
    heard = Heard("1.2.3", "s" * 32, 1, 2, 1, 1, images)
    now = datetime.now(UTC)
    await desk.database.run(lambda connection: desk.studies.hear(connection, heard, "r" * 32, now))
    await desk.send(about("S2", "A08", 1, "4711^^^A||Alpha^Anna||19700101"))
    assert await desk.identifiers(ANNA) == [("A", "4711")]
    assert await desk.tokens() == {(KEY.patient_token("A", "4711"), ANNA)}
    assert [row.patient for row in await desk.rows(select(studies.c.patient))] == [None]


async def test_ids_that_are_merged_keep_who_issued_them(desk: Desk) -> None:
    await desk.send(about("S1", "A04", 1, "4711||Alpha^Anna"))
    await desk.send(about("S2", "A04", 2, "4711||Beta^Bert"))
    await desk.send(MERGE)
    survivor = KEY.token("patient-resource", "B", "99")
    assert await desk.identifiers(ANNA) == [("A", "4711")]
    assert await desk.identifiers(BERT) == [("B", "4711")]
    assert await desk.identifiers(survivor) == [("B", "99"), ("A", "4711")]
    named = {("A", "4711", ANNA), ("B", "4711", BERT), ("B", "99", survivor)}
    assert await desk.tokens() == {(KEY.patient_token(issuer, value), of) for issuer, value, of in named}
    (merged,) = [event for event in desk.told.events if isinstance(event, PatientMerged)]
    assert merged.merged_token == KEY.patient_token("A", "4711")


async def test_an_old_record_that_nobody_knew_is_its_senders(desk: Desk) -> None:
    await desk.send(about("S2", "A40", 2, "99||Alpha^Anna", "\rMRG|4711"))
    await desk.send(about("S1", "A08", 1, "4711^^^B||Alpha^Anna||19700101"))
    assert await desk.identifiers(BERT) == [("B", "4711")]
    assert await desk.identifiers(KEY.token("patient-resource", "B", "99")) == [("B", "99"), ("B", "4711")]


async def test_an_order_that_moves_keeps_its_accession_number(desk: Desk) -> None:
    await desk.send(ordered("S1"))
    await desk.send(MERGE)
    assert await desk.accession() == KEY.accession_token("A", "ACC1")
    assert await desk.order() == {"PLAC": ("A", "PL1"), "FILL": ("A", "FI1"), "ACSN": ("A", "ACC1")}
    row, _ = await desk.step()
    assert (row.patient_id, row.patient_issuer, row.accession) == ("99", "B", "ACC1")


async def test_a_worklist_names_the_issuer_of_the_orders_sender(desk: Desk) -> None:
    await desk.send(ordered("S1"))
    row, data = await desk.step()
    assert (row.patient_id, row.patient_issuer) == ("4711", "A")
    assert data[str(0x00080051)] == [{str(0x00400031): "A"}]


async def test_an_accession_number_is_chosen_by_the_rules_of_its_sender_only(desk: Desk) -> None:
    await desk.send(ordered("S3", obr18="NOT-IT", obr20="ACC20"))

    async def is_as_chosen() -> bool:
        row, data = await desk.step()
        shown = (row.accession, data[str(0x00080050)], await desk.accession(), (await desk.order())["ACSN"])
        return shown == ("ACC20", "ACC20", KEY.accession_token("A", "ACC20"), ("A", "ACC20"))

    assert await is_as_chosen()
    more = ordered(
        "S2",
        2,
        "SC",
        orc2="PL1^A",
        orc3="FI1^A",
        obr4="24725-4^CT Skull^LN",
        obr18="",
        pid="PID|1||4711^^^A||Alpha^Anna",
    )
    await desk.send(more)
    assert (await desk.rows(select(resources.c.version).where(resources.c.type == "ServiceRequest")))[0].version == 2
    assert await is_as_chosen()
    await desk.send(MERGE)
    assert await is_as_chosen()


async def test_each_step_has_the_accession_number_of_its_own(desk: Desk) -> None:
    tail = "IPC|ACC7|RP1|1.2.3.7|SPS1|MR\rIPC|ACC8^X|RP1|1.2.3.7|SPS2|MR\rIPC||RP1|1.2.3.7|SPS3|MR"
    await desk.send(ordered("S1", tail=tail))
    found = await desk.rows(select(steps.c.name, steps.c.accession, steps.c.data).order_by(steps.c.name))
    issuers = [json.loads(row.data)[str(0x00080051)] for row in found]
    assert [(row.name, row.accession) for row in found] == [("SPS1", "ACC7"), ("SPS2", "ACC8"), ("SPS3", "ACC7")]
    assert [one[0][str(0x00400031)] for one in issuers] == ["A", "X", "A"]


async def test_who_says_another_accession_number_later_is_believed_and_deleting_it_leaves_none(desk: Desk) -> None:
    await desk.send(ordered("S1"))
    await desk.send(ordered("S1", 3, "XO", obr18="ACC3"))
    assert await desk.accession() == KEY.accession_token("A", "ACC3")
    await desk.send(ordered("S1", 2, "XO", obr18="ACC2"))
    assert await desk.accession() == KEY.accession_token("A", "ACC3")
    await desk.send(ordered("S1", 4, "XO", obr18='""'))
    assert "ACSN" not in await desk.order()
