"""The index, on SQLite and on PostgreSQL: what is registered can be searched, as the standard says."""

import pytest

from services.catalog.adapters import locations
from services.catalog.adapters.register import register
from services.catalog.domain.attributes import Level
from shared.sql.database import Database
from tests.integration.catalog.makers import arrived, batch, found, run


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
