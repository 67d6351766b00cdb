"""Text inside compressed frames is cut out; the pixels stay what they were, and every table tells where they lie."""

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames, get_frame, parse_basic_offsets
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.codestream import clean_frame, cleaner_of
from services.deid.domain.withholding import Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, describe, trusting

SECRET = b"Kilmister^Ian MRN8472655"
#: What the decoders of the tests can read.
DECODED = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 57, 70, 80, 81, 90, 91, 201, 203)} | {RLELossless}
#: Implicit VR where the transfer syntax says explicit: unreadable, and so withheld.
MISLABELLED = {"SC_rgb_jpeg.dcm"}


def frame_of(name: str) -> bytes:
    """The first frame of a file that pydicom ships."""
    path = get_testdata_file(name, download=False)
    if not path:
        pytest.skip("pydicom does not ship this file")
    return get_frame(dcmread(path).PixelData, 0, number_of_frames=1)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """A baseline frame without any text."""
    return clean_frame(frame_of("SC_rgb_jpeg_dcmtk.dcm"))


@pytest.fixture(scope="module")
def jpeg_ls() -> bytes:
    return clean_frame(frame_of("MR_small_jpeg_ls_lossless.dcm"))


@pytest.fixture(scope="module")
def jpeg_2000() -> bytes:
    return clean_frame(frame_of("MR_small_jp2klossless.dcm"))


def segment(marker: int, value: bytes) -> bytes:
    """A marker segment of any of the code streams."""
    return struct.pack(">HH", marker, len(value) + 2) + value


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"]
)
def test_code_streams_of_common_encoders_stay_as_they_are(name: str) -> None:
    """What an encoder says of itself is known."""
    frame = frame_of(name)
    assert clean_frame(frame) is frame


@pytest.mark.parametrize(
    "hidden",
    [
        segment(0xFFFE, SECRET),
        segment(0xFFE1, b"Exif\0\0" + SECRET),
        segment(0xFFE2, b"ICC_PROFILE\0\1\1" + SECRET),
        segment(0xFFEB, b"JP" + SECRET),
        segment(0xFFED, b"Photoshop 3.0\0" + SECRET),
        segment(0xFFE0, b"JFXX\0\x10" + SECRET),
        segment(0xFFEE, SECRET),
        b"\xff\xff" + segment(0xFFFE, SECRET),
    ],
    ids=["comment", "exif", "icc", "app11", "photoshop", "jfxx", "app14", "fill bytes"],
)
def test_text_before_a_jpeg_scan(jpeg: bytes, jpeg_ls: bytes, hidden: bytes) -> None:
    """Comments and application segments of either standard."""
    for frame in (jpeg, jpeg_ls):
        cleaned = clean_frame(frame[:2] + hidden + frame[2:])
        assert SECRET not in cleaned
        assert cleaned.replace(b"\xff\xff", b"\xff").endswith(frame[2:].replace(b"\xff\xff", b"\xff"))


@given(
    st.lists(st.tuples(st.sampled_from([0xFFFE, *range(0xFFE0, 0xFFF0)]), st.binary(max_size=40)), max_size=6),
    st.integers(0, 5),
)
def test_segments_of_any_bytes_go_wherever_they_stand(planted: list[tuple[int, bytes]], where: int) -> None:
    """Before any segment that is needed; the needed ones stay as they are."""
    frame = clean_frame(frame_of("SC_rgb_jpeg_dcmtk.dcm"))
    places = [at for at in range(2, frame.index(b"\xff\xda")) if at in _starts(frame)]
    at = places[where % len(places)]
    hidden = b"".join(segment(marker, value + SECRET) for marker, value in planted)
    assert clean_frame(frame[:at] + hidden + frame[at:]) == frame


def _starts(frame: bytes) -> set[int]:
    """Where the segments before the scan begin."""
    at, found = 2, set()
    while frame[at + 1] != 0xDA:
        found.add(at)
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
    return found


def test_a_thumbnail_goes_and_the_colours_stay(jpeg: bytes) -> None:
    """JFIF and Adobe segments decide how the colours are read (T.871; PS3.5 section 8.2.1)."""
    jfif = segment(0xFFE0, b"JFIF\0\1\2\0\0\1\0\1\2\4" + SECRET)
    adobe = segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET)
    cleaned = clean_frame(jpeg[:2] + jfif + adobe + jpeg[2:])
    assert cleaned.startswith(
        jpeg[:2] + segment(0xFFE0, b"JFIF\0\1\2\0\0\1\0\1\0\0") + segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\1")
    )
    assert SECRET not in cleaned


def test_text_behind_a_jpeg_scan(jpeg: bytes) -> None:
    """Between the scans of a progressive image, and after its end."""
    end = jpeg.rindex(b"\xff\xd9")
    cleaned = clean_frame(jpeg[:end] + segment(0xFFFE, SECRET) + jpeg[end : end + 2] + SECRET)
    assert cleaned == jpeg[: end + 2]


def test_text_in_the_headers_of_a_jpeg_2000_image(jpeg_2000: bytes) -> None:
    """A comment of the main header, and one of a tile-part, which is shorter then."""
    at = jpeg_2000.index(b"\xff\x90")
    (length,) = struct.unpack_from(">I", jpeg_2000, at + 6)
    comment = segment(0xFF64, b"\0\1" + SECRET)
    longer = jpeg_2000[at : at + 6] + struct.pack(">I", length + len(comment)) + jpeg_2000[at + 10 : at + 12]
    lengths = segment(0xFF55, b"\0\x40" + struct.pack(">I", length + len(comment)))
    planted = jpeg_2000[:at] + comment + lengths + longer + comment + jpeg_2000[at + 12 :]
    unpadded = jpeg_2000.rstrip(b"\0")
    told = segment(0xFF55, b"\0\x40" + struct.pack(">I", length))
    assert clean_frame(planted).rstrip(b"\0") == unpadded[:at] + told + unpadded[at:]


def test_a_jp2_file_is_reduced_to_its_code_stream(jpeg_2000: bytes) -> None:
    """Boxes hold XML, UUIDs and profiles; DICOM wants the code stream alone (PS3.5 section A.4.4)."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", len(content) + 8, kind) + content

    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    header = box(b"jp2h", box(b"ihdr", bytes(14)) + box(b"colr", b"\1\0\0\0\0\0\x10"))
    file = start + header + box(b"xml ", SECRET) + box(b"jp2c", jpeg_2000) + box(b"uuid", SECRET)
    assert clean_frame(file) == jpeg_2000
    with pytest.raises(Withheld, match="code-stream-text"):
        clean_frame(start + box(b"jp2h", box(b"pclr", bytes(8))) + box(b"jp2c", jpeg_2000))


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xd8\xff\xfe\x00\x40Kilmi..",
        b"\xff\xd8\xff\xdb",
        b"\xff\xd8\xff\x02\x00\x04ab\xff\xd9",
        b"\xff\xd8Kilmister",
        b"\xff\x4f\xff\x51\x00\x04\0\0\xff\x64\x00\x09\0\1Kil",
        b"\xff\x4f\xff\x51\x00\x04\0\0\xff\x01\x00\x04ab\xff\x90",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"Kilmister",
    ],
)
def test_what_cannot_be_followed_to_its_end_is_withheld(frame: bytes) -> None:
    """Cut short, unknown markers, no code stream at all."""
    with pytest.raises(Withheld, match="code-stream-text"):
        clean_frame(frame)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.4.100"])
def test_what_nothing_here_reads_is_withheld_as_that(syntax: str) -> None:
    """JPEG XL, Deflated Image Frame, MPEG-2."""
    with pytest.raises(Withheld, match="unknown-compression"):
        cleaner_of(syntax, None)


def multi_frame(syntax: str, pixels: bytes, count: int) -> Dataset:
    """A CT object with frames; the header is not what the code streams say, which nobody here reads."""
    (slice_,) = make_instances(1)
    slice_.file_meta.TransferSyntaxUID = syntax
    slice_.NumberOfFrames, slice_.PixelData = count, pixels
    slice_["PixelData"].VR = "OB"
    slice_["PixelData"].is_undefined_length = True
    return slice_


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("has_table", [True, False])
def test_offset_tables_and_fragments_follow(jpeg: bytes, fragments: int, has_table: bool) -> None:
    """A frame may lie in several fragments; its text then, too; a frame without text keeps its fragments."""
    planted = jpeg[:2] + segment(0xFFFE, SECRET * 20) + jpeg[2:]
    frames = [planted, jpeg, planted]
    pixels = encapsulate(frames, fragments_per_frame=fragments, has_bot=has_table)
    cleaned, out = clean(as_file(multi_frame(JPEGBaseline8Bit, pixels, 3)), trusting())
    assert SECRET not in out
    read = dcmread(BytesIO(out))
    assert [frame.rstrip(b"\0") for frame in generate_frames(read.PixelData, number_of_frames=3)] == [
        jpeg.rstrip(b"\0")
    ] * 3
    offsets = parse_basic_offsets(read.PixelData)
    assert [read.PixelData[8 + 4 * len(offsets) + at :][:4] for at in offsets] == [b"\xfe\xff\x00\xe0"] * len(offsets)
    assert len(offsets) == (3 if has_table else 0)
    told = cleaned.instance
    assert told.pixel_offset is not None and told.pixel_length is not None
    assert told.dataset_offset + told.pixel_offset + told.pixel_length == len(out)
    assert describe(out).dataset_sha256 == told.dataset_sha256


def test_the_extended_offset_table_follows(jpeg: bytes) -> None:
    """It stands in the header, before the frames (PS3.3 section C.7.6.3.1.8)."""
    planted = jpeg[:2] + segment(0xFFFE, SECRET) + jpeg[2:]
    pixels, offsets, lengths = encapsulate_extended([planted, jpeg, planted])
    slice_ = multi_frame(JPEGBaseline8Bit, pixels, 3)
    slice_.ExtendedOffsetTable, slice_.ExtendedOffsetTableLengths = offsets, lengths
    read = dcmread(BytesIO(clean(as_file(slice_), trusting())[1]))
    table = (read.ExtendedOffsetTable, read.ExtendedOffsetTableLengths)
    frames = list(generate_frames(read.PixelData, number_of_frames=3, extended_offsets=table))
    assert [frame.rstrip(b"\0") for frame in frames] == [jpeg.rstrip(b"\0")] * 3


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless])
def test_fragments_that_begin_with_no_frame_are_withheld(syntax: str) -> None:
    """Nobody knows whose bytes they are."""
    file = as_file(multi_frame(syntax, encapsulate([SECRET, SECRET]), 2))
    with pytest.raises(Withheld, match="code-stream-text"):
        clean(file, trusting())


def test_planted_and_real_frames_decode_to_the_same_pixels(corpus: Path, pictures: ProcessPictures) -> None:
    """Whatever is cut out of them."""
    changed, project = 0, replace(trusting(), pictures=pictures)
    for path in sorted([*corpus.glob("deid/planted/pixels/*.dcm"), *corpus.glob("dicom/pydicom_*/**/*.dcm")]):
        source = dcmread(path, force=True)
        syntax = getattr(getattr(source, "file_meta", None), "TransferSyntaxUID", None)
        if syntax not in DECODED or not {"PixelData", "SOPInstanceUID"} <= set(source.dir()):
            continue
        if path.name in MISLABELLED:
            continue
        cleaned = dcmread(BytesIO(clean(path.read_bytes(), project)[1]))
        if cleaned.PixelData != source.PixelData:
            changed += 1
            assert np.array_equal(cleaned.pixel_array, source.pixel_array), path.name
    assert changed >= 9
