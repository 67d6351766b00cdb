"""Associations at the edges of what the standard allows: what landed of them, and what was told."""

import asyncio
import copy
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from contracts.events import AssociationEnded
from contracts.formats.manifest import Instance
from tests.integration.dicom_ingest.peers import connected
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite, Landed, dcmtk, write_files
from tests.integration.dicom_ingest.wire import (
    CT,
    EXPLICIT,
    associated,
    context_of,
    encoded,
    greeting,
    request,
    store,
    stores,
    unit,
    units,
)
from tests.support.instances import as_file, make_instances
from tests.support.ports import free_ports
from tests.unit.dicom_ingest.data_sets import encode

pytestmark = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

IMPLICIT, BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def instances(landed: list[Landed]) -> list[tuple[Landed, Instance]]:
    """Every landed instance with its batch."""
    return [(batch, each) for batch in landed for each in batch.manifest.instances]


async def farewells(site: IngestSite, count: int) -> list[AssociationEnded]:
    """The ends of so many associations that brought something."""
    deadline = time.monotonic() + 60
    while len(found := await site.events(AssociationEnded)) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    return found


async def test_a_window_of_operations_is_answered_one_and_one_and_who_does_not_wait_is_answered_in_order(
    site: IngestSite,
) -> None:
    site.start()
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 8, 4
    association = associated(site.port, ext_neg=[window])
    told = association.acceptor.primitive.user_information
    (answer,) = (item for item in told if isinstance(item, AsynchronousOperationsWindowNegotiation))
    assert (answer.maximum_number_operations_invoked, answer.maximum_number_operations_performed) == (1, 1)
    images = make_instances(4, rows=64)
    context_id = context_of(association, CT)
    asked = [
        (request(CT, image.SOPInstanceUID, encode(image, EXPLICIT), number), context_id)
        for number, image in enumerate(images, start=1)
    ]
    assert stores(association, *asked) == [(number, 0) for number in range(1, 5)]
    association.release()
    landed = instances(await site.landed(4))
    assert [(each.sop_instance_uid, batch.dataset(each)) for batch, each in landed] == [
        (image.SOPInstanceUID, encode(image, EXPLICIT)) for image in images
    ]


async def test_without_a_window_in_the_greeting_there_is_none_in_the_answer(site: IngestSite) -> None:
    site.start()
    association = associated(site.port)
    told = association.acceptor.primitive.user_information
    assert not [item for item in told if isinstance(item, AsynchronousOperationsWindowNegotiation)]
    association.release()


async def test_many_contexts_of_one_class_take_each_its_syntax(site: IngestSite) -> None:
    site.start()
    syntaxes = [EXPLICIT, IMPLICIT, BIG, IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.4.90"]
    association = associated(site.port, *((CT, syntax) for syntax in syntaxes * 20))
    assert [each.transfer_syntax[0] for each in association.accepted_contexts] == syntaxes * 20
    sent = {}
    for image, syntax in zip(make_instances(3), (BIG, IMPLICIT, EXPLICIT), strict=True):
        sent[image.SOPInstanceUID] = (syntax, encode(image, syntax))
        # The last context of the class in this syntax, after a hundred others.
        last = [each for each in association.accepted_contexts if each.transfer_syntax[0] == syntax][-1]
        asked = request(CT, image.SOPInstanceUID, sent[image.SOPInstanceUID][1])
        assert stores(association, (asked, last.context_id)) == [(1, 0)]
    association.release()
    landed = instances(await site.landed(3))
    assert {each.sop_instance_uid: (each.transfer_syntax, batch.dataset(each)) for batch, each in landed} == sent


@pytest.mark.dcmtk
async def test_what_dcmtk_sends_in_each_uncompressed_syntax_lands_in_it(site: IngestSite, tmp_path: Path) -> None:
    site.start()
    (source,) = write_files(tmp_path, [as_file(make_instances(1, rows=64)[0])])
    wanted = {"+te": EXPLICIT, "+ti": IMPLICIT, "+tb": BIG, "+td": DEFLATED}
    files = []
    for option, syntax in wanted.items():
        files.append(tmp_path / f"{option[1:]}.dcm")
        assert dcmtk("dcmconv", option, source, files[-1])[0] == 0
        assert dcmread(files[-1]).file_meta.TransferSyntaxUID == syntax
    for option, file in zip(("-xe", "-xi", "-xb", "-xd"), files, strict=True):
        assert dcmtk("storescu", option, "127.0.0.1", str(site.port), file)[0] == 0
    landed = instances(await site.landed(4))
    assert Counter(each.transfer_syntax for _, each in landed) == Counter(wanted.values())
    pixels = [
        batch.dataset(each)[each.pixel_offset :][: each.pixel_length]
        for batch, each in landed
        if each.pixel_offset is not None and each.transfer_syntax != BIG
    ]
    assert pixels == [dcmread(source).PixelData] * 2
    lines = [
        line.header for batch, _ in {id(batch): (batch, 0) for batch, _ in landed}.values() for line in batch.headers
    ]
    assert [line["0020000D"] for line in lines if line] == [lines[0]["0020000D"]] * 4


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("option", "syntax", "tool"),
    [("-xs", "1.2.840.10008.1.2.4.70", "dcmcjpeg"), ("-xr", "1.2.840.10008.1.2.5", "dcmcrle")],
)
async def test_what_dcmtk_has_compressed_lands_with_each_of_its_frames(
    site: IngestSite, tmp_path: Path, option: str, syntax: str, tool: str
) -> None:
    site.start()
    source, packed = Path(str(get_testdata_file("CT_small.dcm"))), tmp_path / "packed.dcm"
    assert dcmtk(tool, source, packed)[0] == 0
    assert dcmtk("storescu", option, "127.0.0.1", str(site.port), packed)[0] == 0
    ((batch, each),) = instances(await site.landed(1))
    assert (each.transfer_syntax, each.flags) == (syntax, ())
    assert each.pixels is not None
    ((offset, length),) = each.pixels.fragments
    assert batch.dataset(each)[offset : offset + length] in dcmread(packed).PixelData
    assert sha256(batch.dataset(each)).hexdigest() == each.dataset_sha256


@pytest.mark.parametrize("how", ["aborted", "lost"])
async def test_an_association_that_breaks_off_keeps_what_was_acknowledged_and_nothing_else(
    site: IngestSite, how: str
) -> None:
    site.start()
    images = make_instances(3, rows=256)
    association = associated(site.port)
    assert [association.send_c_store(image).Status for image in images[:2]] == [0, 0]
    half = request(CT, images[2].SOPInstanceUID, encode(images[2], EXPLICIT))
    for fragment in list(units(half, context_of(association, CT)))[:-1]:
        association.dul.send_pdu(fragment)
    time.sleep(0.5)
    if how == "aborted":
        association.abort()
    else:
        association.dul.socket.socket.close()
    (ended,) = await farewells(site, 1)
    assert (ended.how, ended.stored, ended.refused) == (how, 2, 0)
    landed = instances(await site.landed(2))
    assert [(each.sop_instance_uid, batch.dataset(each)) for batch, each in landed] == [
        (image.SOPInstanceUID, encode(image, EXPLICIT)) for image in images[:2]
    ]
    await site.spool_is_empty()
    assert not [*site.spool.rglob("*.dcm")]
    assert sum(batch.event.batch.instances for batch in await site.landed(2)) == 2


@contextmanager
def another(site: IngestSite) -> Iterator[IngestSite]:
    """A second process of the service beside the first, with the same spool, at a port of its own."""
    other = copy.copy(site)
    other.port, other.http_port = free_ports(2)
    other.start()
    try:
        yield other
    finally:
        assert other.process is not None
        other.process.kill()


async def test_a_study_over_many_associations_and_two_processes_at_once_is_one_study(site: IngestSite) -> None:
    site.start()
    images = make_instances(48, rows=64)
    statuses: list[int] = []

    def send(port: int, some: list) -> None:
        association = associated(port)
        statuses.extend(association.send_c_store(image).Status for image in some)
        association.release()

    with another(site) as other:
        ports = [site.port, other.port]
        threads = [threading.Thread(target=send, args=(ports[n % 2], images[n::8])) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert statuses == [0] * 48
        landed = await site.landed(48)
        await site.spool_is_empty()
        ended = await farewells(site, 8)
    found = Counter((each.sop_instance_uid, batch.dataset(each)) for batch, each in instances(landed))
    assert found == Counter((image.SOPInstanceUID, encode(image, EXPLICIT)) for image in images)
    assert {batch.event.study_uid for batch in landed} == {images[0].StudyInstanceUID}
    assert len({batch.manifest.study_ref for batch in landed}) == 1
    assert len({batch.event.batch.batch_id for batch in landed}) == len(landed) >= 2
    assert sum(each.stored for each in ended) == 48
    named = {batch for each in ended for batch in each.batches}
    assert named == {batch.event.batch.batch_id for batch in landed}


async def test_duplicates_and_another_version_within_one_association_are_all_acknowledged_and_told_apart(
    site: IngestSite,
) -> None:
    site.start()
    one, two = make_instances(2)
    first, second = encode(one, EXPLICIT), encode(two, EXPLICIT)
    one.PatientComments = "corrected"
    version = encode(one, EXPLICIT)
    association = associated(site.port)
    order = [(one, first), (two, second), (one, first), (one, version), (one, first)]
    assert [store(association, image.SOPInstanceUID, data) for image, data in order] == [0] * 5
    association.release()
    landed = instances(await site.landed(5))
    assert [(each.sop_instance_uid, batch.dataset(each)) for batch, each in landed] == [
        (image.SOPInstanceUID, data) for image, data in order
    ]
    assert Counter(each.identity for _, each in landed) == {
        (one.SOPInstanceUID, sha256(first).hexdigest(), EXPLICIT): 3,
        (one.SOPInstanceUID, sha256(version).hexdigest(), EXPLICIT): 1,
        (two.SOPInstanceUID, sha256(second).hexdigest(), EXPLICIT): 1,
    }


async def test_two_senders_of_one_study_share_no_batch(site: IngestSite) -> None:
    """Policy decides by who sends."""
    site.start()
    images = make_instances(6)
    senders = {name: associated(site.port, ae_title=name) for name in ("CT1", "WORKSTATION")}
    for number, image in enumerate(images):
        assert senders[("CT1", "WORKSTATION")[number % 2]].send_c_store(image).Status == 0
    assert senders["WORKSTATION"].send_c_store(images[0]).Status == 0, "the other's, once more"
    for association in senders.values():
        association.release()
    landed = await site.landed(7)
    by_source = Counter()
    for batch in landed:
        assert batch.manifest.source is not None
        by_source.update((batch.manifest.source.calling_ae, each.sop_instance_uid) for each in batch.manifest.instances)
    uids = [image.SOPInstanceUID for image in images]
    assert by_source == Counter(
        [("CT1", uid) for uid in uids[::2]] + [("WORKSTATION", uid) for uid in (*uids[1::2], uids[0])]
    )
    assert {batch.event.study_uid for batch in landed} == {images[0].StudyInstanceUID}


@pytest.mark.parametrize(
    ("called", "calling", "known_as"),
    [
        (b"CAUSEWAY", b"CT1", "CT1"),
        (b"  CAUSEWAY", b" CT1 ", "CT1"),
        (b"CAUSEWAY\0\0\0\0\0\0\0\0", b"CT1\0\0\0\0\0\0\0\0\0\0\0\0\0", "CT1"),
        (b"CAUSEWAY", b"CT\xc4 \\1\x07", "CT? ?1?"),
        (b"CAUSEWAY", b"ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
    ],
)
async def test_titles_are_read_as_senders_pad_and_misspell_them_and_sent_back_as_they_came(
    site: IngestSite, called: bytes, calling: bytes, known_as: str
) -> None:
    site.start(dicom_called_aes='["CAUSEWAY"]')
    (image,) = make_instances(1)
    data = encode(image, EXPLICIT)
    with connected(site.port) as connection:
        connection.sendall(greeting(called, calling))
        kind, body = unit(connection)
        assert (kind, body[4:36]) == (2, called.ljust(16) + calling.ljust(16))
        for fragment in units(request(CT, image.SOPInstanceUID, data), 1):
            connection.sendall(encoded(fragment))
        assert unit(connection)[0] == 4
        connection.sendall(bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
        assert unit(connection)[0] == 6
    ((batch, each),) = instances(await site.landed(1))
    assert batch.dataset(each) == data
    assert batch.manifest.source is not None
    assert (batch.manifest.source.calling_ae, batch.manifest.source.called_ae) == (known_as, "CAUSEWAY")


@pytest.mark.parametrize(("called", "calling", "reason"), [(b"", b"CT1", 7), (b"CAUSEWAY", b"\0", 3)])
async def test_who_has_no_title_or_asks_for_none_is_rejected(
    site: IngestSite, called: bytes, calling: bytes, reason: int
) -> None:
    site.start()
    with connected(site.port) as connection:
        connection.sendall(greeting(called, calling))
        assert unit(connection) == (3, bytes((0, 1, 1, reason)))


async def test_instances_of_unknown_and_private_classes_land_like_any_other(site: IngestSite) -> None:
    site.start()
    classes = ["1.3.12.2.1107.5.9.1", "1.2.840.10008.5.1.4.1.1.99999.1", "2.25." + "9" * 39]
    association = associated(site.port, *((sop_class, EXPLICIT) for sop_class in classes))
    sent = {}
    for sop_class, image in zip(classes, make_instances(3), strict=True):
        image.SOPClassUID = sop_class
        sent[generate_uid()] = sop_class, encode(image, EXPLICIT)
    for uid, (sop_class, data) in sent.items():
        assert store(association, uid, data, sop_class) == 0
    association.release()
    landed = instances(await site.landed(3))
    assert {each.sop_instance_uid: (each.sop_class_uid, batch.dataset(each)) for batch, each in landed} == sent
    assert {each.flags for _, each in landed} == {("other-uid",)}
