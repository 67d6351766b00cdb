"""FHIR reads, histories, forms of the answer and hostile queries, on SQLite and PostgreSQL, through the handlers."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import delete, func, select, update

from services.hl7_fhir.adapters.indexing import Index as SearchIndex
from services.hl7_fhir.adapters.search_tables import dates, state, strings, tokens
from services.hl7_fhir.domain.fhir.parameters import KINDS, parameters
from shared.sql import Database
from tests.support.corpus import data_dir
from tests.support.databases import Migrated
from tests.support.fhir import assert_valid
from tests.support.fhir_api import Api, ids, link, patient, study


@pytest.fixture(params=["sqlite", "postgresql"])
async def api(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Api]:
    database = Database(migrated(request.param, "hl7_fhir"))
    await SearchIndex(database).build()
    yield Api(database)
    await database.close()


async def test_a_read_is_conditional_by_tag_and_by_time(api: Api) -> None:
    await api.put_all([("Patient", "p1", patient()), ("Patient", "p1", patient(gender="male"))])
    answer = await api.ask("GET", "/Patient/p1")
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["last-modified"] == "Thu, 01 Jan 2026 00:02:00 GMT"
    for headers, status in (
        ({"If-None-Match": 'W/"2"'}, 304),
        ({"If-None-Match": 'W/"1", W/"2"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": 'W/"1"', "If-Modified-Since": "Thu, 01 Jan 2026 00:02:00 GMT"}, 200),
        ({"If-Modified-Since": "Thu, 01 Jan 2026 00:02:00 GMT"}, 304),
        ({"If-Modified-Since": "Thu, 01 Jan 2026 00:01:59 GMT"}, 200),
        ({"If-Modified-Since": "soon"}, 200),
    ):
        assert (await api.ask("GET", "/Patient/p1", headers=headers)).status_code == status, headers


async def test_histories_tell_every_version_in_pages(api: Api) -> None:
    await api.put_all(
        [("Patient", f"p{each}", patient(each, gender=word)) for word in ("male", "female") for each in (1, 2, 3)]
    )
    one = await api.get("/Patient/p2/_history")
    assert [each["resource"]["meta"]["versionId"] for each in one["entry"]] == ["2", "1"]
    assert_valid(one)
    found, path = [], "/Patient/_history?_count=2"
    while path:
        page = await api.get(path)
        found += [(each["resource"]["id"], each["resource"]["meta"]["versionId"]) for each in page["entry"]]
        path = link(page, "next") or ""
    assert found == [("p3", "2"), ("p2", "2"), ("p1", "2"), ("p3", "1"), ("p2", "1"), ("p1", "1")]
    since = await api.get("/Patient/_history?_since=2026-01-01T00:05:00Z")
    assert [each["resource"]["id"] for each in since["entry"]] == ["p3", "p2"]
    page = await api.get("/Patient/p1/_history?_count=1")
    assert (await api.get(link(page, "next") or ""))["entry"][0]["resource"]["meta"]["versionId"] == "1"
    assert (await api.get("/Patient/p1/_history?_since=2027-01-01T00:00:00Z")).get("entry") is None
    for path, status in (
        ("/Patient/p9/_history", 404),
        ("/Patient/_history?_since=x", 400),
        ("/Patient/_history?a=b", 400),
    ):
        assert_valid(await api.get(path, status))


async def test_an_imaging_study_is_also_served_in_r5(api: Api) -> None:
    whole = {
        **study(1),
        "interpreter": [{"reference": "Practitioner/x"}],
        "procedureReference": {"reference": "Procedure/1"},
        "procedureCode": [{"coding": [{"system": "http://loinc.org", "code": "24627-2"}]}],
        "reasonCode": [{"text": "Cough"}],
        "reasonReference": [{"reference": "Condition/1"}],
        "note": [{"text": "Left side"}],
    }
    whole["series"][0]["laterality"] = {"system": "http://snomed.info/sct", "code": "7771000"}
    whole["series"][0]["performer"] = [{"actor": {"reference": "Practitioner/x"}}]
    await api.put_all([("ImagingStudy", "s1", whole), ("Patient", "p1", patient())])
    answer = await api.ask("GET", "/ImagingStudy/s1", headers={"Accept": "application/fhir+json; fhirVersion=5.0"})
    assert "fhirVersion=5.0" in answer.headers["content-type"]
    found = answer.json()
    dcm = whole["modality"][0]
    assert found["modality"] == [{"coding": [dcm]}]
    assert found["procedure"] == [{"concept": whole["procedureCode"][0]}, {"reference": {"reference": "Procedure/1"}}]
    assert found["reason"] == [{"concept": {"text": "Cough"}}, {"reference": {"reference": "Condition/1"}}]
    assert found["series"][0]["modality"] == {"coding": [dcm]}
    assert found["series"][0]["bodySite"]["concept"]["coding"][0]["code"] == "51185008"
    assert not {"interpreter", "procedureCode", "reasonCode"} & found.keys()
    _assert_r5(found)
    page = await api.get("/ImagingStudy?_format=" + quote("application/fhir+json;fhirVersion=5.0") + "&identifier=ACC1")
    assert page["entry"][0]["resource"]["modality"] == [{"coding": [dcm]}]
    assert (await api.get("/ImagingStudy/s1/_history", Accept="application/fhir+json;fhirVersion=5.0"))["entry"]
    await api.get("/Patient/p1", 406, Accept="application/fhir+json; fhirVersion=5.0")
    await api.get("/ImagingStudy?_include=ImagingStudy:patient", 406, Accept="application/fhir+json; fhirVersion=5.0")
    await api.get("/metadata", 406, Accept="application/fhir+json; fhirVersion=5.0")


async def test_the_standards_own_studies_are_valid_in_r5(api: Api) -> None:
    folder = data_dir() / "standard" / "fhir_r4" / "examples"
    for path in sorted(folder.glob("ImagingStudy-*.json")):
        await api.put("ImagingStudy", "x", json.loads(path.read_text()))
        _assert_r5(await api.get("/ImagingStudy/x", Accept="application/fhir+json; fhirVersion=5.0"))


def _assert_r5(resource: dict) -> None:
    """HL7's JSON schema of 5.0.0, and the models of fhir.resources."""
    import jsonschema
    from fhir.resources.imagingstudy import ImagingStudy

    ImagingStudy.model_validate(resource)
    path = data_dir() / "standard" / "fhir_r5" / "fhir.schema.json"
    definitions = json.loads(path.read_text())["definitions"]
    schema = {"$ref": "#/definitions/ImagingStudy", "definitions": definitions}
    assert list(jsonschema.Draft6Validator(schema).iter_errors(resource)) == []


async def test_a_form_that_is_not_served_is_refused(api: Api) -> None:
    await api.put("Patient", "p1", patient())
    for accepted, status in (
        ("application/fhir+json", 200),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200),
        ("application/json;q=0, application/fhir+xml", 406),
        ("application/fhir+xml", 406),
        ("application/fhir+json; fhirVersion=3.0", 406),
        ("", 200),
    ):
        assert (await api.ask("GET", "/Patient/p1", headers={"Accept": accepted})).status_code == status, accepted
    for word, status in (("json", 200), ("application/fhir+json", 200), ("xml", 406), ("application/fhir%2Bjson", 200)):
        assert (await api.ask("GET", f"/Patient/p1?_format={word}")).status_code == status, word


async def test_parts_of_resources_are_marked_as_such(api: Api) -> None:
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
    await api.put("ImagingStudy", "s1", study(1, text=text))
    for query, has, has_not in (
        ("_summary=true", "series modality subject", "text"),
        ("_summary=text", "text status subject", "series"),
        ("_summary=data", "series", "text"),
        ("_elements=started,ImagingStudy.modality", "started modality status subject", "series identifier"),
    ):
        for path in ("/ImagingStudy/s1?", "/ImagingStudy?identifier=ACC1&"):
            found = await api.get(path + query)
            found = found["entry"][0]["resource"] if "entry" in found else found
            assert set(has.split()) <= found.keys(), query
            assert not set(has_not.split()) & found.keys(), query
            assert found["meta"]["tag"][0]["code"] == "SUBSETTED"
            assert_valid(found)
    assert "\n  " in (await api.ask("GET", "/ImagingStudy/s1?_pretty=true")).text


async def test_every_parameter_that_is_stated_is_answered(api: Api) -> None:
    stated = await api.get("/metadata")
    assert_valid(stated)
    assert [resource["type"] for resource in stated["rest"][0]["resource"]] == list(KINDS)
    for resource in stated["rest"][0]["resource"]:
        for parameter in resource["searchParam"]:
            value = "2026" if parameter["type"] == "date" else "x"
            await api.get(f"/{resource['type']}?{parameter['name']}={value}")
        for named in resource.get("searchInclude", []):
            await api.get(f"/{resource['type']}?_include={named}")
        for named in resource.get("searchRevInclude", []):
            await api.get(f"/{resource['type']}?_revinclude={named}")


async def test_what_older_versions_wrote_is_indexed_and_searches_wait_for_it(api: Api) -> None:
    await api.put_all(("ImagingStudy", f"s{each}", study(each)) for each in range(1, 30))
    before = await api.every("/ImagingStudy?_sort=started&modality=CT&_count=7")

    def forget(connection) -> None:
        for table in (tokens, dates, strings):
            connection.execute(delete(table))
        connection.execute(update(state).values(definitions="of another version"))

    await api.database.run(forget)
    refused = await api.get("/ImagingStudy?modality=CT", 503)
    assert_valid(refused)
    await api.get("/ImagingStudy/s1")
    await SearchIndex(api.database).build()
    assert await api.every("/ImagingStudy?_sort=started&modality=CT&_count=7") == before
    assert await api.ids("/ImagingStudy?started:missing=true") == []


async def test_an_index_that_was_half_made_is_finished(api: Api) -> None:
    await api.put_all(("ImagingStudy", f"s{each}", study(each)) for each in range(1, 20))
    await api.database.run(lambda connection: connection.execute(delete(tokens).where(tokens.c.number > 10)))
    await api.database.run(lambda connection: connection.execute(update(state).values(done=10, upto=19)))
    await api.put("ImagingStudy", "s15", study(15, status="cancelled"))
    await SearchIndex(api.database).build()
    assert (await api.get("/ImagingStudy?modality=CT"))["total"] == 19
    assert await api.ids("/ImagingStudy?status=cancelled") == ["s15"]


async def test_a_change_writes_only_what_differs(api: Api) -> None:
    await api.put("ImagingStudy", "s1", study(1))
    counted = select(func.count()).select_from(tokens)
    before = await api.database.read(lambda connection: connection.execute(counted).scalar_one())
    await api.put("ImagingStudy", "s1", study(1, description="other words"))
    assert await api.database.read(lambda connection: connection.execute(counted).scalar_one()) == before
    await api.put("ImagingStudy", "s1", study(1, status="cancelled"))
    assert await api.database.read(lambda connection: connection.execute(counted).scalar_one()) == before


_HOSTILE = [
    "identifier=" + ",".join(f"a{each}" for each in range(10_000)),
    "patient=" + ",".join("p1" for _ in range(101)),
    "basedon.subject.organization.partof.identifier=x",
    "basedon." * 50 + "identifier=x",
    "&".join("modality=CT" for _ in range(1000)),
    "_include=*&" * 21,
    "identifier=" + "%5C" * 5000,
    "identifier=%00",
    "started=" + "9" * 5000,
    "_lastUpdated=ap0001-01-01",
    "_sort=" + "-" * 5000,
    "_cursor=" + "A" * 5000,
]
_EXTREME = [
    "_count=999999999",
    "started=ap0001",
    "started=lt0001",
    "started=ge9999-12-31T23:59:59Z",
    "_lastUpdated=ne2026",
    "identifier=" + ",".join("x" for _ in range(100)),
    "started=" + ",".join("ne2020" for _ in range(100)),
    "subject:missing=true&started:missing=true&_sort=-started",
]


async def test_a_hostile_query_is_answered_or_refused_at_once(api: Api) -> None:
    await api.put("ImagingStudy", "s1", study(1))
    for query in _HOSTILE:
        async with asyncio.timeout(20):
            answer = await api.ask("GET", f"/ImagingStudy?{query}")
        assert answer.status_code in (200, 400), query[:50]
        assert_valid(answer.json())


async def test_an_extreme_query_is_answered(api: Api) -> None:
    await api.put("ImagingStudy", "s1", study(1))
    for query in _EXTREME:
        await api.get(f"/ImagingStudy?{query}")


async def test_hostile_ids_are_unknown(api: Api) -> None:
    for path in ("/Patient/%00", "/Patient/" + "a" * 65, "/Patient/a%20b/_history", "/Patient/%F0%9F%8F%A5/_history/1"):
        assert_valid(await api.get(path, 404))


_VALUES = some.one_of(
    some.text(max_size=30),
    some.sampled_from(
        ["CT", "CT,MR", "|", "a|", "|a", "\\", "\\,", "p1", "Patient/p1", "2026", "gt2026-01", "le2026-01-01T00:00:00Z",
         "true", "-started", "_lastUpdated", "count", "5", "ImagingStudy:patient", "*", "x" * 400, "ﷺ" * 200]
    ),
)  # fmt: skip
_NAMES = [name for kind in ("ImagingStudy", "Patient") for name in parameters(kind)]
_NAMES += ["_id", "_lastUpdated", "_sort", "_count", "_total", "_summary", "_include", "_revinclude", "_elements"]
_ENDS = ["", "", "", ":not", ":missing", ":exact", ":contains", ":identifier", ".identifier", ".name", ":Patient", "é"]
_PARAMETERS = some.tuples(some.builds(str.__add__, some.sampled_from(_NAMES), some.sampled_from(_ENDS)), _VALUES)


async def test_no_query_fails(api: Api) -> None:
    await api.put_all([("ImagingStudy", "s1", study(1)), ("Patient", "p1", patient())])
    queries: list[tuple[str, list[tuple[str, str]]]] = []

    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(some.sampled_from(["ImagingStudy", "Patient"]), some.lists(_PARAMETERS, max_size=4))
    def collect(kind: str, query: list[tuple[str, str]]) -> None:
        queries.append((kind, query))

    collect()
    for kind, query in queries:
        async with asyncio.timeout(20):
            answer = await api.ask("GET", f"/{kind}", params=query, headers={"Prefer": "handling=lenient"})
        assert answer.status_code in (200, 400), (kind, query)
        if answer.status_code == 200:
            ids(answer.json())
