"""Storage commitment at its edges: requests without end, and modalities that are called back over TLS."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.dimse_messages import C_STORE_RQ, N_ACTION_RQ
from pynetdicom.dimse_primitives import C_STORE, N_ACTION
from pynetdicom.sop_class import StorageCommitmentPushModel

from contracts.events import CommitmentRequested
from services.dicom_ingest.domain.commitment import LONGEST_REQUEST
from tests.integration.dicom_ingest.peers import echoes
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.test_commitment import Modality, ask, decide, requested, until
from tests.integration.dicom_ingest.test_registry import registry
from tests.integration.dicom_ingest.wire import CT, associated, encoded, own_answers
from tests.support.certificates import Authority, Issued
from tests.support.ports import free_ports

WELL_KNOWN = "1.2.840.10008.1.20.1.1"
MIB = 1 << 20
both = pytest.mark.parametrize("site", RECEIVERS, indirect=True)


def endless(size: int) -> N_ACTION:
    """A request for commitment with so many bytes of action information."""
    asked = N_ACTION()
    asked.MessageID, asked.ActionTypeID = 1, 1
    asked.RequestedSOPClassUID, asked.RequestedSOPInstanceUID = StorageCommitmentPushModel, WELL_KNOWN
    asked.ActionInformation = BytesIO(bytes(size))
    return asked


@both
async def test_a_request_without_end_is_refused_and_never_gathered(site: IngestSite) -> None:
    site.start()
    before = site.peak_bytes()
    with Modality(site).association() as association, own_answers(association):
        (context,) = association.accepted_contexts
        for size in (LONGEST_REQUEST + 1, 256 * MIB):
            message = N_ACTION_RQ()
            message.primitive_to_message(endless(size))
            for fragment in message.encode_msg(context.context_id, 128 * 1024):
                association.dul.socket.socket.sendall(encoded(fragment))
            answer = association.dimse.get_msg(block=True)[1]
            assert answer.Status == 0x0213, size
    assert site.peak_bytes() - before < 64 * MIB
    with Modality(site).association() as association:
        assert ask(association, generate_uid(), transaction=generate_uid()) == 0
    assert len(await requested(site)) == len(await site.events(CommitmentRequested)) == 1


@both
async def test_a_command_without_end_is_aborted_and_never_gathered(site: IngestSite) -> None:
    site.start()
    association = associated(site.port)
    asked = C_STORE()
    asked.MessageID, asked.Priority = 1, 2
    asked.AffectedSOPClassUID, asked.AffectedSOPInstanceUID = CT, generate_uid()
    asked.DataSet = BytesIO(b"")
    message = C_STORE_RQ()
    message.primitive_to_message(asked)
    (context,) = association.accepted_contexts
    first = next(message.encode_msg(context.context_id, 128 * 1024))
    # A fragment of a command that is not the last one (PS3.8 annex E.2), over and over.
    first.presentation_data_value_list = [[context.context_id, b"\x01" + bytes(16_000)]]
    before = site.peak_bytes()
    for _ in range(64):
        association.dul.send_pdu(first)
    for _ in range(100):
        if association.is_aborted:
            break
        await asyncio.sleep(0.1)
    assert association.is_aborted
    assert site.peak_bytes() - before < 16 * MIB
    assert echoes(site.port)


@contextmanager
def listening(modality: Modality, shown: Issued, clients: Authority) -> Iterator[None]:
    """The modality at a TLS port of its own, where callers must show a certificate that ``clients`` signed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(clients.path))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(shown.certificate, shown.key)
    entity = AE("CT1")
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, modality.heard)]
    address = ("127.0.0.1", modality.port)
    server = entity.start_server(address, block=False, evt_handlers=handlers, ssl_context=context)
    yield
    server.shutdown()


async def in_vain(site: IngestSite) -> None:
    """Return when a report was not delivered once more."""
    tried = len(site.logged("commitment-not-reported"))
    await until(lambda: len(site.logged("commitment-not-reported")) > tried)


async def test_a_modality_is_called_back_over_tls_by_an_authority_of_its_own(site: IngestSite, tmp_path: Path) -> None:
    ours, theirs = Authority(site.folder, "ours"), Authority(site.folder, "theirs")
    server, modality_certificate = ours.issue("causeway.hospital.example"), theirs.issue("localhost")
    port, tls_port = free_ports(2)

    def known(call_back: str) -> Path:
        return registry(site, f"{{ae_title: CT1, addresses: 127.0.0.1, call_back: {{{call_back}}}}}")

    where = f"host: localhost, port: {port}, tls: true"
    site.start(
        peers_file=known(where),
        dicom_tls_port=tls_port,
        dicom_tls_cert=server.certificate,
        dicom_tls_key=server.key,
        dicom_tls_client_ca=ours.path,
    )
    modality, uid, transaction = Modality(site, port), generate_uid(), generate_uid()
    assert await asyncio.to_thread(modality.ask, uid, transaction=transaction) == 0
    (request,) = await requested(site)
    with listening(modality, modality_certificate, ours):
        await decide(site, request)
        await in_vain(site)
        assert modality.reports.empty(), "signed by nobody that we know"
        known(f"{where}, ca: '{tmp_path / 'nowhere.pem'}'")
        await in_vain(site)
        assert site.logged("commitment-not-reported")[-1]["reason"] == "no-certificate"
        known(f"{where}, ca: '{theirs.path}'")
        event_type, report = await modality.report(timeout=30)
    assert (event_type, report.TransactionUID) == (1, transaction)
    await until(lambda: [*site.spool.glob("commitments/*.reported")])


async def test_a_modality_whose_certificate_names_another_host_is_not_told(site: IngestSite) -> None:
    ours = Authority(site.folder, "ours")
    server, other = ours.issue("causeway.hospital.example"), ours.issue("mr2.hospital.example")
    port, tls_port = free_ports(2)
    call_back = f"{{host: localhost, port: {port}, tls: true}}"
    site.start(
        peers_file=registry(site, f"{{ae_title: CT1, addresses: 127.0.0.1, call_back: {call_back}}}"),
        dicom_tls_port=tls_port,
        dicom_tls_cert=server.certificate,
        dicom_tls_key=server.key,
        dicom_tls_client_ca=ours.path,
    )
    modality = Modality(site, port)
    assert await asyncio.to_thread(modality.ask, generate_uid(), transaction=generate_uid()) == 0
    (request,) = await requested(site)
    with listening(modality, other, ours):
        await decide(site, request)
        await in_vain(site)
        assert modality.reports.empty()
    assert site.logged("commitment-not-reported")[-1]["reason"] == "peer-not-reached"
