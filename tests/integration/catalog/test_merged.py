"""Patients whose records were merged, on SQLite and on PostgreSQL: either id finds the studies of both."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.events import PatientMerged
from services.catalog.adapters import merged, studies, summaries
from services.catalog.adapters.index import SqlQuestions
from services.catalog.adapters.register import register
from services.catalog.domain.attributes import Level
from services.catalog.domain.search import read_query
from shared.identity import SiteKey
from shared.sql.database import Database
from tests.integration.catalog.makers import arrived, batch, run

KEY = SiteKey(b"k" * 32)


def of(patient: str, study: str, issuer: str = "", **header: Any) -> Any:
    """A batch of one image of a patient."""
    one = arrived(1, study=study)
    routing = one.instance.routing.model_copy(
        update={"patient_token": KEY.patient_token(issuer or "SITE", patient), "accession_token": "a" * 32}
    )
    told = {"00100020": {"vr": "LO", "Value": [patient]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": patient}]}}
    named = {"00100021": {"vr": "LO", "Value": [issuer]}} if issuer else {}
    made = replace(one, instance=one.instance.model_copy(update={"routing": routing}))
    return batch(replace(made, header={**one.header, **told, **named, **header}), name=f"b{study}", study=study)


def merge(survivor: str, old: str) -> PatientMerged:
    """The event of a merge."""
    tokens = [KEY.patient_token("SITE", each) for each in (survivor, old)]
    return PatientMerged(patient_ref="1" * 32, patient_token=tokens[0], merged_ref="2" * 32, merged_token=tokens[1])


async def uids(database: Database, *parameters: tuple[str, str], level: Level = Level.STUDY) -> list[str]:
    """The studies that a query finds."""
    asked = SqlQuestions(database, KEY, "SITE")
    found, _ = await asked.search(read_query(level, parameters), "http://here/dicom-web")
    return sorted(one["0020000D"]["Value"][0] for one in found)


@pytest.mark.parametrize("merged_first", [False, True])
async def test_either_id_finds_the_studies_of_both(database: Database, merged_first: bool) -> None:
    if merged_first:
        await run(database, merged.add_merge, merge("NEW", "OLD"))
    for patient, study in (("OLD", "1.1"), ("NEW", "1.2"), ("OTHER", "1.3")):
        await run(database, register, of(patient, study))
    if not merged_first:
        assert await uids(database, ("PatientID", "OLD")) == ["1.1"]
        await run(database, merged.add_merge, merge("NEW", "OLD"))
    for asked in ("OLD", "NEW"):
        for level in Level:
            assert await uids(database, ("PatientID", asked), level=level) == ["1.1", "1.2"]
    assert await uids(database, ("PatientID", "OTHER")) == ["1.3"]
    assert await uids(database, ("PatientID", "OLD"), ("StudyInstanceUID", "1.2")) == ["1.2"]
    assert await uids(database, ("PatientID", "NEW"), ("PatientName", "nobody")) == []


async def test_an_id_without_any_study_finds_those_of_the_record_that_was_merged_into_it(database: Database) -> None:
    await run(database, register, of("OLD", "1.1"))
    await run(database, merged.add_merge, merge("NEW", "OLD"))
    assert await uids(database, ("PatientID", "NEW")) == ["1.1"]
    assert await uids(database, ("PatientID", "NEW"), ("IssuerOfPatientID", "SITE")) == ["1.1"]
    assert await uids(database, ("PatientID", "NEW"), ("IssuerOfPatientID", "ELSEWHERE")) == []


async def test_the_same_id_of_another_issuer_is_nobody_of_theirs(database: Database) -> None:
    await run(database, register, of("OLD", "1.1"))
    await run(database, register, of("OLD", "1.2", issuer="ELSEWHERE"))
    await run(database, register, of("NEW", "1.3"))
    await run(database, merged.add_merge, merge("NEW", "OLD"))
    assert await uids(database, ("PatientID", "NEW")) == ["1.1", "1.3"]


async def test_a_merged_study_shows_the_survivor_and_its_own_id_among_the_others(database: Database) -> None:
    await run(database, register, of("OLD", "1.1"))
    await run(database, register, of("NEW", "1.2"))
    await run(database, merged.add_merge, merge("NEW", "OLD"))
    asked = SqlQuestions(database, KEY, "SITE")
    (old,), _ = await asked.search(read_query(Level.STUDY, [("StudyInstanceUID", "1.1")]), "http://here")
    assert old["00100020"]["Value"] == ["NEW"] and old["00100010"]["Value"] == [{"Alphabetic": "NEW"}]
    assert old["00101002"]["Value"] == [{"00100020": {"vr": "LO", "Value": ["OLD"]}}]
    (new,), _ = await asked.search(read_query(Level.STUDY, [("StudyInstanceUID", "1.2")]), "http://here")
    assert new["00100020"]["Value"] == ["NEW"] and "00101002" not in new


async def test_chains_end_at_the_last_and_repeats_change_nothing(database: Database) -> None:
    for patient, study in (("A", "1.1"), ("B", "1.2"), ("C", "1.3")):
        await run(database, register, of(patient, study))
    for survivor, old in (("C", "B"), ("B", "A"), ("C", "B")):
        await run(database, merged.add_merge, merge(survivor, old))
    for asked in "ABC":
        assert await uids(database, ("PatientID", asked)) == ["1.1", "1.2", "1.3"]
    await run(database, merged.add_merge, merge("A", "C"))
    assert await uids(database, ("PatientID", "B")) == ["1.1", "1.2", "1.3"]


async def test_a_record_that_nothing_matches_is_merged_with_nobody(database: Database) -> None:
    await run(database, register, of("NEW", "1.1"))
    await run(database, merged.add_merge, merge("NEW", "OLD").model_copy(update={"merged_token": None}))
    assert await uids(database, ("PatientID", "NEW")) == ["1.1"]


async def test_a_summary_has_the_tokens_of_all_its_images_and_what_its_series_are(database: Database) -> None:
    said = {
        "00081030": {"vr": "LO", "Value": ["Head"]},
        "0008103E": {"vr": "LO", "Value": ["Axial"]},
        "00200060": {"vr": "CS", "Value": ["L"]},
        "00080021": {"vr": "DA", "Value": ["20260131"]},
        "00080201": {"vr": "SH", "Value": ["+0100"]},
    }
    first, second = of("P1", "1.2.3", **said), of("P2", "1.2.3")
    await run(database, register, first)
    other = replace(second.arrived[0], instance=second.arrived[0].instance.model_copy(update={"series_uid": "9.9"}))
    await run(database, register, replace(second, batch_id="b2", arrived=(other,)))
    (due,) = await database.read(studies.candidates)
    document = json.loads(await database.read(lambda connection: summaries.summary(connection, due)))
    assert document["patient_tokens"] == sorted(KEY.patient_token("SITE", each) for each in ("P1", "P2"))
    assert document["accession_tokens"] == ["a" * 32]
    assert (document["study_date"], document["utc_offset"], document["description"]) == ("20260131", "+0100", "Head")
    (series,) = document["series"]
    assert (series["description"], series["laterality"], series["date"]) == ("Axial", "L", "20260131")
    assert series["instances"] == [
        {"sop_instance_uid": "1.2.3.1.1", "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2", "version": 1, "number": "1"}
    ]
    assert "P1" not in json.dumps(document)
