"""A destination that takes one native transfer syntax gets in it all that can be had so without loss, and nothing else
changes: who takes an instance as it is gets the same bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event

from contracts.events import ForwardDelivered, ForwardFailed
from services.forwarding.adapters.converting import ConvertingSender
from services.forwarding.adapters.decoders import Decoder
from services.forwarding.adapters.dicom import DicomSender
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.syntaxes import RE_ENCODING_FAILED
from tests.integration.forwarding.orthanc import Orthanc
from tests.integration.forwarding.site import File, ForwardingSite, StoreScp, expected, landed
from tests.integration.forwarding.stow import Stow, serving
from tests.integration.forwarding.test_decompression import ROOMY, bundled, chunks, convert
from tests.support.elements import BIG_ENDIAN, EXPLICIT, IMPLICIT, read, values
from tests.support.instances import as_file, make_instances
from tests.support.ports import free_ports

Make = Callable[..., StoreScp]
#: Files that come with pydicom, and where the same is in a native syntax of little endian: the oracle of their values.
ARRIVALS = {
    "CT_small.dcm": "CT_small.dcm",
    "MR_small_implicit.dcm": "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm": "MR_small.dcm",
    "MR_small_RLE.dcm": "MR_small.dcm",
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "MR_small_jp2klossless.dcm": "MR_small.dcm",
    "SC_rgb_small_odd_big_endian.dcm": "SC_rgb_small_odd.dcm",
    "test-SR.dcm": "test-SR.dcm",
}
COMPRESSED = ["MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"]
PADDING = (0xFFFCFFFC,)


def private() -> bytes:
    """A CT in Explicit VR Little Endian with private sequences, one of which has no length, and unknown values."""
    (data,) = make_instances(1, rows=64)
    block = data.private_block(0x0029, "CAUSEWAY TESTS", create=True)
    inner = Dataset()
    inner.private_block(0x0029, "CAUSEWAY TESTS", create=True).add_new(1, "FD", [1.5, -2.5])
    inner.private_block(0x0029, "CAUSEWAY TESTS").add_new(2, "SQ", [Dataset()])
    block.add_new(3, "SQ", [inner, Dataset()])
    block.add_new(4, "SQ", [inner])
    data[block.get_tag(4)].is_undefined_length = True
    block.add_new(5, "UN", bytes(range(256)))
    block.add_new(6, "OB", b"\1\2\3\4")
    data.SmallestImagePixelValue, data.PixelPaddingValue = 0, 65535
    return as_file(data)


def arrivals(folder: Path) -> tuple[list[File], list[dict[Any, Any]]]:
    """What arrives, each under a UID of its own, and the values that it has."""
    originals = [(bundled(name), bundled(other)) for name, other in ARRIVALS.items()]
    plain = private()
    packed = convert(["dcmconv", "+td"], plain, folder)
    originals += [(plain, plain), (packed + bytes(len(packed) % 2), plain)]  # of odd length dcmtk takes none
    return numbered([file for file, _ in originals]), [held(*native(other)) for _, other in originals]


def numbered(files: list[bytes]) -> list[File]:
    """As they land, each under another UID: 2.25.1, 2.25.2 …"""
    ends = [(landed(file), f"2.25.{number}") for number, file in enumerate(files, start=1)]
    return [(data, one.model_copy(update={"sop_instance_uid": uid})) for (data, one), uid in ends]


def native(file: bytes) -> tuple[bytes, str]:
    """Data set and transfer syntax of a file."""
    data, one = landed(file)
    return data[one.dataset_offset :], one.transfer_syntax


def held(data: bytes, syntax: str) -> dict[Any, Any]:
    """Each value of a data set."""
    return dict(values(read(data, syntax)))


@contextmanager
def application(
    *syntaxes: str, opened: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, dict[str, tuple[str, bytes]]]]:
    """Storage of pynetdicom's that takes these syntaxes: its port, and syntax and data set of each instance it got.

    ``opened`` is called at each association.
    """
    got: dict[str, tuple[str, bytes]] = {}

    def keep(event: Event) -> int:
        assert event.request.DataSet is not None
        uid = str(event.request.AffectedSOPInstanceUID)
        got[uid] = str(event.context.transfer_syntax), event.request.DataSet.getvalue()
        return 0

    entity = AE("AI")
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), list(syntaxes))
    (port,) = free_ports(1)
    handlers: Any = [(evt.EVT_C_STORE, keep), (evt.EVT_ACCEPTED, lambda _: opened())]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    yield port, got
    server.shutdown()


@pytest.mark.dcmtk
async def test_who_takes_implicit_vr_alone_has_everything_element_by_element(
    site: ForwardingSite, storescp: Make, tmp_path: Path
) -> None:
    """dcmtk's receiver and pynetdicom's; beside them one that takes all as it is has the same bytes."""
    old, all_of_it = storescp("old", None, "+xi"), storescp("all")
    files, wanted = arrivals(tmp_path)
    with application(IMPLICIT) as (port, got):
        site.destinations(
            old={"port": old.port, "decompress": True},
            ai={"port": port, "decompress": True},
            all={"port": all_of_it.port, "decompress": True},
        )
        async with site.running():
            await site.store(files)
            told = {one.destination: one for one in await site.until(ForwardDelivered, 3)}
            assert await site.told(ForwardFailed) == []
    assert all_of_it.data_sets() == expected(files)
    assert {name: (one.instances, one.warnings) for name, one in told.items()} == dict.fromkeys(
        ("old", "ai", "all"), (len(files), 0)
    )
    assert {syntax for syntax, _ in got.values()} == {IMPLICIT}
    assert old.data_sets() == {uid: data for uid, (_, data) in got.items()}
    for (_, one), values_of_it in zip(files, wanted, strict=True):
        arrived = held(got[one.sop_instance_uid][1], IMPLICIT)
        if one.transfer_syntax == BIG_ENDIAN:
            arrived.pop(PADDING, None), values_of_it.pop(PADDING, None)
        differing = {at for at in arrived | values_of_it if arrived.get(at) != values_of_it.get(at)}
        assert not differing, one.transfer_syntax
    assert got["2.25.2"][1] == expected(files)["2.25.2"]


async def test_who_takes_explicit_vr_too_gets_that(site: ForwardingSite) -> None:
    """It keeps more than Implicit VR: what is compressed or of big endian is sent in it. The rest stays as it came."""
    names = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm")
    files = numbered([bundled(name) for name in names])
    with application(EXPLICIT, IMPLICIT) as (both, got), application(EXPLICIT) as (explicit, kept):
        site.destinations(
            both={"port": both, "decompress": True},
            explicit={"port": explicit, "decompress": True},
        )
        async with site.running():
            await site.store(files)
            await site.until(ForwardDelivered, 2)
    assert {uid: syntax for uid, (syntax, _) in got.items()} == {
        "2.25.1": EXPLICIT,
        "2.25.2": IMPLICIT,
        "2.25.3": EXPLICIT,
        "2.25.4": EXPLICIT,
    }
    assert [got[uid][1] for uid in ("2.25.1", "2.25.2")] == list(expected(files[:2]).values())
    assert {syntax for syntax, _ in kept.values()} == {EXPLICIT}
    assert kept["2.25.1"] == got["2.25.1"]
    assert held(kept["2.25.2"][1], EXPLICIT) == held(*reversed(got["2.25.2"]))


@pytest.mark.dcmtk
async def test_what_is_compressed_needs_leave_and_what_has_two_meanings_fails(
    site: ForwardingSite, storescp: Make
) -> None:
    """Their neighbours arrive. Words of 32-bit samples are turned by some writers in twos, and by others in fours."""
    strict, old = storescp("strict", None, "+xi"), storescp("old", None, "+xi")
    site.destinations(strict={"port": strict.port}, old={"port": old.port, "decompress": True})
    names = ["CT_small.dcm", "rtdose_expb_1frame.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "test-SR.dcm"]
    files = [landed(bundled(name)) for name in names]
    uids = [one.sop_instance_uid for _, one in files]
    async with site.running():
        await site.store(files)
        failed = {one.destination: one.undelivered for one in await site.until(ForwardFailed, 2)}
        told = {one.destination: one for one in await site.until(ForwardDelivered, 2)}
        listed = await site.ask("/old/failures")
    assert {one.sop_instance_uid: one.reason for one in failed["strict"]} == {
        uids[1]: RE_ENCODING_FAILED,
        uids[2]: "transfer-syntax-refused",
        uids[3]: "transfer-syntax-refused",
    }
    assert {one.sop_instance_uid: one.reason for one in failed["old"]} == {
        uids[1]: RE_ENCODING_FAILED,
        uids[3]: "lossy-not-decompressed",
    }
    assert {one["reason"] for one in listed["failures"]} == {RE_ENCODING_FAILED, "lossy-not-decompressed"}
    assert (told["strict"].instances, told["old"].instances) == (2, 3)
    assert strict.data_sets().keys() == {uids[0], uids[4]}


async def test_a_stow_service_that_says_415_gets_explicit_vr(site: ForwardingSite) -> None:
    """Without leave to decompress; Implicit VR is none of web services (PS3.18 section 8.7.3)."""
    (port,) = free_ports(1)
    site.destinations(vna={"kind": "stow", "url": f"http://127.0.0.1:{port}/dicom-web", "timeout": 5})
    files = [landed(bundled(name)) for name in ("MR_small_implicit.dcm", "CT_small.dcm")]
    stow = Stow()
    stow.answers = [(415, {}), (200, {}), (415, {})]
    async with site.running(), serving(stow, port):
        await site.store(files)
        (failed,) = await site.until(ForwardFailed, 1)
    (part,) = stow.parts
    assert native(part)[1] == EXPLICIT
    assert held(*native(part)) == held(*native(files[0][0]))
    assert [(told.sop_instance_uid, told.reason) for told in failed.undelivered] == [
        (files[1][1].sop_instance_uid, "http-415")
    ]


async def test_orthanc_has_the_same_bytes(site: ForwardingSite, orthanc: Orthanc) -> None:
    """It takes everything as it is, and is sent nothing else."""
    site.destinations(old={"port": orthanc.port, "timeout": 20, "decompress": True})
    files = [landed(bundled(name)) for name in ("CT_small.dcm", "MR_small_bigendian.dcm", "SC_rgb_rle_2frame.dcm")]
    async with site.running():
        await site.store(files)
        (told,) = await site.until(ForwardDelivered, 1)
    kept = [native(file)[0] for file in (await orthanc.files()).values()]
    assert sorted(kept) == sorted(expected(files).values())
    assert told.instances == len(files)


async def test_what_is_refused_beside_what_is_sent_costs_no_association() -> None:
    """Of a destination that takes no Implicit VR; what was refused to an instance of that syntax is asked for again."""
    counted: list[None] = []
    explicit, implicit = numbered([bundled("CT_small.dcm"), bundled("MR_small_implicit.dcm")])
    with application(EXPLICIT, opened=lambda: counted.append(None)) as (port, got):
        destination = Destination(name="ai", kind="dicom", host="127.0.0.1", port=port)
        sender = ConvertingSender(DicomSender(destination, idle=60), Decoder(ROOMY), destination)
        associations = []
        for data, one in (explicit, explicit, implicit, implicit):
            await sender.prepare([one])
            assert (await sender.store(one, lambda start, data=data: chunks(data[start:]))).is_delivered
            associations.append(len(counted))
        await sender.close()
    assert associations == [1, 1, 2, 3]
    assert got.keys() == {"2.25.1", "2.25.2"}
