"""The AE registry at both doors: what it says of a sender over DICOM holds over STOW-RS, and goes on in its batches."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from contracts.events import BatchStored
from services.catalog.handlers.events import EventHandlers
from shared.messaging.cloudevent import Received
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.test_registry import call, registry
from tests.integration.dicom_ingest.test_stow import PARTS, multipart, reasons, stored
from tests.support.instances import as_file, make_instances
from tests.unit.catalog.fakes import FakeDocuments, FakeIndex

TOKENS = {who: f"{who:x<24}" for who in ("scanner", "gateway", "stranger")}
STUDIES = "/dicom-web/studies"
PRIVATE = "1.3.12.2.1107.5.9.1"


def started(site: IngestSite, *peers: str, unknown: str = "reject", **settings: Any) -> None:
    """The service with these peers, and a token for each sender."""
    path = site.folder / "tokens"
    path.write_text("".join(f"{who} {token}\n" for who, token in TOKENS.items()))
    path.chmod(0o600)
    site.start(http_token_file=path, peers_file=registry(site, *peers, unknown=unknown), **settings)


def known(who: str) -> dict[str, str]:
    """The headers of a store request of whoever has this token."""
    return {**PARTS, "Authorization": f"Bearer {TOKENS[who]}"}


def post(site: IngestSite, who: str, content: Any) -> httpx.Response:
    """The answer to a store request."""
    return httpx.post(f"http://127.0.0.1:{site.http_port}{STUDIES}", content=content, headers=known(who), timeout=60)


def private(image: Dataset) -> bytes:
    """The same of a private class."""
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = PRIVATE
    return as_file(image)


async def test_who_sends_over_http_is_known_by_the_token_and_all_others_are_refused(site: IngestSite) -> None:
    started(
        site, "{token: scanner}", "{token: gateway, addresses: 10.0.0.0/8}", "{ae_title: CT1, addresses: 127.0.0.1}"
    )
    (one,) = make_instances(1)
    for who in ("stranger", "gateway"):
        answer = post(site, who, multipart(as_file(one)))
        assert (answer.status_code, answer.json()) == (403, {"reason": "not-registered"}), who
    assert post(site, "scanner", multipart(as_file(one))).status_code == 200
    assert {line["who"] for line in site.logged("store-refused")} == {"stranger", "gateway"}
    registry(site, "{token: stranger}")
    assert post(site, "stranger", multipart(as_file(one))).status_code == 200, "read again without a restart"
    assert post(site, "scanner", multipart(as_file(one))).status_code == 403


async def test_classes_of_a_sender_over_http_are_those_of_the_registry(site: IngestSite) -> None:
    started(site, f"{{token: scanner, sop_classes: '{CTImageStorage}'}}", "{token: gateway}", unknown="accept")
    plain, odd = (as_file(make_instances(1)[0]), private(make_instances(1)[0]))
    answer = post(site, "scanner", multipart(odd, plain))
    assert (answer.status_code, reasons(answer), len(stored(answer))) == (202, [0x0122], 1)
    answer = post(site, "gateway", multipart(odd))
    assert (answer.status_code, len(stored(answer))) == (200, 1)
    answer = post(site, "stranger", multipart(odd, plain))
    assert (answer.status_code, reasons(answer), len(stored(answer))) == (202, [0x0122], 1)


async def test_ids_and_the_quiet_time_of_a_sender_over_http_are_those_of_the_registry(site: IngestSite) -> None:
    started(site, "{token: scanner, patient_issuer: THERE, order_issuer: RIS, quiet: 15m}", "{token: gateway}")
    study = make_instances(2, PatientID="P1", AccessionNumber="A1")
    for who, image in zip(("scanner", "gateway"), study, strict=True):
        assert post(site, who, multipart(as_file(image))).status_code == 200
    key = site.site_key
    told = {}
    for batch in await site.landed(2):
        assert batch.manifest.source is not None
        (one,) = batch.manifest.instances
        told[batch.manifest.source.calling_ae] = (
            batch.event.quiet,
            one.routing.patient_token,
            one.routing.accession_token,
        )
    assert told == {
        "scanner": (900, key.patient_token("THERE", "P1"), key.accession_token("RIS", "A1")),
        "gateway": (None, key.patient_token("", "P1"), key.accession_token("", "A1")),
    }


async def test_a_sender_over_http_with_a_rate_is_slowed_loses_nothing_and_holds_up_nobody(site: IngestSite) -> None:
    started(site, "{token: scanner, rate: {bytes: 20KB}}", "{token: gateway}")
    body = multipart(as_file(make_instances(1, rows=80)[0]))
    assert 9 * len(body) > 120_000
    began = time.monotonic()
    other = multipart(as_file(make_instances(1)[0]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{site.http_port}", timeout=60) as client:
        slowed = [asyncio.create_task(client.post(STUDIES, content=body, headers=known("scanner"))) for _ in range(9)]
        await asyncio.sleep(0.3)
        answer = await client.post(STUDIES, content=other, headers=known("gateway"))
        assert answer.status_code == 200
        # They are more than there are threads for requests, and another is served beside them.
        assert not all(task.done() for task in slowed)
        answers = await asyncio.gather(*slowed)
    assert [(answer.status_code, len(stored(answer))) for answer in answers] == [(200, 1)] * 9
    assert time.monotonic() - began > 4, "one rate for all of them"


async def test_so_many_requests_at_a_time_and_no_more(site: IngestSite) -> None:
    started(site, "{token: scanner, associations: 1, idle: 2s}", "{token: gateway}")
    (one,) = make_instances(1)

    async def dripping() -> Any:
        yield multipart(as_file(one))[:100]
        await asyncio.sleep(1.5)
        yield multipart(as_file(one))[100:]

    async with httpx.AsyncClient(headers=known("scanner"), timeout=30) as client:
        url = f"http://127.0.0.1:{site.http_port}{STUDIES}"
        first = asyncio.create_task(client.post(url, content=dripping()))
        await asyncio.sleep(0.5)
        answer = await client.post(url, content=multipart(as_file(one)))
        assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, {"reason": "busy"}, "5")
        assert (await asyncio.to_thread(post, site, "gateway", multipart(as_file(one)))).status_code == 200
        assert (await first).status_code == 200
        assert (await client.post(url, content=multipart(as_file(one)))).status_code == 200


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_how_long_a_peer_pauses_reaches_the_catalogue_with_its_batches(site: IngestSite) -> None:
    site.start(
        peers_file=registry(
            site,
            "{ae_title: CT1, addresses: 127.0.0.1, quiet: 15m}",
            "{ae_title: MR2, addresses: 127.0.0.1}",
        )
    )
    for ae_title, image in zip(("CT1", "MR2"), make_instances(2), strict=True):
        association = call(site.port, ae_title)
        assert association.send_c_store(image).Status == 0
        association.release()
    landed = await site.landed(2)
    index = FakeIndex()
    documents = FakeDocuments({batch.event.batch.manifest.key: batch.manifest for batch in landed})
    on = EventHandlers(arrivals=index, copies=index, documents=documents, quiet=120, quiet_by_source={})
    for batch in landed:
        await on.batch_stored(Received(id="e", data=batch.event, time=batch.event.closed))
    assert sorted(registered.quiet for registered in index.batches) == [120, 900]
    assert {event.quiet for event in await site.events(BatchStored)} == {None, 900}
