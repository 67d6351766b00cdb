"""FHIR searches on SQLite and PostgreSQL, through the handlers."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.hl7_fhir.adapters.indexing import Index as SearchIndex
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.fhir import assert_valid
from tests.support.fhir_api import Api, Json, ids, link, patient, study

DCM = "http://dicom.nema.org/resources/ontology/DCM"


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Api]:
    database = Database(migrated(request.param, "hl7_fhir"))
    await SearchIndex(database).build()
    yield Api(database)
    await database.close()


@pytest.fixture
async def api(empty: Api) -> Api:
    """Two patients, twelve studies of the first and one of the other, and what belongs to them."""
    await empty.put_all(_resources())
    return empty


def _resources() -> Iterator[tuple[str, str, Json]]:
    yield "Patient", "p1", patient(1, "Doe")
    yield "Patient", "p2", patient(2, "Dœring-Müller", gender="male", birthDate="1951")
    yield "Endpoint", "web", {"status": "active", "address": "https://pacs.example/dicom-web"}
    for number in range(1, 13):
        named = [{"system": "urn:x-causeway:issuer:RIS", "value": f"ACC{number}"}]
        order = {"identifier": named, "subject": {"reference": "Patient/p1"}, "status": "active", "intent": "order"}
        yield "ServiceRequest", f"o{number}", {**order, "authoredOn": f"2025-12-{number:02d}"}
        yield "ImagingStudy", f"s{number}", study(number)
    other = study(13, subject={"reference": "Patient/p2"}, modality=[{"system": DCM, "code": "MR"}])
    other.pop("started")
    other["series"][0]["modality"]["code"] = "MR"
    yield "ImagingStudy", "s13", other
    report = {"basedOn": [{"reference": "ServiceRequest/o1"}], "subject": {"reference": "Patient/p1"}}
    yield "DiagnosticReport", "r1", {**report, "status": "final", "issued": "2026-01-05T00:00:00Z"}


_STUDIES = {
    "identifier=urn:dicom:uid|urn:oid:1.2.840.99.3": "s3",
    "identifier=urn:dicom:uid|1.2.840.99.3": "s3",
    "identifier=ACC3": "s3",
    "identifier=|ACC3": "",
    "identifier=urn:other|ACC3": "",
    "identifier=ACC3,ACC4": "s4 s3",
    "identifier=ACC3,urn:x-causeway:issuer:RIS|ACC3": "s3",
    "identifier=ACC3&identifier=urn:dicom:uid|1.2.840.99.3": "s3",
    "identifier=ACC3&identifier=ACC4": "",
    "modality=MR": "s13",
    f"modality={DCM}|MR": "s13",
    "modality:not=CT": "s13",
    "status=http://hl7.org/fhir/imagingstudy-status|available&modality=MR&patient=p2": "s13",
    "patient=p2": "s13",
    "patient=Patient/p2": "s13",
    "patient=http://site.example/fhir/Patient/p2": "s13",
    "subject=p2": "s13",
    "subject:Patient=p2": "s13",
    "patient.identifier=urn:oid:1.2.3|P2": "s13",
    "subject:Patient.name=doering": "",
    "patient.family=dœring": "s13",
    "patient.gender=male&modality=MR,XA": "s13",
    "basedon.identifier=ACC7": "s7",
    "basedon=ServiceRequest/o7": "s7",
    "basedon:ServiceRequest.patient.identifier=P1&identifier=ACC7": "s7",
    "series=1.2.840.99.5.1": "s5",
    "series=urn:oid:1.2.840.99.5.1": "s5",
    "instance=1.2.840.99.5.1.2": "s5",
    "dicom-class=1.2.840.10008.5.1.4.1.1.2&started=2026-01-05": "s4",
    "bodysite=51185008&started=2026-01-05": "s4",
    "started=2026-01-05": "s4",
    "started=eq2026-01-05T09:00:00Z": "s4",
    "started=gt2026-01-11&started=lt2026-01-13": "s11",
    "started=ge2026-01-12&modality=CT": "s12 s11",
    "started=sa2026-01-12": "s12",
    "started=eb2026-01-03": "s1",
    "started=le2026-01-03": "s2 s1",
    "started=2026-01-03,2026-01-05": "s4 s2",
    "started:missing=true": "s13",
    "started:missing=false&modality=MR": "",
    "encounter:missing=false": "",
    "_id=s3,s5,unknown": "s5 s3",
    "_lastUpdated=gt2026-01-01T00:27:00Z": "s13",
    "_lastUpdated=ge2026-01-01T00:27:00Z&_sort=_lastUpdated": "s12 s13",
    "endpoint=web&_sort=started&_count=3": "s13 s1 s2",
    "endpoint=Endpoint/web&_sort=-started&_count=2": "s12 s11",
    "endpoint.status=active&patient=p2": "s13",
}


async def test_studies_are_found_by_each_parameter(api: Api) -> None:
    assert {query: " ".join(await api.ids(f"/ImagingStudy?{query}")) for query in _STUDIES} == _STUDIES


_PATIENTS = {
    "name=doe": "p1",
    "name=DOE": "p1",
    "name=ja": "p2 p1",
    "name=q": "p2 p1",
    "family=müll": "",
    "family:contains=mull": "p2",
    "family:exact=doe": "",
    "family:exact=Doe": "p1",
    "given:exact=Jane&family=doe": "p1",
    "birthdate=1980-02-03": "p1",
    "birthdate=lt1960": "p2",
    "birthdate=1980": "p1",
    "gender=male": "p2",
    "gender:not=male": "p1",
    "_id=p1": "p1",
}


async def test_patients_are_found_by_each_parameter(api: Api) -> None:
    assert {query: " ".join(await api.ids(f"/Patient?{query}")) for query in _PATIENTS} == _PATIENTS


@pytest.mark.parametrize(
    "query",
    [
        "",
        "modality=CT,MR",
        "status=available",
        "started=ge2026-01-01&status=available",
        "_sort=-started",
        "_sort=started",
        "_sort=_lastUpdated",
        "_sort=-_lastUpdated&status=available",
        "_lastUpdated=gt2020",
        "patient=p1&_sort=-started",
        "modality:not=US",
        "subject=p1",
        "series:missing=false&_sort=started",
        "identifier=" + ",".join(f"ACC{number}" for number in range(14)),
    ],
)
async def test_pages_hold_each_match_once_whatever_comes_in_between(api: Api, query: str) -> None:
    whole = await api.ids(f"/ImagingStudy?{query}&_count=200")
    assert len(whole) >= 12
    page = await api.get(f"/ImagingStudy?{query}&_count=5")
    found = ids(page)
    if query and "_lastUpdated" not in query and ":not" not in query:  # those go by the last change
        await api.put("ImagingStudy", "s3", study(3, description="changed"))
    while following := link(page, "next"):
        page = await api.get(following)
        found += ids(page)
        assert page.get("total", 0) in (0, len(whole))
    assert found == whole


async def test_a_cursor_is_only_good_for_the_search_that_it_was_made_for(api: Api) -> None:
    following = link(await api.get("/ImagingStudy?status=available&_count=5"), "next")
    assert following
    await api.get(following.replace("available", "registered"), 400)
    await api.get(following[:-1] + ("0" if following[-1] != "0" else "1"), 400)
    await api.get(following.replace("ImagingStudy", "Task"), 400)
    await api.get("/ImagingStudy?_cursor=abc", 400)


async def test_the_total_is_told_when_it_is_known_and_counted_on_request(api: Api) -> None:
    assert (await api.get("/ImagingStudy?_count=5"))["total"] == 13
    assert "total" not in await api.get("/ImagingStudy?_count=5&_total=none")
    assert (await api.get("/ImagingStudy?modality=CT&status=available&_total=accurate&_count=2"))["total"] == 12
    for query in ("_summary=count", "_count=0"):
        counted = await api.get(f"/ImagingStudy?modality=CT&{query}")
        assert (counted["total"], counted.get("entry")) == (12, None)
        assert_valid(counted)


async def test_what_belongs_to_the_matches_comes_with_them(api: Api) -> None:
    page = await api.get("/ImagingStudy?identifier=ACC1&_include=ImagingStudy:patient&_include=ImagingStudy:basedon")
    assert (ids(page), sorted(ids(page, "include"))) == (["s1"], ["o1", "p1"])
    assert_valid(page)
    page = await api.get("/ImagingStudy?identifier=ACC1&_include=*")
    assert sorted(ids(page, "include")) == ["o1", "p1", "web"]
    page = await api.get(
        "/ImagingStudy?identifier=ACC1&_include=ImagingStudy:basedon&_revinclude:iterate=DiagnosticReport:based-on"
    )
    assert sorted(ids(page, "include")) == ["o1", "r1"]
    page = await api.get(
        "/ServiceRequest?identifier=ACC1&_revinclude=ImagingStudy:basedon&_include:iterate=ImagingStudy:endpoint"
    )
    assert sorted(ids(page, "include")) == ["s1", "web"]


async def test_a_changed_resource_is_found_by_what_it_is_now(api: Api) -> None:
    await api.put("ImagingStudy", "s3", study(3, status="cancelled", started="2026-02-01"))
    assert await api.ids("/ImagingStudy?status=cancelled") == ["s3"]
    assert "s3" not in await api.ids("/ImagingStudy?status=available")
    assert await api.ids("/ImagingStudy?started=2026-02-01") == ["s3"]
    assert await api.ids("/ImagingStudy?started=2026-01-04") == []


async def test_an_old_patient_still_reads_and_leads_to_what_is_now_the_survivors(api: Api) -> None:
    gone = patient(2, active=False, link=[{"type": "replaced-by", "other": {"reference": "Patient/p1"}}])
    await api.put("Patient", "p2", gone)
    await api.put("ImagingStudy", "s13", study(13))
    assert (await api.get("/Patient/p2"))["link"][0]["type"] == "replaced-by"
    assert await api.ids("/ImagingStudy?patient=p2&identifier=ACC13") == ["s13"]
    assert await api.ids("/ImagingStudy?patient.identifier=P2&identifier=ACC13") == ["s13"]


async def test_a_reference_by_identifier_is_found_by_it(api: Api) -> None:
    named = {"identifier": {"system": "urn:x", "value": "EXT1"}}
    await api.put("ImagingStudy", "s14", study(14, basedOn=[named]))
    assert await api.ids("/ImagingStudy?basedon:identifier=urn:x|EXT1") == ["s14"]
    assert await api.ids("/ImagingStudy?basedon.identifier=EXT1") == ["s14"]


async def test_search_by_post_is_the_same_search(api: Api) -> None:
    answer = await api.ask("POST", "/ImagingStudy/_search?modality=MR", data={"patient": "p2"})
    assert ids(answer.json()) == ["s13"]
    assert (await api.ask("POST", "/ImagingStudy/_search", json={"patient": "p2"})).status_code == 400
    assert (await api.ask("POST", "/ImagingStudy/_search", data={"patient": "p" * 40_000})).status_code == 400


async def test_an_unknown_parameter_is_ignored_only_on_request_and_this_is_told(api: Api) -> None:
    refused = await api.get("/ImagingStudy?modality=MR&colour=red", 400)
    assert_valid(refused)
    page = await api.get("/ImagingStudy?modality=MR&colour=red", Prefer="handling=lenient")
    assert (ids(page), link(page, "self")) == (["s13"], "http://site.example/fhir/ImagingStudy?modality=MR")
    assert page["entry"][-1]["search"]["mode"] == "outcome"
    assert_valid(page)
