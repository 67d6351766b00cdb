"""Peers that are slow, greedy or wrong hold up no other and cost no memory."""

import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import CTImageStorage, PatientRootQueryRetrieveInformationModelFind

from cli.dicom_files import Outgoing, examine
from cli.scu import Sender
from tests.integration.dicom_ingest.peers import EXPLICIT, associate, connected, echoes, pdu, received
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite, write_files
from tests.support.instances import as_file, make_instances

pytestmark = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

IMPATIENT = {"pdu_header_deadline": 0.5, "artim": 1.0, "idle_timeout": 1.0}
ABORT = b"\x07\x00\x00\x00\x00\x04"
REJECTED = b"\x03\x00\x00\x00\x00\x04"


def resident_bytes(site: IngestSite) -> int:
    """The memory of the service's process."""
    assert site.process is not None and site.process.process is not None
    pages = int(Path(f"/proc/{site.process.process.pid}/statm").read_text().split()[1])
    return pages * 4096


async def test_sockets_that_send_three_bytes_are_dropped_and_others_served(site: IngestSite) -> None:
    site.start(max_associations=4, max_associations_per_address=4, **IMPATIENT)
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(site.port)) for _ in range(4)]
        for connection in slow:
            connection.sendall(b"\x01\x00\x00")
        assert all(received(connection) in (b"", ABORT + bytes((0, 0, 2, 0))) for connection in slow)
        assert echoes(site.port)


async def test_a_greeting_of_four_gigabytes_is_refused_by_its_header(site: IngestSite) -> None:
    site.start()
    before = resident_bytes(site)
    with connected(site.port) as connection:
        connection.sendall(b"\x01\x00\xff\xff\xff\xff")
        assert received(connection).startswith(ABORT)
    assert resident_bytes(site) - before < 16 << 20
    assert echoes(site.port)


async def test_a_silent_association_is_ended(site: IngestSite) -> None:
    site.start(**IMPATIENT)
    association = associate(site.port)
    assert association.is_established
    deadline = time.monotonic() + 60
    while association.is_established and time.monotonic() < deadline:
        time.sleep(0.1)
    assert association.is_aborted


async def test_one_address_too_many_is_rejected_for_now_and_welcome_later(site: IngestSite) -> None:
    site.start(max_associations=8, max_associations_per_address=2)
    first, second = associate(site.port), associate(site.port)
    # Who has said nothing yet would give way to the third.
    assert [one.send_c_echo().Status for one in (first, second)] == [0, 0]
    third = associate(site.port)
    assert third.is_rejected, (third.is_aborted, third.is_established)
    answer = third.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    first.release()
    deadline = time.monotonic() + 60
    while not echoes(site.port):
        assert time.monotonic() < deadline
    second.release()


async def test_garbage_and_units_out_of_turn_are_aborted(site: IngestSite) -> None:
    site.start(**IMPATIENT)
    for sent in (b"GET / HTTP/1.1\r\n\r\n", pdu(4, b"\0\0\0\2\1\3"), pdu(5, bytes(4))):
        with connected(site.port) as connection:
            connection.sendall(sent)
            assert received(connection)[:6] in (b"", ABORT)
    with connected(site.port) as connection:
        connection.sendall(pdu(1, bytes(100)))  # a greeting of nobody to nobody
        assert received(connection)[:6] == REJECTED
    assert echoes(site.port)


async def test_an_association_cut_in_the_middle_of_an_instance_leaves_nothing(site: IngestSite) -> None:
    site.start()
    (image,) = make_instances(1, rows=512)
    association = associate(site.port)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    request.DataSet = BytesIO(bytes(100_000))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    (context,) = (one for one in association.accepted_contexts if one.abstract_syntax == CTImageStorage)
    for fragment in list(message.encode_msg(context.context_id, 16_382))[:3]:
        association.dul.send_pdu(fragment)
    time.sleep(0.5)
    connection: socket.socket = association.dul.socket.socket
    connection.shutdown(socket.SHUT_WR)
    association.abort()
    association = associate(site.port)
    assert association.send_c_store(image).Status == 0
    association.release()
    (landed,) = await site.landed(1)
    assert landed.event.batch.instances == 1
    deadline = time.monotonic() + 60
    while left := list(site.spool.rglob("*.dcm")):
        assert time.monotonic() < deadline, f"plain bytes of what was never acknowledged: {len(left)}"
        time.sleep(0.1)


async def test_a_data_set_that_says_it_is_longer_than_what_came_is_refused_and_others_stored(
    site: IngestSite, tmp_path: Path
) -> None:
    site.start()
    cut, whole = (examine(path) for path in write_files(tmp_path, map(as_file, make_instances(2, rows=256))))
    assert isinstance(cut, Outgoing) and isinstance(whole, Outgoing)
    sender = Sender("127.0.0.1", site.port, [(whole.sop_class, whole.transfer_syntax)], "PEER", "CAUSEWAY", 20)
    # Most of the pixels are there, only their end is missing; then one that ends within the patient's name.
    name = cut.path.read_bytes().index(b"\x10\0\x10\0PN") - cut.offset
    for length in (cut.length - 1000, name + 10):
        answer = sender.store(replace(cut, length=length))
        assert (answer.code, answer.comment) == (0xC000, "data-set-cut-short")
    assert sender.store(whole).code == 0
    sender.release()
    (landed,) = await site.landed(1)
    assert [each.sop_instance_uid for each in landed.manifest.instances] == [whole.sop_instance]
    await site.spool_is_empty()


async def test_an_unknown_called_title_is_rejected_for_good_where_titles_are_set(site: IngestSite) -> None:
    site.start(dicom_called_aes='["PACS"]')
    stranger = associate(site.port, called="OTHER")
    assert stranger.is_rejected
    assert (stranger.acceptor.primitive.result, stranger.acceptor.primitive.diagnostic) == (1, 7)
    assert associate(site.port, called="PACS").is_established


async def test_a_greeting_of_128_contexts_with_a_dozen_syntaxes_each_is_answered_one_by_one(site: IngestSite) -> None:
    site.start()
    entity = AE(ae_title="PEER")
    syntaxes = ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", *(f"1.3.6.1.4.1.{n}" for n in range(10)), EXPLICIT]
    for number in range(126):
        entity.add_requested_context(f"1.3.12.2.1107.5.9.{number}", syntaxes)
    entity.add_requested_context(PatientRootQueryRetrieveInformationModelFind, EXPLICIT)
    entity.add_requested_context(CTImageStorage, ["1.2.840.10008.1.2.4.50"])
    association = entity.associate("127.0.0.1", site.port)
    assert association.is_established
    assert [context.transfer_syntax[0] for context in association.accepted_contexts] == [
        *[EXPLICIT] * 126,
        "1.2.840.10008.1.2.4.50",
    ]
    assert [context.result for context in association.rejected_contexts] == [3]
    association.release()
