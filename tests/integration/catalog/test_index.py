"""The index, on SQLite and on PostgreSQL: what is registered can be searched, as the standard says."""

from dataclasses import replace
from typing import Any

import pytest

from services.catalog.adapters import locations
from services.catalog.adapters.register import register
from services.catalog.adapters.searching import has_more
from services.catalog.domain.attributes import Level
from services.catalog.domain.search import read_query
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


async def test_what_was_only_a_name_is_completed_by_the_first_header_that_can_be_read(database: Database) -> None:
    opaque = replace(arrived(1), header={})
    await run(database, register, batch(opaque))
    (series,) = await found(database, Level.SERIES, ("StudyInstanceUID", "1.2.3"))
    assert "Value" not in series.get("00080060", {})
    await run(database, register, batch(replace(arrived(2), header={}), arrived(3), name="b2"))
    (study,) = await found(database, Level.STUDY, ("PatientID", "P_1%"))
    assert study["00201208"]["Value"] == [3]
    (series,) = await found(database, Level.SERIES, ("Modality", "CT"))
    assert series["00201209"]["Value"] == [3]
    other = arrived(4, modality="MR")
    await run(database, register, batch(other, name="b3"))
    (series,) = await found(database, Level.SERIES, ("StudyInstanceUID", "1.2.3"))
    assert series["00080060"]["Value"] == ["CT"], "a header that was read stays"


async def test_a_repeated_batch_changes_nothing_and_other_content_is_a_version(database: Database) -> None:
    await run(database, register, batch(arrived(1)))
    assert await run(database, register, batch(arrived(1))) == 0
    assert await run(database, register, batch(arrived(1), name="b2")) == 0
    assert await run(database, register, batch(arrived(1, digest="cd" * 32), name="b3")) == 1
    assert len(await found(database, Level.INSTANCE)) == 1
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [one["version"] for one in document["versions"]] == [1, 2]


async def test_the_same_name_with_other_content_is_listed_in_every_study_and_series_and_counted_as_it_is_listed(
    database: Database,
) -> None:
    other = {"sop": "1.2.3.1.1", "digest": "cd" * 32}
    await run(database, register, batch(arrived(1), arrived(2), arrived(1, digest="ef" * 32)))
    await run(database, register, batch(arrived(1, study="1.9", **other), name="b2", study="1.9"))
    await run(database, register, batch(arrived(1, series="1.2.3.7", **other | {"digest": "aa" * 32}), name="b3"))
    listed = [
        (one["0020000D"]["Value"][0], one["0020000E"]["Value"][0], one["00080018"]["Value"][0])
        for one in await found(database, Level.INSTANCE)
    ]
    assert listed == [
        ("1.2.3", "1.2.3.1", "1.2.3.1.1"),
        ("1.2.3", "1.2.3.1", "1.2.3.1.2"),
        ("1.2.3", "1.2.3.7", "1.2.3.1.1"),
        ("1.9", "1.9.1", "1.2.3.1.1"),
    ]
    studies = await found(database, Level.STUDY)
    assert {one["0020000D"]["Value"][0]: one["00201208"]["Value"] for one in studies} == {"1.2.3": [3], "1.9": [1]}
    series = await found(database, Level.SERIES)
    assert [one["00201209"]["Value"] for one in series] == [[2], [1], [1]]


STEP, PROCEDURE = "00400275.00400009", "RequestAttributesSequence.RequestedProcedureID"


@pytest.mark.parametrize(
    ("parameters", "matches"),
    [
        ([(STEP, "SPS1")], True),
        ([(STEP, "SPS?"), (PROCEDURE, "RP1")], True),
        ([(STEP, "SPS1"), (PROCEDURE, "RP2")], False),
        ([(PROCEDURE, "RP2")], True),
        ([(PROCEDURE, "RP3")], False),
    ],
)
async def test_a_series_is_found_by_one_request_that_it_answers(
    database: Database, parameters: list[tuple[str, str]], matches: bool
) -> None:
    def item(number: int) -> dict[str, Any]:
        return {
            "00321060": {"vr": "LO", "Value": ["not kept"]},
            "00400009": {"vr": "SH", "Value": [f"SPS{number}"]},
            "00401001": {"vr": "SH", "Value": [f"RP{number}"]},
        }

    one = arrived(1)
    one.header["00400275"] = {"vr": "SQ", "Value": [item(1), item(2)]}
    await run(database, register, batch(one))
    await run(database, register, batch(arrived(2), name="b2"))
    assert bool(await found(database, Level.SERIES, *parameters)) is matches
    assert bool(await found(database, Level.INSTANCE, *parameters)) is matches
    (series,) = await found(database, Level.SERIES)
    kept = [{tag: value for tag, value in item(n).items() if tag != "00321060"} for n in (1, 2)]
    assert series["00400275"] == {"vr": "SQ", "Value": kept}


async def test_only_an_answer_that_the_servers_maximum_cut_has_more(database: Database) -> None:
    await run(database, register, batch(*(arrived(number) for number in range(5))))

    async def more(*parameters: tuple[str, str], most: int = 5) -> bool:
        query = read_query(Level.INSTANCE, parameters)
        return await run(database, has_more, replace(query, limit=min(query.limit, most)))

    assert not await more()
    assert await more(most=4)
    assert await more(("limit", "2000"), ("offset", "2"), most=2)
    assert not await more(("limit", "2000"), ("offset", "3"), most=2)
    assert not await more(("limit", "2"))
    assert not await more(("SOPInstanceUID", "1.2.3.1.1"), most=1)
