"""DICOM over TLS at either receiver (PS3.15 sections B.12 and B.13): who gets in, by what, and who is held up."""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dicom_ingest.peers import associate, echoes, received, with_verdict
from tests.integration.dicom_ingest.secured import Secured
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite, dcmtk, write_files
from tests.support.attackers import attacked, slow_handshakes
from tests.support.certificates import Authority
from tests.support.instances import as_file, make_instances

pytestmark = pytest.mark.parametrize("site", RECEIVERS, indirect=True)


@pytest.fixture
def secured(site: IngestSite) -> Secured:
    return Secured(site)


def within(seconds: float, holds: Callable[[], Any]) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.dcmtk
async def test_dcmtk_and_pynetdicom_store_over_tls_and_others_beside_them_without(
    secured: Secured, tmp_path: Path
) -> None:
    site, (first, second, third) = secured.site, make_instances(3, rows=512)
    secured.start()
    (file,) = write_files(tmp_path / "send", [as_file(first)])
    trust = ("+cf", secured.authority.path, "+tls", secured.client.key, secured.client.certificate)
    status, told = dcmtk("storescu", *trust, "localhost", str(secured.port), file)
    assert status == 0, told
    for association, image in ((secured.associate(secured.client), second), (associate(site.port), third)):
        assert association.send_c_store(image).Status == 0
        association.release()
    landed = await site.landed(3)
    arrived = {each.sop_instance_uid: batch.dataset(each) for batch in landed for each in batch.manifest.instances}
    assert {*arrived} == {image.SOPInstanceUID for image in (first, second, third)}
    assert file.read_bytes().endswith(arrived[first.SOPInstanceUID])
    assert arrived[second.SOPInstanceUID].endswith(second.PixelData)


async def test_without_a_certificate_that_the_authority_signed_and_that_is_valid_nobody_gets_in(
    secured: Secured,
) -> None:
    secured.start()
    elsewhere = Authority(secured.site.folder, "elsewhere").issue("mr2.hospital.example")
    expired = secured.authority.issue("old.hospital.example", valid=-timedelta(days=1))
    for shown in (None, elsewhere, expired):
        assert not secured.associate(shown).is_established
    assert secured.associate(secured.client).is_established
    failures = [line.get("code") for line in secured.site.logged("connection-failed")]
    assert failures == ["peer_did_not_return_a_certificate", *["certificate_verify_failed"] * 2]


async def test_a_site_may_let_clients_without_a_certificate_in(secured: Secured) -> None:
    secured.start(dicom_tls_mutual="false")
    assert secured.associate(None).is_established


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_what_bcp_195_forbids_is_refused_and_what_it_names_is_taken(secured: Secured) -> None:
    secured.start()
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = secured.context(secured.client)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = version
        with pytest.raises(OSError, match=r"(?i)protocol.version|alert"):
            secured.handshake(old)
    for suites, is_taken in (("ECDHE+AES128+SHA256:!AESGCM", False), ("ECDHE+AESGCM", True)):
        context = secured.context(secured.client)
        context.set_ciphers(suites)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if is_taken:
            secured.handshake(context)
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
                secured.handshake(context)
    newest = secured.context(secured.client)
    newest.minimum_version = ssl.TLSVersion.TLSv1_3
    secured.handshake(newest)


async def test_a_peer_is_known_by_its_certificate_and_not_by_its_title(secured: Secured) -> None:
    other = secured.authority.issue("mr2.hospital.example")
    peers = secured.site.folder / "peers.yaml"
    peers.write_text(
        "format: causeway.peers/1\nunknown: reject\npeers:\n"
        f"  - {{ae_title: CT1, certificate: {{sha256: '{secured.client.sha256}'}}}}\n"
        "  - {ae_title: MR2, certificate: {subject: {CN: mr2.hospital.example}, dns: mr2.hospital.example}}\n"
    )
    secured.start(peers_file=peers)
    for shown, ae_title, is_let_in in (
        (secured.client, "CT1", True),
        (other, "CT1", False),
        (other, "MR2", True),
        (secured.client, "MR2", False),
    ):
        association = with_verdict(partial(secured.associate, shown, ae_title))
        assert (association.is_established, association.is_rejected) == (is_let_in, not is_let_in)
    assert not echoes(secured.site.port)


async def test_new_certificates_count_from_the_next_handshake_and_end_no_association(secured: Secured) -> None:
    secured.start()
    (image,) = make_instances(1)
    trusting = secured.context(secured.client)
    association = secured.associate(secured.client)
    assert secured.handshake(trusting).hex() == secured.server.sha256
    renewed = secured.authority.issue("localhost")
    assert secured.handshake(trusting).hex() == renewed.sha256
    renewed.certificate.write_text("no certificate")
    within(10, lambda: secured.site.logged("reload-refused"))
    assert secured.handshake(trusting).hex() == renewed.sha256
    assert association.send_c_store(image).Status == 0
    association.release()


async def test_handshakes_that_drip_hold_up_nobody_and_end_at_their_deadline(secured: Secured) -> None:
    secured.start(tls_handshake_deadline=1.0, max_associations_per_address=64)
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("localhost", secured.port), timeout=10)) for _ in range(24)
        ]
        for connection in slow:
            connection.sendall(b"\x16\x03\x01")
        began = time.monotonic()
        association = secured.associate(secured.client)
        assert association.send_c_echo().Status == 0
        assert time.monotonic() - began < 0.9
        for _ in range(8):
            time.sleep(0.2)
            for connection in slow:
                with suppress(OSError):
                    connection.sendall(b"\x01")
        assert [received(connection) for connection in slow] == [b""] * len(slow)
        assert association.send_c_echo().Status == 0
        association.release()


async def test_handshakes_that_drip_in_every_place_give_way_to_whoever_comes(secured: Secured) -> None:
    """More of them than there are places, on the port with TLS; both ports let others in."""
    secured.start(max_associations=16, max_associations_per_address=8)
    with attacked(partial(slow_handshakes, count=60), secured.port) as tally:
        within(30, lambda: tally.answers)
        for _ in range(3):
            assert echoes(secured.site.port)
            association = secured.associate(secured.client)
            assert association.is_established and association.send_c_echo().Status == 0
            association.release()
        within(30, lambda: tally.answers["alert"])
