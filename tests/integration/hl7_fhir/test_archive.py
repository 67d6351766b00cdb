"""Messages that were refused or have failed: shown, corrected, sent again, discarded; and how long bytes stay."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event, text, update
from sqlalchemy.dialects import sqlite
from starlette.applications import Starlette

from services.hl7_fhir.adapters.archive import SqlArchive
from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.adapters.waiting import _WAITING
from services.hl7_fhir.handlers import ArchiveRoutes
from shared.sql import Database
from tests.integration.hl7_fhir.test_journal import KEY, Desk, Told
from tests.support.databases import Migrated
from tests.support.hl7 import adt, orm

BROKEN = orm().replace(b"ORC|NW", b"ORC|")


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    database = Database(migrated(request.param, "hl7_fhir"))
    yield Desk(database, Told())
    await database.close()


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    archive = SqlArchive(desk.database, Contents(Sealer(KEY)), timedelta(days=30))
    application = Starlette(routes=list(ArchiveRoutes(archive, desk.parts()[0]).routes()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://site") as client:
        yield client


async def refs(api: httpx.AsyncClient, state: str = "refused,failed") -> list[str]:
    found = (await api.get("/api/hl7/messages", params={"state": state})).json()["messages"]
    return [one["ref"] for one in found]


def body(content: bytes) -> dict[str, Any]:
    return {"content": base64.b64encode(content).decode()}


async def test_a_refused_message_is_listed_with_its_reason_and_shown_with_its_bytes(
    desk: Desk, api: httpx.AsyncClient
) -> None:
    await desk.send(adt())
    await desk.send(BROKEN)
    listed = (await api.get("/api/hl7/messages")).json()
    assert listed["open"] == {"refused": 1}
    (one,) = listed["messages"]
    assert (one["type"], one["reason"], one["place"]) == ("ORM^O01", "order-control-missing", "ORC^1^1")
    assert "Doe" not in str(listed)
    shown = (await api.get(f"/api/hl7/messages/{one['ref']}")).json()
    assert base64.b64decode(shown["content"]) == BROKEN


async def test_a_corrected_message_takes_the_place_of_the_refused_one(desk: Desk, api: httpx.AsyncClient) -> None:
    await desk.send(BROKEN)
    (ref,) = await refs(api)
    answer = await api.post(f"/api/hl7/messages/{ref}/resend", json=body(orm()))
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
    await desk.parts()[1].map_all()
    assert await desk.count("ServiceRequest") == 1
    assert [(row.state, row.corrects) for row in await desk.rows()] == [("corrected", None), ("done", ref)]
    assert (await api.post(f"/api/hl7/messages/{ref}/resend", json=body(orm()))).status_code == 409


async def test_a_correction_that_is_still_wrong_says_where_and_changes_nothing(
    desk: Desk, api: httpx.AsyncClient
) -> None:
    await desk.send(BROKEN)
    (ref,) = await refs(api)
    answer = await api.post(f"/api/hl7/messages/{ref}/resend", json=body(BROKEN.replace(b"Jane", b"Joan")))
    assert (answer.status_code, answer.json()) == (422, {"error": "order-control-missing", "place": "ORC^1^1"})
    assert (await api.post(f"/api/hl7/messages/{ref}/resend", json={"content": "?"})).status_code == 400
    assert await refs(api) == [ref]


async def test_a_message_that_failed_is_taken_again_as_it_was(desk: Desk, api: httpx.AsyncClient) -> None:
    await desk.send(orm())
    await desk.database.run(lambda c: c.execute(update(messages).values(state="failed", reason="internal-error")))
    (ref,) = await refs(api, "failed")
    assert (await api.post(f"/api/hl7/messages/{ref}/resend")).status_code == 202
    await desk.parts()[1].map_all()
    assert [(row.state, row.reason) for row in await desk.rows()] == [("done", None)]


async def test_a_discarded_message_stays_and_may_come_again(desk: Desk, api: httpx.AsyncClient) -> None:
    await desk.send(BROKEN)
    (ref,) = await refs(api)
    assert (await api.post(f"/api/hl7/messages/{ref}/discard")).json() == {"state": "discarded"}
    assert await refs(api) == []
    assert await refs(api, "discarded") == [ref]
    assert (await api.post(f"/api/hl7/messages/{ref}/discard")).status_code == 409
    await desk.send(BROKEN)
    assert await refs(api) == [ref]


async def test_what_no_map_took_is_told_by_message_and_by_sender_and_never_its_value(
    desk: Desk, api: httpx.AsyncClient
) -> None:
    for number in range(2):
        await desk.send(adt(control_id=f"L{number}") + b"ZPI|1|secret\r")
    await desk.send(adt(control_id="H").replace(b"|RIS|", b"|HIS|") + b"ZHI|1|secret\r")
    answer = await api.get("/api/hl7/losses")
    rows = [(one["sender"], one["field"], one["messages"]) for one in answer.json()["losses"]]
    assert [row for row in rows if row[1].startswith("Z")] == [
        ("RIS", "ZPI-1", 2), ("RIS", "ZPI-2", 2), ("HIS", "ZHI-1", 1), ("HIS", "ZHI-2", 1),
    ]  # fmt: skip
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
    assert "secret" not in answer.text
    of_one = (await api.get("/api/hl7/losses", params={"sender": "HIS", "limit": 500})).json()["losses"]
    assert {one["sender"] for one in of_one} == {"HIS"}
    assert len((await api.get("/api/hl7/losses?limit=1")).json()["losses"]) == 1
    *_, last = await refs(api, "done")
    assert {"ZPI-1", "ZPI-2"} <= set((await api.get(f"/api/hl7/messages/{last}")).json()["losses"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/hl7/messages?state=lost", 400),
        ("/api/hl7/messages?limit=0", 400),
        ("/api/hl7/messages?limit=many", 400),
        ("/api/hl7/messages?before=x", 400),
        (f"/api/hl7/messages?before={2**63}", 400),
        ("/api/hl7/messages?states=refused", 400),
        ("/api/hl7/messages/nothing", 404),
        ("/api/hl7/losses?limit=501", 400),
        ("/api/hl7/messages?flag=", 400),
    ],
)
async def test_bad_questions_are_told_so(api: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await api.get(path)).status_code == status


async def test_who_asks_for_a_state_that_there_is_not_hears_which_there_are(api: httpx.AsyncClient) -> None:
    told = (await api.get("/api/hl7/messages?state=refused,lost")).json()["error"]
    assert (
        told == "state is one or more of waiting, done, refused, failed, corrected, discarded, with commas in between"
    )


async def test_a_long_list_is_read_in_portions(desk: Desk, api: httpx.AsyncClient) -> None:
    for number in range(5):
        await desk.send(BROKEN.replace(b"|O1|", b"|O%d|" % number))
    first = (await api.get("/api/hl7/messages?limit=2")).json()["messages"]
    rest = (await api.get(f"/api/hl7/messages?before={first[-1]['sequence']}")).json()["messages"]
    assert [len(first), len(rest)] == [2, 3]


async def flagged(api: httpx.AsyncClient, flag: str, **more: str) -> list[tuple[str, list[str]]]:
    found = await api.get("/api/hl7/messages", params={"flag": flag, **more})
    return [(one["state"], one["flags"]) for one in found.json()["messages"]]


async def test_messages_with_a_flag_are_a_work_list_whatever_their_state(desk: Desk, api: httpx.AsyncClient) -> None:
    unknown, empty = adt(control_id="2", pid="PID|1||UNKNOWN^^^HOSP||Doe"), orm(control_id="3", pid="PID|1||||")
    for content in (adt(), unknown, empty, adt(control_id="2"), BROKEN):
        await desk.send(content)
    nobody = ("done", ["patient-not-identified"])
    assert await flagged(api, "patient-not-identified") == [nobody, nobody]
    assert await flagged(api, "patient-not-identified", limit="1") == [nobody]
    assert await flagged(api, "control-id-reused") == [("done", ["control-id-reused"])]
    for none in ("patient-not", "%", "patient_not_identified"):
        assert await flagged(api, none) == []
    assert await flagged(api, "patient-not-identified", state="refused") == []


@pytest.mark.parametrize("desk", ["sqlite"], indirect=True)  # whose planner needs the condition written out
async def test_what_is_flagged_is_found_by_an_index(desk: Desk) -> None:
    told: list[str] = []
    archive = SqlArchive(desk.database, Contents(Sealer(KEY)), timedelta(days=30))

    def explain(connection: Any, _: Any, sql: str, values: Any, *__: Any) -> None:
        if "flags" in sql and not sql.startswith("EXPLAIN"):
            told.extend(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values))

    event.listen(Engine, "before_cursor_execute", explain)
    await archive.listed(("done",), 10, flag="control-id-reused")
    event.remove(Engine, "before_cursor_execute", explain)
    assert "messages_flagged" in " ".join(told)


async def test_bytes_go_when_their_time_is_over_but_not_those_of_what_waits(desk: Desk, api: httpx.AsyncClient) -> None:
    await desk.send(adt())
    await desk.send(BROKEN)
    await desk.parts()[0].arrived(adt(control_id="2"))
    contents, far = Contents(Sealer(KEY)), datetime.now(UTC) + timedelta(days=31)
    later = SqlArchive(desk.database, contents, timedelta(days=30), clock=lambda: far)
    assert await SqlArchive(desk.database, contents, timedelta(days=30)).let_go() == 0
    assert [await later.let_go(), await later.let_go()] == [2, 0]
    rows = await desk.rows()
    assert [(row.state, row.content is None) for row in rows] == [("done", True), ("refused", True), ("waiting", False)]
    assert (await api.get(f"/api/hl7/messages/{rows[0].ref}")).json()["content"] is None
    assert await desk.send(BROKEN) == "AE"
    assert (await desk.rows())[1].content is not None
    assert await desk.send(adt()) == "AA"
    assert await desk.count("Patient") == 1


async def test_what_comes_again_keeps_its_first_time(desk: Desk) -> None:
    await desk.send(BROKEN)
    first = (await desk.rows())[0].received
    await desk.send(BROKEN)
    assert [row.received for row in await desk.rows()] == [first]


@pytest.mark.parametrize("desk", ["sqlite"], indirect=True)  # whose planner needs the condition written out
async def test_what_waits_is_found_by_an_index(desk: Desk) -> None:
    sql = str(
        _WAITING.params(last=9).limit(8).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    )
    plan = text(f"EXPLAIN QUERY PLAN {sql}")
    told = await desk.database.read(lambda c: " ".join(row[-1] for row in c.execute(plan)))
    assert "messages_open" in told
