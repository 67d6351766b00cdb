"""What FHIR clients may write, on SQLite and PostgreSQL, through the handlers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.hl7_fhir.adapters.indexing import Index as SearchIndex
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.fhir import assert_valid
from tests.support.fhir_api import Api, Json, ids, patient, study


@pytest.fixture(params=["sqlite", "postgresql"])
async def api(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Api]:
    database = Database(migrated(request.param, "hl7_fhir"))
    await SearchIndex(database).build()
    yield Api(database, "own")
    await database.close()


def person(**more: Any) -> Json:
    return {"resourceType": "Patient", **patient(9, "Roe"), **more}


async def write(api: Api, method: str, path: str, body: Json, status: int, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await api.ask(method, path, json=body, headers={"Content-Type": "application/fhir+json", **named})
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert_valid(answer.json())
    return answer


async def test_a_created_resource_is_read_searched_and_changed_from_its_version(api: Api) -> None:
    made = await write(api, "POST", "/Patient", person(meta={"versionId": "7"}), 201)
    found = made.json()
    assert_valid(found)
    assert made.headers["location"] == f"http://site.example/fhir/Patient/{found['id']}/_history/1"
    assert (made.headers["etag"], found["meta"]["versionId"]) == ('W/"1"', "1")
    assert "source" not in found["meta"]
    assert await api.ids("/Patient?identifier=P9") == [found["id"]]
    path, changed = f"/Patient/{found['id']}", person(id=found["id"], gender="male")
    await write(api, "PUT", path, changed, 428)
    assert (await write(api, "PUT", path, changed, 200, If_Match='W/"1"')).headers["etag"] == 'W/"2"'
    await write(api, "PUT", path, changed, 412, If_Match='W/"1"')
    await write(api, "PUT", path, person(id="other"), 400, If_Match='W/"2"')
    await write(api, "PUT", "/Patient/unknown", person(id="unknown"), 405, If_Match='W/"1"')
    assert await api.ids("/Patient?gender=male") == [found["id"]]
    history = await api.get(f"{path}/_history")
    assert [each["resource"]["gender"] for each in history["entry"]] == ["male", "female"]
    assert_valid(history)


async def test_a_conditional_create_finds_what_is_there(api: Api) -> None:
    condition = "identifier=urn:oid:1.2.3|P9"
    first = await write(api, "POST", "/Patient", person(), 201, If_None_Exist=condition)
    again = await write(api, "POST", "/Patient", person(gender="male"), 200, If_None_Exist=condition)
    assert (again.json()["id"], again.json()["gender"]) == (first.json()["id"], "female")
    await write(api, "POST", "/Patient", person(), 201)
    await write(api, "POST", "/Patient", person(), 412, If_None_Exist=condition)
    await write(api, "POST", "/Patient", person(), 400, If_None_Exist="colour=red")
    await write(api, "POST", "/Patient", person(), 400, If_None_Exist="")


async def test_of_clients_that_create_the_same_at_once_one_does(api: Api) -> None:
    condition = "identifier=P9"
    sent = [write_any(api, person(), condition) for _ in range(6)]
    assert sorted(await asyncio.gather(*sent)) == [200] * 5 + [201]
    assert (await api.get("/Patient?identifier=P9"))["total"] == 1


async def write_any(api: Api, body: Json, condition: str) -> int:
    headers = {"Content-Type": "application/fhir+json", "If-None-Exist": condition}
    return (await api.ask("POST", "/Patient", json=body, headers=headers)).status_code


def bundle(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def post(resource: Json, url: str = "", **request: str) -> Json:
    named = {"fullUrl": url} if url else {}
    return {**named, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}


def order(subject: str) -> Json:
    told = {"status": "active", "intent": "order", "identifier": [{"value": "ACC9"}]}
    return {"resourceType": "ServiceRequest", **told, "subject": {"reference": subject}}


async def test_a_transaction_is_written_with_its_references(api: Api) -> None:
    images = {"resourceType": "ImagingStudy", **study(9), "subject": {"reference": "urn:uuid:1"}}
    images["basedOn"] = [{"reference": "urn:uuid:2"}]
    sent = bundle(
        post(images),
        post(order("urn:uuid:1"), "urn:uuid:2"),
        post(person(), "urn:uuid:1", ifNoneExist="identifier=P9"),
    )
    done = (await write(api, "POST", "", sent, 200)).json()
    assert_valid(done)
    assert [each["response"]["status"] for each in done["entry"]] == ["201", "201", "201"]
    again = (await write(api, "POST", "", bundle(sent["entry"][2], sent["entry"][1]), 200)).json()
    assert [each["response"]["status"] for each in again["entry"]] == ["200", "201"]
    assert len(await api.ids("/ImagingStudy?patient.identifier=P9&basedon.identifier=ACC9")) == 1
    page = await api.get("/Patient?identifier=P9&_revinclude=ServiceRequest:patient")
    assert len(ids(page, "include")) == 2


_REFUSED = [
    (post(order("urn:uuid:nobody")), 400),
    (post({"resourceType": "ServiceRequest", "status": "active"}), 422),
    ({"resource": person(), "request": {"method": "PATCH", "url": "Patient/1"}}, 400),
    ({"request": {"method": "DELETE", "url": "Patient/1"}}, 400),
    ({"resource": person(id="x"), "request": {"method": "PUT", "url": "Patient/x", "ifMatch": 'W/"1"'}}, 405),
    (post(person(), "urn:uuid:1"), 400),
    ("nothing", 400),
]


async def test_a_transaction_is_written_whole_or_not_at_all(api: Api) -> None:
    for entry, status in _REFUSED:
        await write(api, "POST", "", bundle(post(person(), "urn:uuid:1"), entry), status)
        assert (await api.get("/Patient"))["total"] == 0


async def test_what_messages_made_is_the_messages(api: Api) -> None:
    await api.put("Patient", "p1", patient())
    changed = person(id="p1")
    await write(api, "PUT", "/Patient/p1", changed, 403, If_Match='W/"1"')
    api.allowed = "all"
    await write(api, "PUT", "/Patient/p1", changed, 200, If_Match='W/"1"')
    assert await api.ids("/Patient?family=roe") == ["p1"]
    api.allowed = "none"
    await write(api, "PUT", "/Patient/p1", changed, 405, If_Match='W/"2"')
    await write(api, "POST", "/Patient", person(), 405)
    await write(api, "POST", "", bundle(), 405)
    for resource in (await api.get("/metadata"))["rest"][0]["resource"]:
        assert not {"create", "update"} & {each["code"] for each in resource["interaction"]}


_NO_RESOURCES = [
    (b"", 400),
    (b"{", 400),
    (b"\xff", 400),
    (b"[" * 100_000, 400),
    (b'{"resourceType": "Patient", "active": NaN}', 400),
    (b'{"resourceType": "Practitioner", "active": true}', 422),
    (b'{"resourceType": "Patient", "extension": [{"url": "u", "valueDecimal": 1e999}]}', 422),
    (b'{"resourceType": "Patient", "extension": [{"url": "u", "valueDecimal": 1' + b"0" * 400 + b"}]}", 422),
    (b'{"resourceType": "Patient"}', 422),
    (b'{"resourceType": "Patient", "colour": "red"}', 422),
    (b'{"resourceType": "Patient", "active": "yes"}', 422),
    (b'{"resourceType": "Patient", "gender": "f"}', 422),
    (b'{"resourceType": "Patient", "birthDate": "1980-13-01"}', 422),
    (b'{"resourceType": "Patient", "name": {"family": "Doe"}}', 422),
    (b'{"resourceType": "Patient", "name": []}', 422),
    (b'{"resourceType": "Patient", "name": [null]}', 422),
    (b'{"resourceType": "Patient", "language": "\\u0000"}', 422),
    (b'{"resourceType": "Patient", "text": {"status": "generated", "div": "<div><script>x</script></div>"}}', 422),
    (b'{"resourceType": "Patient", "language": "' + b"x" * 1_100_000 + b'"}', 413),
]


async def test_what_is_no_resource_is_refused_and_the_place_named_without_a_value(api: Api) -> None:
    for body, status in _NO_RESOURCES:
        answer = await api.ask("POST", "/Patient", content=body, headers={"Content-Type": "application/fhir+json"})
        assert answer.status_code == status, body[:80]
        assert_valid(answer.json())
        assert "colour" not in answer.text
    assert (await api.ask("POST", "/Patient", content=b"{}", headers={"Content-Type": "text/xml"})).status_code == 415
