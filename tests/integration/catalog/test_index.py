"""The index, on SQLite and on PostgreSQL: what is registered can be searched and located, in any order of facts."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from contracts.events import PART_SIZE, BatchArchived, Blob, CopyKey, Part, Sealed, Sections
from contracts.formats.manifest import Instance, Routing, place
from contracts.formats.streaming import Segments
from services.catalog.adapters import copies, locations, studies, tables
from services.catalog.adapters.register import Arrived, Batch, register
from services.catalog.adapters.searching import search
from services.catalog.domain.attributes import Level
from services.catalog.domain.lifecycle import Step
from services.catalog.domain.search import read_query
from shared.sql.database import Database

HASH = "ab" * 32


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Database]:
    """An empty index."""
    sqlite = f"sqlite:///{tmp_path}/catalog.sqlite3"
    made = Database(sqlite if request.param == "sqlite" else request.getfixturevalue("postgres"))
    await made.migrate("services.catalog.migrations")
    yield made
    await made.close()


def arrived(
    number: int, *, sop: str | None = None, digest: str = HASH, study: str = "1.2.3", modality: str = "CT"
) -> Arrived:
    """One instance with a header."""
    instance = Instance(
        length=1000 + number,
        crc32=0,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=sop or f"{study}.1.{number}",
        study_uid=study,
        series_uid=f"{study}.1",
        transfer_syntax="1.2.840.10008.1.2.1",
        dataset_offset=300,
        dataset_sha256=digest,
        file_sha256=HASH,
        header_sha256=HASH,
        header_length=100,
        routing=Routing(modality=modality),
    )
    header = {
        "0020000D": {"vr": "UI", "Value": [study]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg"}]},
        "00100020": {"vr": "LO", "Value": ["P_1%"]},
        "00080020": {"vr": "DA", "Value": ["20260131"]},
        "00080060": {"vr": "CS", "Value": [modality]},
        "00200013": {"vr": "IS", "Value": [number]},
    }
    return Arrived(instance, header)


def batch(*instances: Arrived, name: str = "b1", study: str | None = "1.2.3", closed: float = 100.0) -> Batch:
    """A landing batch of ``instances``."""
    return Batch(name, study, "ref", closed, 5.0, tuple(instances))


async def found(database: Database, level: Level, *parameters: tuple[str, str]) -> list[dict[str, Any]]:
    """The answers to a query."""
    query = read_query(level, parameters)
    return await database.read(lambda connection: search(connection, query, "http://here/dicom-web"))


async def run(database: Database, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``work(connection, …)`` in a transaction."""
    return await database.run(lambda connection: work(connection, *args, **kwargs))


async def test_a_registered_batch_is_found_at_every_level_with_the_attributes_that_are_returned(
    database: Database,
) -> None:
    assert await run(database, register, batch(arrived(1), arrived(2))) == 2
    (study,) = await found(database, Level.STUDY, ("PatientName", "müller*"))
    assert study["00201208"]["Value"] == [2] and study["00080061"]["Value"] == ["CT"]
    assert study["00081190"]["Value"] == ["http://here/dicom-web/studies/1.2.3"]
    (series,) = await found(database, Level.SERIES, ("StudyInstanceUID", "1.2.3"))
    assert series["00201209"]["Value"] == [2] and series["00100020"]["Value"] == ["P_1%"]
    instances = await found(database, Level.INSTANCE, ("Modality", "CT"))
    assert [one["00080018"]["Value"] for one in instances] == [["1.2.3.1.1"], ["1.2.3.1.2"]]


@pytest.mark.parametrize(
    ("parameter", "value", "matches"),
    [
        ("PatientID", "P_1%", True),
        ("PatientID", "Pa1*", False),
        ("PatientID", "P_1%*", True),
        ("PatientID", "P?1?", True),
        ("StudyDate", "20260101-20260131", True),
        ("StudyDate", "20260201-", False),
        ("ModalitiesInStudy", "CT", True),
        ("ModalitiesInStudy", "MR", False),
        ("PatientName", "MÜLLER^JÖRG", True),
    ],
)
async def test_matching_is_that_of_the_standard(database: Database, parameter: str, value: str, matches: bool) -> None:
    await run(database, register, batch(arrived(1)))
    assert bool(await found(database, Level.STUDY, (parameter, value))) is matches


async def test_a_repeated_batch_changes_nothing_and_other_content_is_a_version(database: Database) -> None:
    await run(database, register, batch(arrived(1)))
    assert await run(database, register, batch(arrived(1))) == 0
    assert await run(database, register, batch(arrived(1), name="b2")) == 0
    assert await run(database, register, batch(arrived(1, digest="cd" * 32), name="b3")) == 1
    assert len(await found(database, Level.INSTANCE)) == 1
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [one["version"] for one in document["versions"]] == [1, 2]


def sealed(instances: list[Instance], header: int = 500) -> Sealed:
    """A seal whose parts are as long as the format makes them."""
    sections = Sections(manifest=700, headers=900, archive=sum(one.length + 100 for one in instances) + 200)
    size = header + Segments(700 + 900 + sections.archive).ciphertext_size
    parts = tuple(
        Part(number=n + 1, key=f"buffer/{n}", size=min(PART_SIZE, size - n * PART_SIZE), sha256=HASH)
        for n in range(-(-size // PART_SIZE))
    )
    key = Blob(store="keys", key="k", size=1)
    return Sealed(
        sealed_id="s1", pack_id="p1", form="identified", key_domain="d", study_key=key, instances=len(instances),
        size=size, manifest_sha256=HASH, sections=sections, parts=parts,
    )  # fmt: skip


def copy_key(generation: int = 1) -> CopyKey:
    """A copy of the seal in a cloud."""
    return CopyKey(
        sealed_id="s1", pack_id="p1", form="identified", target="cloud-a", tier="hot", key_domain="d",
        generation=generation, keys=("o/0001",),
    )  # fmt: skip


async def test_a_copy_is_located_whatever_the_order_of_its_facts(database: Database) -> None:
    one = arrived(1)
    (placed,) = place([one.instance])
    await run(database, copies.add_copy, copy_key(), "proven", proven=50.0, level="instances", written=40.0)
    await run(database, copies.add_copy, copy_key(), "written", written=40.0)
    await run(database, copies.add_sealed, sealed([placed]))
    await run(database, copies.add_entries, "p1", [(one.identity, placed)])
    await run(database, register, batch(one))
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document
    (copy,) = document["versions"][0]["copies"]
    assert (copy["target"], copy["state"], copy["key"], copy["level"]) == ("cloud-a", "proven", "o/0001", "instances")
    assert copy["offset"] >= 500 and copy["proven"] == datetime.fromtimestamp(50, UTC).isoformat()


async def test_a_removed_copy_is_gone_for_good_and_a_damaged_one_is_shown_with_its_successor(
    database: Database,
) -> None:
    one = arrived(1)
    (placed,) = place([one.instance])
    await run(database, register, batch(one))
    await run(database, copies.add_entries, "p1", [(one.identity, placed)])
    await run(database, copies.add_sealed, sealed([placed]))
    await run(database, copies.add_copy, copy_key(1), "damaged")
    await run(database, copies.add_copy, copy_key(2), "proven", proven=60.0, level="instances", written=55.0)
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [c["state"] for c in document["versions"][0]["copies"]] == ["damaged", "proven"]
    await run(database, copies.add_copy, copy_key(1), "removed")
    await run(database, copies.add_copy, copy_key(1), "proven", proven=70.0, level="instances", written=55.0)
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [c["generation"] for c in document["versions"][0]["copies"]] == [2]


async def test_the_life_cycle_moves_each_revision_once(database: Database) -> None:
    await run(database, register, batch(arrived(1)))
    (due,) = await database.read(studies.candidates)
    assert await run(database, studies.advance, due, Step.RECEIVE, 100.0)
    assert not await run(database, studies.advance, due, Step.RECEIVE, 100.0)
    (due,) = await database.read(studies.candidates)
    assert await run(database, studies.advance, due, Step.COMPLETE, 110.0)
    archived = BatchArchived(
        batch_id="b1", study_uid="1.2.3", study_ref="ref", pack_ids=(), sealed_ids=(), copies=(), withheld=1
    )
    await run(database, copies.archive_batch, archived, 1.0)
    (due,) = await database.read(studies.candidates)
    assert (due.revision, due.study.batches_open) == (1, 0)
    assert await run(database, studies.advance, due, Step.ARCHIVE, 111.0)
    assert await database.read(studies.candidates) == []
    await run(database, register, batch(arrived(2), name="b2", closed=200.0))
    (due,) = await database.read(studies.candidates)
    assert (due.study.instances, due.study.told, due.study.last_event) == (2, 1, 200.0)


async def test_a_batch_that_is_archived_before_it_is_registered_stays_so(database: Database) -> None:
    archived = BatchArchived(
        batch_id="b1", study_uid="1.2.3", study_ref="ref", pack_ids=(), sealed_ids=(), copies=(), withheld=0
    )
    await run(database, copies.archive_batch, archived, 1.0)
    await run(database, register, batch(arrived(1)))
    state = await database.read(lambda connection: connection.execute(select(tables.batch.c.archived)).scalar_one())
    assert state is True


async def test_a_summary_names_no_patient(database: Database) -> None:
    await run(database, register, batch(arrived(1), arrived(2)))
    (due,) = await database.read(studies.candidates)
    document = json.loads(await database.read(lambda connection: studies.summary(connection, due)))
    assert len(document["series"][0]["instances"]) == 2 and "ller" not in json.dumps(document)
