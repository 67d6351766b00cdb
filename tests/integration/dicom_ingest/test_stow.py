"""STOW-RS with dicomweb-client and bare sockets: what is stored, what is answered, and what a broken request leaves."""

import asyncio
from typing import Any

import httpx
from dicomweb_client.api import DICOMwebClient

from contracts.events import AssociationEnded
from tests.integration.dicom_ingest.site import IngestSite
from tests.support.instances import as_file, make_instances

CT = "1.2.840.10008.5.1.4.1.1.2"
KIND = 'multipart/related; type="application/dicom"; boundary=next'
PARTS = {"Content-Type": KIND, "Accept": "application/dicom+json"}
MIB = 1 << 20


def multipart(*files: bytes, headers: bytes = b"Content-Type: application/dicom\r\n") -> bytes:
    """A body of these parts."""
    return b"".join(b"\r\n--next\r\n" + headers + b"\r\n" + file for file in files) + b"\r\n--next--\r\n"


def data_set_of(file: bytes) -> bytes:
    """The bytes behind the meta information."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def post(site: IngestSite, content: Any, study: str = "", **headers: str) -> httpx.Response:
    """The answer to a store request."""
    path = f"/dicom-web/studies/{study}" if study else "/dicom-web/studies"
    given = {**PARTS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.post(f"http://127.0.0.1:{site.http_port}{path}", content=content, headers=given, timeout=60)


def reasons(answer: httpx.Response, sequence: str = "00081198") -> list[int]:
    """The failure reasons of an answer."""
    return [item["00081197"]["Value"][0] for item in answer.json().get(sequence, {}).get("Value", [])]


async def test_what_a_dicomweb_client_stores_lands_as_it_was_sent(site: IngestSite) -> None:
    images = make_instances(3)
    for image in images:
        image.preamble = bytes(128)  # else pydicom leaves out the preamble, and it is no Part 10 file
    site.start()
    client = DICOMwebClient(f"http://127.0.0.1:{site.http_port}/dicom-web")
    answer = await asyncio.to_thread(client.store_instances, images, images[0].StudyInstanceUID)
    stored = answer.ReferencedSOPSequence
    assert [each.ReferencedSOPInstanceUID for each in stored] == [each.SOPInstanceUID for each in images]
    study, series = images[0].StudyInstanceUID, images[0].SeriesInstanceUID
    assert answer.RetrieveURL == f"http://127.0.0.1/dicom-web/studies/{study}"  # the host that the client names
    assert stored[0].RetrieveURL == f"{answer.RetrieveURL}/series/{series}/instances/{images[0].SOPInstanceUID}"
    (batch,) = await site.landed(3)
    arrived = [batch.dataset(instance) for instance in batch.manifest.instances]
    assert arrived == [data_set_of(as_file(image)) for image in images]
    assert batch.manifest.source is not None
    assert (batch.manifest.source.calling_ae, batch.manifest.source.called_ae) == ("loopback", "STOW-RS")
    (ended,) = await site.events(AssociationEnded)
    assert (ended.how, ended.stored, ended.refused) == ("released", 3, 0)
