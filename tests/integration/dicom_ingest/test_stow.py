"""STOW-RS with dicomweb-client and bare sockets: what is stored, what is answered, and what a broken request leaves."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from blake3 import blake3
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import ExplicitVRLittleEndian

from cli.dicom_files import Outgoing, examine, files_below
from cli.embedded.router import build as build_router
from contracts.events import AssociationEnded
from services.dicom_ingest.domain.part10 import file_header
from shared.observability.spans import read_spans
from tests.integration.dicom_ingest.site import MEMORY_BOUND, IngestSite
from tests.support.instances import as_file, make_instances, uid
from tests.support.services import eventually
from tests.unit.dicom_ingest.data_sets import element, encode

KIND = 'multipart/related; type="application/dicom"; boundary=next'
STUDIES = "/dicom-web/studies"
PARTS = {"Content-Type": KIND, "Accept": "application/dicom+json"}
CT = "1.2.840.10008.5.1.4.1.1.2"
MIB = 1 << 20


def multipart(*files: bytes, headers: bytes = b"Content-Type: application/dicom\r\n") -> bytes:
    """A body of these parts."""
    return b"".join(b"\r\n--next\r\n" + headers + b"\r\n" + file for file in files) + b"\r\n--next--\r\n"


def data_set_of(file: bytes) -> bytes:
    """The bytes behind the meta information."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def post(site: IngestSite, content: Any, study: str = "", **headers: str) -> httpx.Response:
    """The answer to a store request."""
    path = f"{STUDIES}/{study}" if study else STUDIES
    given = {**PARTS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.post(f"http://127.0.0.1:{site.http_port}{path}", content=content, headers=given, timeout=100)


def reasons(answer: httpx.Response, sequence: str = "00081198") -> list[int]:
    """The failure reasons of an answer."""
    return [item["00081197"]["Value"][0] for item in answer.json().get(sequence, {}).get("Value", [])]


def stored(answer: httpx.Response) -> list[str]:
    """The instances that an answer says are stored."""
    return [item["00081155"]["Value"][0] for item in answer.json().get("00081199", {}).get("Value", [])]


def files(count: int, **attributes: Any) -> list[bytes]:
    """Part 10 files of one study."""
    return [as_file(image) for image in make_instances(count, **attributes)]


async def farewell(site: IngestSite) -> AssociationEnded:
    """What is told of the end of the only request."""
    await eventually(lambda: site.events(AssociationEnded))
    (ended,) = await site.events(AssociationEnded)
    return ended


async def test_what_a_dicomweb_client_stores_lands_as_it_was_sent(site: IngestSite) -> None:
    images = make_instances(3)
    for image in images:
        image.preamble = bytes(128)  # else pydicom leaves out the preamble, and it is no Part 10 file
    site.start()
    client = DICOMwebClient(f"http://127.0.0.1:{site.http_port}/dicom-web")
    answer = await asyncio.to_thread(client.store_instances, images, images[0].StudyInstanceUID)
    told = answer.ReferencedSOPSequence
    assert [each.ReferencedSOPInstanceUID for each in told] == [each.SOPInstanceUID for each in images]
    study, series = images[0].StudyInstanceUID, images[0].SeriesInstanceUID
    assert answer.RetrieveURL == f"http://127.0.0.1/dicom-web/studies/{study}"  # the host that the client names
    assert told[0].RetrieveURL == f"{answer.RetrieveURL}/series/{series}/instances/{images[0].SOPInstanceUID}"
    (batch,) = await site.landed(3)
    arrived = [batch.dataset(instance) for instance in batch.manifest.instances]
    assert arrived == [data_set_of(as_file(image)) for image in images]
    assert batch.manifest.source is not None
    assert (batch.manifest.source.calling_ae, batch.manifest.source.called_ae) == ("loopback", "STOW-RS")
    ended = await farewell(site)
    assert (ended.how, ended.stored, ended.refused) == ("released", 3, 0)


@pytest.mark.parametrize(
    ("preamble", "flags"),
    [
        (b"MZ\x90\0" + bytes(56) + b"\x80\0\0\0", ["foreign-magic"]),
        (bytes(40) + b"%PDF-1.7", ["foreign-magic"]),
        (b"II*\0\x08\0\0\0", []),  # TIFF: a whole slide image is meant to be both
        (b"", []),
    ],
)
async def test_a_file_that_is_a_program_as_well_is_stored_flagged_and_no_program_any_more(
    site: IngestSite, preamble: bytes, flags: list[str]
) -> None:
    site.start()
    (one,) = files(1)
    assert post(site, multipart(preamble.ljust(128, b"\0") + one[128:])).status_code == 200
    (batch,) = await site.landed(1)
    (instance,) = batch.manifest.instances
    assert list(instance.flags) == flags
    assert batch.file(instance)[:132] == bytes(128) + b"DICM"


async def test_what_rfc_2046_allows_around_boundaries_hides_no_part(site: IngestSite) -> None:
    """Text before the first one, which is no part, and blanks behind each."""
    site.start()
    one, two = files(2)
    body = (
        multipart(one, two).replace(b"--next\r\n", b"--next \t\r\n").replace(b"--next--\r\n", b"--next-- \r\nthe end")
    )
    answer = post(site, b"This is a message in MIME format.\r\n" + body)
    assert (answer.status_code, len(stored(answer))) == (200, 2)
    (batch,) = await site.landed(2)
    arrived = [batch.dataset(instance) for instance in batch.manifest.instances]
    assert arrived == [data_set_of(one), data_set_of(two)]


async def test_more_than_ten_thousand_parts_are_heard_in_one_request(site: IngestSite) -> None:
    site.start()
    (one,) = files(1)
    some = post(site, multipart(one, *[b""] * 11_000))
    assert (some.status_code, len(stored(some)), len(reasons(some, "0008119A"))) == (202, 1, 11_000)


async def test_each_request_gets_the_status_of_the_standard(site: IngestSite) -> None:
    site.start(max_instance=64 * 1024, stow_max_parts=5, stow_max_request=1 * MIB)
    one, two = files(2, study_uid="1.2.3")
    other = as_file(make_instances(1, study_uid="1.2.4")[0])
    cut = multipart(one, two)[: -len(two) // 2]
    large = as_file(make_instances(1, rows=256)[0])
    unknown = file_header("1.2.840.10008.1.3.10", "1.2.9", ExplicitVRLittleEndian) + data_set_of(one)

    assert post(site, multipart(one, two), "1.2.3").status_code == 200
    assert post(site, one, "1.2.3", Content_Type="application/dicom").status_code == 200
    some = post(site, multipart(one, other, b"no file", unknown), "1.2.3")
    assert (some.status_code, len(stored(some)), reasons(some)) == (202, 1, [0xA901, 0x0122])
    assert reasons(some, "0008119A") == [0xC000]
    short = post(site, multipart(one, two[:-10]))
    assert (short.status_code, len(stored(short)), reasons(short)) == (202, 1, [0xC000])
    assert post(site, multipart(other), "1.2.3").status_code == 409
    assert post(site, multipart(large)).status_code == 413
    assert reasons(post(site, multipart(large))) == [0xA700]
    broken = post(site, cut)
    assert (broken.status_code, len(stored(broken)), reasons(broken)) == (400, 1, [0xC000])
    assert post(site, multipart(*[one] * 6)).status_code == 413
    assert post(site, multipart(*[large] * 9)).status_code == 413  # more than the request may have
    assert post(site, (large for _ in range(9)), Content_Type="application/dicom").status_code == 413
    assert post(site, b"--next--").status_code == 400
    assert post(site, b"").status_code == 400
    assert post(site, multipart(one), Content_Type="multipart/related; type=application/dicom").status_code == 400
    assert post(site, multipart(one), "not-a-uid").status_code == 400
    for kind in ("application/dicom+json", "application/dicom+xml"):
        assert post(site, b"[]", Content_Type=f'multipart/related; type="{kind}"; boundary=x').status_code == 415
    assert post(site, multipart(one, headers=b"Content-Type: text/plain\r\n")).status_code == 415
    assert post(site, multipart(one), Content_Encoding="gzip").status_code == 415
    assert post(site, multipart(one), Accept="text/html").status_code == 406
    several = httpx.Headers([("Accept", "text/html"), *PARTS.items()])
    assert httpx.post(f"http://127.0.0.1:{site.http_port}{STUDIES}", content=multipart(one), headers=several).is_success
    as_xml = post(site, multipart(one), Accept="application/dicom+xml")
    assert (as_xml.status_code, as_xml.headers["content-type"]) == (200, "application/dicom+xml")
    assert b'keyword="ReferencedSOPSequence"' in as_xml.content
    assert {line["http_status"] for line in site.logged("store-refused")} == {400, 406, 413, 415}
    assert not any(text in site.log() for text in ("1.2.3", "1.2.4", "not-a-uid"))


async def test_while_the_disk_is_low_everything_is_refused_with_507(site: IngestSite) -> None:
    site.start(disk_reserve=1 << 60)
    answer = post(site, multipart(*files(2)))
    assert (answer.status_code, reasons(answer)) == (507, [0xA700, 0xA700])
    assert "retry-after" in answer.headers


async def test_the_trace_of_the_request_goes_on_in_its_batches(site: IngestSite) -> None:
    site.start()
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert post(site, multipart(*files(1)), traceparent=f"00-{trace}-b7ad6b7169203331-00").status_code == 200
    await site.landed(1)

    def spans() -> dict[str, str]:
        return {span["name"]: span["trace_id"] for span in read_spans(site.folder / "trace.jsonl")}

    await eventually(lambda: {"receive association", "land batch"} <= set(spans()))
    assert spans()["receive association"] == spans()["land batch"] == trace


async def test_a_client_that_goes_away_leaves_what_was_committed_and_nothing_else(site: IngestSite) -> None:
    site.start()
    one, two = files(2)
    body = multipart(one, two)
    with socket.create_connection(("127.0.0.1", site.http_port)) as client:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: {len(body)}"
        client.sendall(head.encode() + b"\r\n\r\n" + body[: -len(two) // 2])
        time.sleep(0.5)
    await site.spool_is_empty()
    (batch,) = await site.landed(1)
    assert [batch.dataset(each) for each in batch.manifest.instances] == [data_set_of(one)]
    ended = await farewell(site)
    assert (ended.how, ended.stored, ended.refused) == ("lost", 1, 1)


async def test_a_service_that_ends_waits_for_requests_and_then_cuts_them(site: IngestSite) -> None:
    site.start(drain_grace=1)
    one, two = files(2)
    body = multipart(one, two)
    with socket.create_connection(("127.0.0.1", site.http_port)) as client:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: {len(body)}"
        client.sendall(head.encode() + b"\r\n\r\n" + body[: -len(two) // 2])
        time.sleep(0.5)
        begun = time.monotonic()
        assert site.process is not None
        site.process.stop()
        assert 1 <= time.monotonic() - begun < 15
    site.start()
    (batch,) = await site.landed(1)
    assert [batch.dataset(each) for each in batch.manifest.instances] == [data_set_of(one)]
    ended = await farewell(site)
    assert (ended.how, ended.stored, ended.refused) == ("lost", 1, 1)


async def test_slow_clients_are_cut(site: IngestSite) -> None:
    """A byte now and then is not enough."""
    site.start(idle_timeout=1)
    head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: 9999\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", site.http_port), timeout=10) for _ in range(3)]
    for client in slow:
        client.sendall(head.encode() + b"\r\n--next\r\n")
    slow[0].settimeout(0.2)
    begun, answer = time.monotonic(), b""
    while not answer and time.monotonic() - begun < 8:
        slow[0].sendall(b"x")
        try:
            answer = slow[0].recv(100)
        except TimeoutError:
            continue
    assert answer.startswith(b"HTTP/1.1 408")
    assert all(client.recv(100).startswith(b"HTTP/1.1 408") for client in slow[1:])
    for client in slow:
        client.close()


async def test_a_router_hands_requests_on_with_the_token_whose_holder_is_the_sender(site: IngestSite) -> None:
    tokens = site.folder / "tokens"
    tokens.write_text("scanner 0123456789abcdef01234567\n")
    tokens.chmod(0o600)
    site.start(http_token_file=tokens)
    (one,) = files(1)
    services = {"dicom_ingest": f"http://127.0.0.1:{site.http_port}", "catalog": "http://127.0.0.1:1"}
    transport = httpx.ASGITransport(build_router(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://causeway", headers=PARTS) as client:
        assert (await client.post("/dicom-web/studies", content=multipart(one))).status_code == 401
        client.headers["Authorization"] = "Bearer 0123456789abcdef01234567"
        answer = await client.post("/dicom-web/studies", content=multipart(one))
        assert (answer.status_code, len(stored(answer))) == (200, 1)
        assert answer.json()["00081190"]["Value"][0].startswith("http://causeway/dicom-web/studies/")
        assert (await client.get("/dicom-web/studies")).status_code == 503, "the catalog's, which is not there"
    (batch,) = await site.landed(1)
    assert batch.manifest.source is not None
    assert batch.manifest.source.calling_ae == "scanner"
    assert [line["who"] for line in site.logged("store-request")] == ["scanner"]
    assert len(site.logged("access-denied")) == 1


def large_body(size: int) -> Iterator[bytes]:
    """A part of ``size`` zeros of pixels, in chunks."""
    (image,) = make_instances(1)
    del image.PixelData
    head = file_header(CT, image.SOPInstanceUID, ExplicitVRLittleEndian) + encode(image, ExplicitVRLittleEndian)
    yield b"--next\r\nContent-Type: application/dicom\r\n\r\n" + head + element(0x7FE00010, b"OW", b"", size)
    for _ in range(size // MIB):
        yield bytes(MIB)
    yield b"\r\n--next--"


@pytest.mark.slow
async def test_a_part_larger_than_the_memory_bound_passes_through_it(site: IngestSite) -> None:
    site.start()
    assert post(site, large_body(300 * MIB)).status_code == 200
    await site.spool_is_empty(timeout=100)
    ((event, manifest),) = await site.manifests()
    assert event.batch.archive.size > 300 * MIB
    assert manifest.instances[0].pixel_blake3 == blake3(bytes(300 * MIB)).hexdigest()
    assert site.peak_bytes() < MEMORY_BOUND


@pytest.mark.slow
async def test_a_thousand_small_parts_are_stored_by_one_request(site: IngestSite) -> None:
    site.start()
    (image,) = make_instances(1)
    data = encode(image, ExplicitVRLittleEndian)
    uids = [uid() for _ in range(1000)]
    answer = post(site, multipart(*(file_header(CT, each, ExplicitVRLittleEndian) + data for each in uids)))
    # Each data set names another instance than its file does: it is stored, and that is said.
    assert (answer.status_code, stored(answer)) == (202, uids)
    assert answer.json()["00081199"]["Value"][1]["00081196"]["Value"] == [0xB007]
    landed = await site.landed(1000)
    assert Counter(i.sop_instance_uid for batch in landed for i in batch.manifest.instances) == Counter(uids)


@pytest.mark.slow
async def test_every_readable_file_of_the_corpus_lands_with_the_data_set_it_had(site: IngestSite, corpus: Path) -> None:
    found = [each for each in map(examine, files_below([corpus / "dicom"])) if isinstance(each, Outgoing)]
    small = [each for each in found if each.length < MIB][::10]
    bodies = [each.path.read_bytes() for each in small]
    fit = [(each, body) for each, body in zip(small, bodies, strict=True) if body[128:132] == b"DICM"]
    site.start()
    answer = post(site, multipart(*(body for _, body in fit)))
    assert answer.status_code in (200, 202)
    named = [item["00081155"]["Value"][0] for item in answer.json().get("00081198", {}).get("Value", [])]
    landed = await site.landed(len(stored(answer)))
    arrived = Counter(
        sha256(batch.dataset(instance)).digest() for batch in landed for instance in batch.manifest.instances
    )
    sent = Counter(sha256(body[each.offset :]).digest() for each, body in fit)
    assert len(fit) > 100
    assert not arrived - sent, "what is stored is what was sent"
    assert sum((sent - arrived).values()) == len(fit) - len(stored(answer)) <= len(fit) // 50, (named, reasons(answer))
