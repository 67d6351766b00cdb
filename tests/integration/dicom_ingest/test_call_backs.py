"""Modalities that are called back for a report: what they may answer to our greeting (PS3.8 section 9.3)."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.fuzz.wire import item, pdu
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.test_commitment import Modality, decide, named, requested, until
from tests.integration.dicom_ingest.test_registry import registry
from tests.support.ports import free_ports

_ACCEPT, _FIXED, _USER_INFORMATION = 2, 68, 0x50
#: A sub-item and an item that no edition of the standard has yet, and a version name of more than 16 characters.
LATER, MORE, VERSION = item(0x5A, b"later"), item(0x99, b"more"), item(0x55, b"A VERSION OF NO OFFICIAL LENGTH")


def with_more(body: bytes) -> bytes:
    """The body of an A-ASSOCIATE-AC that has in it what its reader does not know."""
    answer, at = body[:_FIXED] + MORE, _FIXED
    while at < len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        value = body[at + 4 : at + 4 + length]
        answer += item(kind, LATER + value + VERSION + LATER if kind == _USER_INFORMATION else value)
        at += 4 + length
    return answer + MORE


@contextmanager
def between(port: int, target: int, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Listen at ``port`` for one association with the peer at ``target``, and change its A-ASSOCIATE-AC."""
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        calling, _ = listener.accept()
        with calling, socket.create_connection(("127.0.0.1", target)) as called:
            threading.Thread(target=pump, args=(calling, called), daemon=True).start()
            with called.makefile("rb") as answers:
                kind, length = struct.unpack(">BxI", answers.read(6))
                body = answers.read(length)
                calling.sendall(pdu(kind, change(body) if kind == _ACCEPT else body))
                while data := answers.read1():  # type: ignore[attr-defined]  # a buffered reader has it
                    calling.sendall(data)

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    yield
    listener.close()
    serving.join(10)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until it ends."""
    while data := source.recv(65536):
        sink.sendall(data)


async def asked(site: IngestSite, modality: Modality, port: int) -> str:
    """A request of a modality that is called back at ``port``, and its decision; its transaction."""
    site.start(commitment_callbacks=f"CT1=127.0.0.1:{port}")
    transaction = str(generate_uid())
    assert await asyncio.to_thread(modality.ask, generate_uid(), transaction=transaction) == 0
    (request,) = await requested(site)
    await decide(site, request)
    return transaction


async def test_a_modality_that_answers_with_more_than_we_know_is_told(site: IngestSite) -> None:
    port, target = free_ports(2)
    modality = Modality(site, target)
    with modality.listening(), between(port, target, with_more):
        transaction = await asked(site, modality, port)
        event_type, report = await modality.report(timeout=30)
        assert (event_type, report.TransactionUID, len(named(report.ReferencedSOPSequence))) == (1, transaction, 1)
        await until(lambda: [*site.spool.glob("commitments/*.reported")])
    assert not site.logged("commitment-not-reported")


@pytest.mark.parametrize(
    ("supported", "reason"),
    [
        pytest.param({"scu_role": True, "scp_role": False}, "peer-takes-no-reports", id="role"),
        pytest.param(None, "peer-takes-no-reports", id="context"),
    ],
)
async def test_a_modality_that_takes_no_reports_is_not_told(
    site: IngestSite, supported: dict[str, bool] | None, reason: str
) -> None:
    """It does not accept that we are the SCP, or not the SOP class at all."""
    (port,) = free_ports(1)
    modality, entity = Modality(site, port), AE("CT1")
    entity.add_supported_context("1.2.840.10008.1.1")
    if supported is not None:
        entity.add_supported_context(StorageCommitmentPushModel, **supported)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, modality.heard)]
    )
    await asked(site, modality, port)
    await until(lambda: site.logged("commitment-not-reported"))
    server.shutdown()
    assert site.logged("commitment-not-reported")[0]["reason"] == reason
    assert modality.reports.empty()


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_of_two_modalities_with_one_title_the_one_that_asked_is_called_back(site: IngestSite) -> None:
    (port,) = free_ports(1)
    addresses = ("127.0.0.1", "127.0.0.2")
    known = [f"{{ae_title: CT1, addresses: {each}, call_back: {{host: {each}, port: {port}}}}}" for each in addresses]
    site.start(peers_file=registry(site, *known))
    first, second = (Modality(site, port, address) for address in addresses)
    transaction = str(generate_uid())
    assert await asyncio.to_thread(second.ask, generate_uid(), transaction=transaction) == 0
    (request,) = await requested(site)
    assert site.process is not None
    site.process.kill()
    with first.listening(), second.listening():
        site.start(peers_file=registry(site, *known))
        await decide(site, request)
        event_type, report = await second.report(timeout=30)
        assert (event_type, report.TransactionUID) == (1, transaction)
        await until(lambda: [*site.spool.glob("commitments/*.reported")])
    assert first.reports.empty()
