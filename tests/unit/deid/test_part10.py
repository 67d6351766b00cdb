"""A Part 10 file in, one out."""

import dataclasses
import hashlib
import json
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from contracts.formats.manifest import NativeFrames
from services.deid.domain.dataset import EXPLICIT_LITTLE, Element, encode
from services.deid.domain.file_meta import file_meta
from services.deid.domain.part10 import clean_file
from services.deid.domain.pseudonyms import MappedKey
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import RetryLater
from tests.support.instances import CANARY, as_file, make_instances
from tests.unit.deid.originals import clean, describe, project, trusting

SHIPPED = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEG-lossy.dcm",
    "rtplan.dcm",
    "rtdose.dcm",
    "liver_1frame.dcm",
]


def shipped(name: str) -> bytes:
    """A file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    if not path:
        pytest.skip("pydicom does not ship this file")
    return Path(path).read_bytes()


@pytest.mark.parametrize("name", SHIPPED)
def test_pixels_pass_through_and_the_manifest_tells_the_truth(name: str) -> None:
    """Same transfer syntax, same pixel bytes; what is said of the new file is what pydicom finds in it."""
    source = shipped(name)
    out, file = clean(source, trusting())
    before, after = dcmread(BytesIO(source)), dcmread(BytesIO(file))
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.get("PixelData") == before.get("PixelData")
    found = describe(file).model_dump(exclude={"routing", "pixels", "pixel_blake3", "flags"})
    assert out.instance.model_dump(include=set(found)) == found


def test_nothing_of_the_envelope_survives() -> None:
    """Preamble, file meta, what follows the pixels."""
    (slice_,) = make_instances(1)
    slice_.preamble = b"Kilmister".ljust(128, b"\0")
    slice_.file_meta.SourceApplicationEntityTitle = "LEMMY"
    slice_.file_meta.PrivateInformationCreatorUID = "1.2.3"
    slice_.file_meta.PrivateInformation = b"Hawkwind"
    slice_.add_new(0xFFFCFFFC, "OB", b"Motorhead1")
    _, file = clean(as_file(slice_))
    assert file[:128] == bytes(128)
    for trace in (b"Kilmister", b"LEMMY", b"Hawkwind", b"Motorhead"):
        assert trace not in file
    assert dcmread(BytesIO(file)).PixelData == slice_.PixelData


def test_no_planted_identifier_is_in_the_output() -> None:
    """Header, manifest line and JSON header alike."""
    (slice_,) = make_instances(1, canary=CANARY, SeriesDescription=f"for {CANARY.name}", SequenceName=CANARY.patient_id)
    out, file = clean(as_file(slice_))
    shown = file + out.instance.model_dump_json().encode() + out.line
    assert [value for value in CANARY.values if value.encode() in shown] == []


def test_the_manifest_shares_no_digest_with_the_source() -> None:
    """Pixels are the same bytes, so their digest stays out of it."""
    source = as_file(make_instances(1)[0])
    before = describe(source)
    after = clean(source)[0].instance
    digests = (before.meta_sha256, before.dataset_sha256, before.header_sha256, str(before.pixel_blake3))
    assert [digest for digest in digests if digest in after.model_dump_json()] == []
    assert after.pixel_blake3 is None


def test_the_same_key_and_input_give_the_same_bytes() -> None:
    """On every run."""
    source = as_file(make_instances(1)[0])
    assert clean(source)[1] == clean(source)[1] != clean(source, project(b"q" * 32))[1]


def test_the_frame_index_moves_with_the_pixels() -> None:
    """One frame stays one range read."""
    source = as_file(make_instances(1)[0])
    out, file = clean(source)
    frames = out.instance.pixels
    assert isinstance(frames, NativeFrames)
    start = out.instance.dataset_offset + frames.offset
    assert file[start : start + frames.size] == dcmread(BytesIO(source)).PixelData


def test_a_deflated_object_is_deflated_again() -> None:
    """And its digests cover the stored bytes."""
    (slice_,) = make_instances(1)
    slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    out, file = clean(as_file(slice_))
    told = out.instance
    data = file[told.dataset_offset :]
    assert hashlib.sha256(data).hexdigest() == told.dataset_sha256 == told.header_sha256
    assert told.header_length == len(data)
    assert told.crc32 == zlib.crc32(file)
    assert dcmread(BytesIO(file)).PixelData == slice_.PixelData


@pytest.mark.parametrize(("frames", "rendered"), [(100, True), (6_000, False)])
def test_a_header_whose_json_would_be_too_long_has_none(frames: int, rendered: bool) -> None:
    """It is not rendered first to be thrown away then: that takes many times its size."""
    frame = (Element(0x00189220, "FD", bytes(8)), Element(0x00209057, "UL", bytes(4)))
    header = (
        Element(0x00080016, "UI", CTImageStorage.encode()),
        Element(0x00080018, "UI", b"1.2.3"),
        Element(0x52009230, "SQ", items=(frame,) * frames),
    )
    out, _ = clean(file_meta(CTImageStorage, "1.2.3", ExplicitVRLittleEndian) + encode(header, EXPLICIT_LITTLE))
    if rendered:
        assert json.loads(out.line)["header"]["00080016"]["Value"] == [CTImageStorage]
    else:
        assert out.line == b'{"entry":"000000.dcm","header":null,"reason":"header-too-large"}\n'


class _Away:
    """A map of people that cannot be asked now."""

    def pseudonym(self, person: str, proposal: object) -> str:
        raise RetryLater("database")

    def uids(self, tokens: object) -> dict[str, str]:
        raise RetryLater("database")


def test_a_map_that_is_away_withholds_nothing() -> None:
    """It is a reason to wait, not one of the instance's."""
    using = dataclasses.replace(project(), key=MappedKey(b"p" * 32, _Away()))
    with pytest.raises(RetryLater, match="database"):
        clean(as_file(make_instances(1)[0]), using)


@pytest.mark.parametrize("named", ["", None])
def test_an_object_that_only_its_file_meta_names_is_withheld(named: str | None) -> None:
    """It would go out without a SOP Instance UID, and so would any other."""
    (slice_,) = make_instances(1)
    original = describe(as_file(slice_))
    if named is None:
        del slice_.SOPInstanceUID
    else:
        slice_.SOPInstanceUID = named
    file = as_file(slice_)
    shorter = original.length - len(file)
    moved = ("length", "header_length", "pixel_offset")
    original = original.model_copy(update={name: getattr(original, name) - shorter for name in moved})
    with pytest.raises(Withheld) as refused:
        clean_file(BytesIO(file), original, trusting(), BytesIO())
    assert refused.value.code is Reason.UNREADABLE_HEADER
