"""Outages of the bus and the landing store stop nothing; a low disk refuses early and recovers alone."""

import asyncio
import shutil

import httpx
import pytest

from cli.send import send
from contracts.events import AssociationEnded, BatchStored
from shared.observability import read_spans
from tests.integration.dicom_ingest.peers import associate
from tests.integration.dicom_ingest.site import IngestSite, write_files
from tests.support.instances import as_file, make_instances


async def test_a_bus_that_is_away_stops_no_c_store(site: IngestSite) -> None:
    site.start()
    site.nats.kill()
    files = write_files(site.folder / "send", map(as_file, make_instances(4)))
    assert len(send(files, host="127.0.0.1", port=site.port).sent) == 4
    site.nats.start()
    (landed,) = await site.landed(4)
    assert len(landed.manifest.instances) == 4
    await site.spool_is_empty()


async def test_a_service_that_starts_without_a_bus_takes_instances(site: IngestSite) -> None:
    site.nats.kill()
    site.start()
    files = write_files(site.folder / "send", map(as_file, make_instances(2)))
    assert len(send(files, host="127.0.0.1", port=site.port).sent) == 2
    site.nats.start()
    await site.landed(2)


async def test_a_landing_store_that_is_away_stops_no_c_store(site: IngestSite) -> None:
    (site.folder / "landing").write_text("no folder")
    site.start()
    files = write_files(site.folder / "send", map(as_file, make_instances(3)))
    assert len(send(files, host="127.0.0.1", port=site.port).sent) == 3
    while not site.logged("batch-waits"):
        await asyncio.sleep(0.1)
    (site.folder / "landing").unlink()
    await site.landed(3)
    await site.spool_is_empty()


async def test_a_low_disk_refuses_with_a700_and_is_not_ready(site: IngestSite) -> None:
    site.start(disk_reserve=shutil.disk_usage(site.folder).total * 2)
    (image,) = make_instances(1)
    association = associate(site.port)
    assert association.send_c_store(image).Status == 0xA700
    association.release()
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"http://127.0.0.1:{site.http_port}/readyz")).json()
    assert told["checks"]["disk"] == "disk-low"
    assert told["checks"]["spool"] == told["checks"]["dicom"] == "ok"
    assert list(site.spool.glob("*/*.batch")) == []


async def test_one_trace_leads_from_the_association_to_the_event(site: IngestSite) -> None:
    site.start()
    files = write_files(site.folder / "send", map(as_file, make_instances(2)))
    send(files, host="127.0.0.1", port=site.port)
    await site.landed(2)
    while not await site.events(AssociationEnded):
        await asyncio.sleep(0.1)
    await site.spool_is_empty()
    assert site.process is not None
    site.process.stop()
    spans = {span["name"]: span for span in read_spans(site.folder / "trace.jsonl")}
    association, landing = spans["receive association"], spans["land batch"]
    sending = spans[f"send {BatchStored.subject}"]
    assert association["parent_id"] is None
    assert landing["parent_id"] == association["span_id"]
    assert sending["parent_id"] == landing["span_id"]
    assert spans[f"send {AssociationEnded.subject}"]["parent_id"] == association["span_id"]
    assert len({span["trace_id"] for span in (association, landing, sending)}) == 1


@pytest.mark.slow
async def test_logs_and_spans_name_no_patient(site: IngestSite, canary: object) -> None:
    site.start()
    images = make_instances(3, canary=canary)  # type: ignore[arg-type]
    files = write_files(site.folder / "send", [*map(as_file, images), as_file(images[0])[:700]])
    send(files, host="127.0.0.1", port=site.port, calling_ae="CT1")
    await site.landed(3)
    assert site.process is not None
    site.process.stop()
    written = site.log() + (site.folder / "trace.jsonl").read_text()
    for value in (*canary.values, *(str(image.StudyInstanceUID) for image in images)):  # type: ignore[attr-defined]
        assert value not in written
