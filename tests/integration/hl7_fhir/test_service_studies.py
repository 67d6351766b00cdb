"""Studies on a real bus, with the service as a process that dies: nothing is lost, and nothing done twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.events import Blob
from shared.storage.filesystem import FilesystemStore
from shared.storage.parts import put_parts
from tests.support import studies as made
from tests.support.fhir import assert_valid
from tests.support.hl7 import code_of, mllp_peer, orm
from tests.support.hl7_service import Hl7Service
from tests.support.nats import NatsServer
from tests.support.services import eventually, publisher

STUDIES = 40


@pytest.fixture
async def service(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Hl7Service]:
    (tmp_path / "site.key").write_bytes(b"k" * 32)
    found = Hl7Service(tmp_path, nats_server, dicomweb_url="https://pacs.example/dicom-web")
    await found.provision()
    await asyncio.to_thread(found.server.start)
    yield found
    await asyncio.to_thread(found.server.stop)


async def events_of(service: Hl7Service, uid: str) -> list[Any]:
    """The story of a study, its summaries kept."""
    store = FilesystemStore(service.folder / "summaries")
    document = made.summary(uid, accession=None)
    blob = Blob(store="summaries", key=f"study/{made.KEY.study_ref(uid)}", size=len(document))
    await put_parts(store, blob.key, document)
    return [made.received(uid), made.completed(uid, blob), made.archived(uid, blob)]


async def total(service: Hl7Service, path: str) -> int:
    """How many resources a search finds; -1 while nobody answers."""
    try:
        return int((await service.get(path)).json()["total"])
    except (httpx.TransportError, ValueError):
        return -1


@pytest.mark.slow
async def test_studies_and_orders_meet_whoever_is_killed_in_between(service: Hl7Service) -> None:
    uids = [f"1.2.840.99.{number}" for number in range(STUDIES)]
    told = [event for uid in uids for event in await events_of(service, uid)]
    random.Random(1).shuffle(told)
    orders = [
        orm(control_id=uid, orc2=uid, obr2=uid, orc3=uid, obr3=uid, obr18=f"A{uid}", tail=f"ZDS|{uid}") for uid in uids
    ]

    async def order() -> None:
        """Send as a RIS does: again until there is an AA."""
        for message in orders:
            while True:
                try:
                    async with mllp_peer(service.mllp) as peer:
                        if code_of(await peer.send(message)) == "AA":
                            break
                except (OSError, AssertionError):
                    await asyncio.sleep(0.1)

    ordering = asyncio.create_task(order())
    async with publisher(service.nats) as bus:
        for number, event in enumerate(told):
            await bus.publish(event.data, id=event.id)
            if number in (len(told) // 3, 2 * len(told) // 3):
                await asyncio.to_thread(service.server.kill)
                await asyncio.to_thread(service.server.start)
    await ordering

    async def are_there() -> bool:
        await asyncio.sleep(0.2)
        # The patient, and of each study its order and its match.
        all_told = await service.event_count() > 2 * STUDIES
        return all_told and await total(service, "/fhir/ImagingStudy?_count=0") == STUDIES

    await eventually(are_there, 60)
    await eventually(lambda: settled(service), 60)
    for uid in uids:
        found = (await service.get(f"/fhir/ImagingStudy/{made.KEY.study_ref(uid)}")).json()
        assert_valid(found)
        assert (found["status"], len(found["basedOn"])) == ("available", 1)
        request = (await service.get(f"/fhir/{found['basedOn'][0]['reference']}")).json()
        assert {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"} in request["identifier"]
    told_ids = [event["id"] for event in await service.events()]
    assert len(told_ids) == len(set(told_ids))
    matches = (await service.get("/api/matches")).json()
    assert matches["total"] == 0


async def settled(service: Hl7Service) -> bool:
    """Whether no event waits for the service any more."""
    await asyncio.sleep(0.3)
    async with service.nats.jetstream() as jetstream:
        infos = await jetstream.consumers_info("IMAGING")
    return all(info.num_pending == 0 and info.num_ack_pending == 0 for info in infos)


async def test_the_work_list_is_asked_and_decided_over_http(service: Hl7Service) -> None:
    uid = "1.2.840.99.1"
    async with publisher(service.nats) as bus:
        for event in await events_of(service, uid):
            await bus.publish(event.data, id=event.id)
    await eventually(lambda: settled(service), 60)
    (waiting,) = (await service.get("/api/matches?reason=order-missing")).json()["matches"]
    assert (waiting["study_uid"], waiting["reasons"]) == (uid, ["order-missing", "patient-unknown"])
    path = f"/api/matches/{waiting['id']}"
    async with mllp_peer(service.mllp) as peer:
        assert code_of(await peer.send(orm(tail="", obr18="Z9"))) == "AA"
    (candidate,) = (await service.get(path)).json()["candidates"]
    async with httpx.AsyncClient(base_url=service.http) as client:
        assert (await client.post(path, content=b"{")).status_code == 400
        assert (await client.post(path, json={"order": "nobody"})).json() == {"error": "order-unknown"}
        assert (await client.post(path, json={"order": "x", "dismiss": True})).status_code == 422
        assert (await client.post("/api/matches/nobody", json={"dismiss": True})).status_code == 404
        decided = (await client.post(path, json={"order": candidate["order"]})).json()
    assert (decided["orders"], decided["decisions"][0]["who"]) == ([candidate["order"]], "loopback")
    assert (await service.get("/api/matches")).json() == {"total": 0, "matches": []}
    for wrong in ("limit=x", "limit=501", "reason=order", "raeson=order-missing"):
        assert (await service.get(f"/api/matches?{wrong}")).status_code == 400, wrong
    told = (await service.get("/api/matches?reason=nonsense")).json()["error"]
    assert told.startswith("reason is one of order-missing, order-cancelled, ")
    assert (await service.get("/api/matches/nobody")).status_code == 404
    await eventually(lambda: told_of_decision(service), 20)
    assert "Doe" not in service.log.read_text() and "Z9" not in service.log.read_text()


async def told_of_decision(service: Hl7Service) -> bool:
    """Whether the bus has heard of a decision."""
    await asyncio.sleep(0.1)
    return any(event["data"].get("basis") == "decision" for event in await service.events())
