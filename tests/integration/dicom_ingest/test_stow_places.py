"""Who is heard where more want to store over HTTP than can be heard: whoever gets on, not whoever says nothing."""

import asyncio
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset

from tests.integration.dicom_ingest.peers import connected
from tests.integration.dicom_ingest.site import MEMORY_BOUND, IngestSite
from tests.integration.dicom_ingest.test_stow import KIND, STUDIES, data_set_of, files, multipart, post, stored
from tests.support.http_attackers import besieged
from tests.support.instances import as_file, make_instances
from tests.support.services import eventually

SEVERAL = [f"127.0.66.{number}" for number in range(1, 6)]
PART = b"--next\r\nContent-Type: application/dicom\r\n\r\n"


def head(length: int) -> bytes:
    """That of a store request."""
    lines = f"Host: x\r\nContent-Type: {KIND}\r\nContent-Length: {length}\r\n\r\n"
    return f"POST {STUDIES} HTTP/1.1\r\n{lines}".encode()


def send(site: IngestSite, images: Sequence[Dataset]) -> list[str]:
    """Store them one by one, each by a client of its own; what is said to be stored."""
    told = []
    for image in images:
        image.preamble = bytes(128)
        client = DICOMwebClient(f"http://127.0.0.1:{site.http_port}/dicom-web")
        told += [each.ReferencedSOPInstanceUID for each in client.store_instances([image]).ReferencedSOPSequence]
    return told


def probes(site: IngestSite, stop: list[bool]) -> set[int]:
    """What they are answered until there is something in ``stop``."""
    found = set()
    while not stop:
        for path in ("livez", "readyz"):
            found.add(httpx.get(f"http://127.0.0.1:{site.http_port}/{path}", timeout=30).status_code)
        time.sleep(0.1)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("addresses", [["127.0.0.1"], SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize(
    ("begun", "more"),
    [(b"", b""), (head(1 << 20), b""), (head(1 << 20) + PART + files(1)[0][:2000], b"x")],
    ids=["silent", "head", "drip"],
)
async def test_slow_clients_hold_up_nobody(
    site: IngestSite, addresses: Sequence[str], begun: bytes, more: bytes
) -> None:
    """As many of them as want all connections, from the address of a sender that goes on meanwhile or from others."""
    site.start(stow_max_requests=3, http_max_connections=64)
    await eventually(lambda: httpx.get(f"http://127.0.0.1:{site.http_port}/readyz").status_code == 200)
    images, stop = make_instances(5, rows=128), list[bool]()
    with besieged(site.http_port, 150, begun, addresses, more) as told, ThreadPoolExecutor() as threads:
        probing = threads.submit(probes, site, stop)
        try:
            acknowledged = await asyncio.to_thread(send, site, images)
        finally:
            stop.append(True)
        assert probing.result() == {200}
    assert acknowledged == [image.SOPInstanceUID for image in images]
    assert told["closed"] > 0
    assert set(told) <= {"closed", "503"}
    await site.spool_is_empty()
    landed = await site.landed(5)
    arrived = {each.sop_instance_uid: batch.dataset(each) for batch in landed for each in batch.manifest.instances}
    assert arrived == {image.SOPInstanceUID: data_set_of(as_file(image)) for image in images}, "and nothing of others"
    assert site.peak_bytes() < MEMORY_BOUND


async def test_who_gives_way_hears_what_was_stored_and_leaves_nothing_else(site: IngestSite) -> None:
    site.start(stow_max_requests=1)
    one, two, three = files(3)
    body = multipart(one, two)
    with connected(site.http_port) as slow:
        slow.sendall(head(len(body)) + body[: -len(two) // 2])
        await asyncio.sleep(0.5)
        answer = await asyncio.to_thread(post, site, multipart(three))
        assert answer.status_code == 200
        slow.settimeout(8)
        told = await asyncio.to_thread(slow.recv, 10_000)
        while piece := await asyncio.to_thread(slow.recv, 10_000):
            told += piece
    status, _, rest = told.partition(b"\r\n")
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert b"\r\nretry-after: 5\r\n" in rest and b"\r\nConnection: close\r\n" in rest.replace(
        b"connection", b"Connection"
    )
    acknowledged = httpx.Response(200, content=rest[rest.index(b"{") : rest.rindex(b"}") + 1])
    assert len(stored(acknowledged)) == 1
    await site.spool_is_empty()
    landed = await site.landed(2)
    arrived = [batch.dataset(each) for batch in landed for each in batch.manifest.instances]
    assert sorted(arrived) == sorted(map(data_set_of, (one, three)))
    assert [line["reason"] for line in site.logged("store-request") if "reason" in line] == ["gave-way"]


def steadily(site: IngestSite, body: bytes, seconds: float) -> bytes:
    """The status of a request that is sent for so long."""
    with socket.create_connection(("127.0.0.1", site.http_port), timeout=60) as working:
        working.sendall(head(len(body)))
        each = -(-len(body) // int(seconds * 4))
        for at in range(0, len(body), each):
            working.sendall(body[at : at + each])
            time.sleep(0.25)
        return working.recv(12)


async def test_only_where_all_who_are_heard_get_on_another_is_told_to_come_again(site: IngestSite) -> None:
    site.start(stow_max_requests=2)
    body, (one,) = multipart(as_file(make_instances(1, rows=1024)[0])), files(1)
    with ThreadPoolExecutor() as threads:
        working = [threads.submit(steadily, site, body, 14) for _ in range(2)]
        await asyncio.sleep(1)
        answer = await asyncio.to_thread(post, site, multipart(one))
        assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, {"reason": "busy"}, "5")
        waiting = threads.submit(post, site, multipart(one))
        assert [each.result() for each in working] == [b"HTTP/1.1 200"] * 2
        assert waiting.result().status_code == 200, "who waits is heard as soon as there is a place"
