"""What is read from a data set, with pydicom as the oracle."""

import struct
import zlib
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.encaps import encapsulate, generate_fragments

from contracts.formats.manifest import Fragments, NativeFrames
from services.dicom_ingest.domain.header import read_header
from services.dicom_ingest.domain.json_model import Memory
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import Sample, element, encode, read, shipped_samples, without_bulk

EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG_2000 = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.90",
)
SAMPLES = shipped_samples()
#: Where pydicom repairs or leaves out what we tell as it was sent; looked at one by one.
OWN_READING = {"bad_sequence.dcm", "badVR.dcm", "rtdose.dcm", "rtdose_1frame.dcm"}


def pydicom_header(dataset: pydicom.Dataset) -> dict[str, Any]:
    return without_bulk(
        dataset.to_json_dict(
            bulk_data_threshold=16 * 1024, bulk_data_element_handler=lambda _: "", suppress_invalid_tags=True
        )
    )


def test_the_shipped_files_are_worth_reading() -> None:
    assert len(SAMPLES) > 50
    assert len({sample.transfer_syntax for sample in SAMPLES}) >= 8


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_headers_are_those_that_pydicom_reads(sample: Sample) -> None:
    reading = sample.reading()
    assert reading.header is not None
    expected = pydicom_header(sample.dataset)
    found = without_bulk(reading.header)
    for tag, told in expected.items():
        # What nobody but a private dictionary knows is told as UN, as it was sent; very long texts are left out.
        if found[tag]["vr"] not in ("UN", "UT") and sample.path.name not in OWN_READING and tag[4:] != "0000":
            assert found[tag] == told, tag


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_the_header_ends_where_the_pixels_begin(sample: Sample) -> None:
    reading, dataset = sample.reading(), pydicom.dcmread(sample.path)
    if "PixelData" not in dataset or reading.flags or sample.transfer_syntax == DEFLATED:
        return
    pixels = sample.data[reading.pixel_offset :][: reading.pixel_length]
    assert sample.data[reading.header_length :][:4] in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
    if isinstance(reading.pixels, Fragments):
        ours = [sample.data[offset : offset + length] for offset, length in reading.pixels.fragments]
        assert ours == list(generate_fragments(dataset.PixelData))[1:]
    else:
        assert pixels == dataset.PixelData


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_native_frames_are_indexed_in_every_uncompressed_syntax(syntax: str) -> None:
    (image,) = make_instances(1, rows=8)
    image.NumberOfFrames = 3
    image.PixelData = bytes(range(128)) * 3
    data = encode(image, syntax)
    reading = read(data, syntax)
    assert reading.pixels == NativeFrames(offset=reading.pixel_offset, size=128, count=3)
    assert data[reading.pixel_offset :] == image.PixelData


def test_frames_that_the_attributes_do_not_explain_are_not_indexed() -> None:
    (image,) = make_instances(1, rows=8)
    image.Rows = 9
    reading = read(encode(image, EXPLICIT), EXPLICIT)
    assert (reading.pixels, reading.flags) == (None, ("pixel-length",))


@pytest.mark.parametrize(
    ("changed", "bits", "length", "is_told"),
    [
        ({}, 16, 128, True),
        ({}, 16, 129, True),  # the padding of an odd length
        ({}, 16, 130, False),
        ({}, 16, 127, False),
        ({"NumberOfFrames": 2}, 16, 128, False),
        ({"SamplesPerPixel": 3}, 16, 128, False),
        ({"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3}, 8, 128, True),
        ({"Rows": None}, 16, 128, False),
        # Frames of 9 × 7 bits that no byte ends with: 24 bytes for three of them.
        ({"Rows": 9, "Columns": 7, "NumberOfFrames": 3}, 1, 24, True),
        ({"Rows": 9, "Columns": 7, "NumberOfFrames": 3}, 1, 22, False),
    ],
)
def test_native_pixels_that_are_not_as_long_as_the_attributes_say_are_flagged(
    changed: dict[str, Any], bits: int, length: int, is_told: bool
) -> None:
    (image,) = make_instances(1, rows=8)
    image.BitsAllocated = bits
    for keyword, value in changed.items():
        setattr(image, keyword, value)
    del image.PixelData
    data = encode(image, EXPLICIT) + element(0x7FE00010, b"OW", bytes(length))
    assert read(data, EXPLICIT).flags == (() if is_told else ("pixel-length",))


@pytest.mark.parametrize(
    ("name", "flagged"),
    [("MR_small_padded.dcm", True), ("MR_small.dcm", False), ("SC_ybr_full_422_uncompressed.dcm", False)],
)
def test_real_pixels_are_as_long_as_they_are_said_to_be_or_flagged(name: str, flagged: bool) -> None:
    (sample,) = [each for each in SAMPLES if each.path.name == name]
    assert ("pixel-length" in sample.reading().flags) is flagged


def test_fragments_are_indexed_and_the_delimiter_is_not_pixels() -> None:
    (image,) = make_instances(1)
    image.PixelData = encapsulate([b"first frame ", b"second"])
    image["PixelData"].is_undefined_length = True
    data = encode(image, EXPLICIT)
    reading = read(data, JPEG_2000)
    assert isinstance(reading.pixels, Fragments)
    assert [data[at : at + length] for at, length in reading.pixels.fragments] == [b"first frame ", b"second"]
    assert data[reading.pixel_offset + reading.pixel_length :] == b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_more_fragments_than_a_line_can_hold_are_flagged() -> None:
    pixels = element(0x7FE00010, b"OB", b"\xfe\xff\x00\xe0\0\0\0\0" * 5000 + b"\xfe\xff\xdd\xe0\0\0\0\0", 0xFFFFFFFF)
    assert read(pixels, JPEG_2000).flags == ("index-omitted",)


def test_a_deflated_data_set_is_read_and_is_all_header() -> None:
    (image,) = make_instances(1)
    plain = encode(image, EXPLICIT)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflate.compress(plain) + deflate.flush()
    reading = read(data, DEFLATED)
    assert reading.header == read(plain, EXPLICIT).header
    assert (reading.header_length, reading.pixel_offset, reading.pixels) == (len(data), None, None)


@pytest.mark.parametrize(
    ("name", "data", "syntax"),
    [
        ("bad-deflate", b"no deflate stream", DEFLATED),
        ("unknown-vr", zlib.compress(bytes(80 << 20), wbits=-15), DEFLATED),
        ("too-large-inflated", zlib.compress(element(0x00420011, b"OB", bytes(80 << 20)), wbits=-15), DEFLATED),
        ("too-deep", element(0x00082112, b"SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", 0xFFFFFFFF) * 40, EXPLICIT),
        (
            "too-many-items",
            element(0x00082112, b"SQ", b"\xfe\xff\x00\xe0\0\0\0\0" * 25_001) * 4,
            EXPLICIT,
        ),
        ("unknown-vr", b"\x08\x00\x05\x00XX" + b"\xff" * 10, EXPLICIT),
        ("data-set-cut-short", b"\x08\x00", EXPLICIT),
        ("data-set-cut-short", zlib.compress(element(0x00080060, b"CS", b"CT", 40), wbits=-15), DEFLATED),
    ],
)
def test_what_cannot_be_read_is_opaque_and_stored_with_a_reason(name: str, data: bytes, syntax: str) -> None:
    reading = read(data, syntax)
    assert (reading.header, reading.flags, reading.header_length) == (None, ("opaque-header",), len(data))
    assert reading.reason == name


def test_pixels_that_end_before_their_length_are_flagged() -> None:
    data = element(0x7FE00010, b"OW", b"abc", 0xFFFFFFF0)
    reading = read(data, EXPLICIT)
    assert (reading.flags, reading.pixel_length, reading.pixels) == (("cut-short",), 3, None)


@pytest.mark.parametrize("begins", [b"MZ\x90\0", b"\x7fELF", b"%PDF-1.7", b"%!PS", b"PK\3\4", b"GIF89a", b"#!/bin/sh"])
def test_what_begins_like_a_program_or_a_document_is_stored_and_flagged(begins: bytes) -> None:
    assert read(begins + bytes(200), EXPLICIT).flags[-1] == "foreign-magic"
    # A program's first bytes are a private tag as well: this is a data set that can be read.
    assert read(b"MZ\x90\0LO\2\0ab", EXPLICIT).flags == ("foreign-magic",)
    (image,) = make_instances(1)
    assert read(encode(image, EXPLICIT), EXPLICIT).flags == ()


def test_a_value_of_many_gigabytes_is_skipped_not_read() -> None:
    head = element(0x00080060, b"CS", b"CT") + element(0x7FE00010, b"OW", b"", 0xF0000000)
    asked: list[int] = []

    def load(offset: int, count: int) -> bytes:
        asked.append(count)
        return head[offset : offset + count] if offset < len(head) else bytes(count)

    reading = read_header(load, len(head) + 0xF0000000, EXPLICIT)
    assert reading.pixel_length == 0xF0000000
    assert sum(asked) < 1 << 20


def test_an_element_sent_as_unknown_is_read_by_the_dictionary() -> None:
    reading = read(element(0x0020000D, b"UN", b"1.2.3\0"), EXPLICIT)
    assert reading.header == {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}


def test_a_sequence_sent_as_unknown_has_implicit_items() -> None:
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3"
    outer = Dataset()
    outer.ReferencedImageSequence = Sequence([inner])
    items = encode(outer, IMPLICIT)[8:]
    reading = read(element(0x00081140, b"UN", items), EXPLICIT)
    assert reading.header["00081140"]["Value"] == [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}]


@pytest.mark.parametrize(
    ("charset", "name", "groups"),
    [
        ("ISO_IR 100", "Müller^Jürgen".encode("latin-1"), {"Alphabetic": "Müller^Jürgen"}),
        ("ISO_IR 192", "山田^太郎".encode(), {"Alphabetic": "山田^太郎"}),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"},
        ),
    ],
)
def test_names_are_decoded_by_their_character_set(charset: str, name: bytes, groups: dict[str, str]) -> None:
    padded = charset.encode() + b" " * (len(charset) % 2)
    data = element(0x00080005, b"CS", padded) + element(0x00100010, b"PN", name + b" " * (len(name) % 2))
    assert read(data, EXPLICIT).header["00100010"] == {"vr": "PN", "Value": [groups]}


@pytest.mark.parametrize(
    ("charset", "name", "flagged"),
    [
        ("ISO_IR 100", "Müller".encode("latin-1"), False),
        ("ISO IR 100", "Müller".encode("latin-1"), False),  # misspelt, and understood
        ("latin1", "Müller".encode("latin-1"), False),
        ("ISO_IR 192", "Müller".encode("latin-1"), True),
        ("ISO_IR 192", "Müller\ufffd".encode(), False),  # lost by somebody else
        ("ISO_IR 1000", b"Mueller", True),
        ("zlib_codec", b"Mueller", True),
        ("GB18030", b"\xff\xff", True),
        ("", "Müller".encode("latin-1"), True),
        ("", b"Mueller", False),
        ("\\ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x1b(B", False),
        ("\\ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x1b(B=\x1b$)C\xb1\xe8", True),
        ("ISO_IR 100", b"Yamada=\x1b$B;3ED\x1b(B", True),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_text_that_is_not_in_its_character_set_is_told_as_far_as_it_goes_and_flagged(
    syntax: str, charset: str, name: bytes, flagged: bool
) -> None:
    """In each instance of a batch, whatever is remembered of those before it."""
    memory = Memory()
    written = [(0x00080005, b"CS", charset.encode()), (0x00100010, b"PN", name)]
    inner = b"".join(_element(syntax, *each) for each in written)
    for data in (
        inner,
        _element(syntax, 0x00081140, b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner),
    ):
        for _ in range(2):
            reading = read_header(
                lambda offset, count, data=data: data[offset : offset + count], len(data), syntax, memory
            )
            assert reading.header is not None
            assert reading.flags == (("character-set",) if flagged else ())


def _element(syntax: str, tag: int, vr: bytes, value: bytes) -> bytes:
    padded = value + b" " * (len(value) % 2)
    if syntax == EXPLICIT:
        return element(tag, vr, padded)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(padded)) + padded


def test_numbers_that_json_does_not_know_are_told_as_text() -> None:
    data = element(0x00189309, b"FD", struct.pack("<dd", float("nan"), float("inf")))
    assert read(data, EXPLICIT).header["00189309"]["Value"] == ["NaN", "inf"]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG_2000]),
    st.sampled_from([sample.data[:3000] for sample in SAMPLES[::7]]),
    st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 255)), max_size=12),
)
def test_no_byte_can_make_the_reader_raise(syntax: str, data: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(data)
    for position, value in changes:
        if position < len(mutated):
            mutated[position] = value
    reading = read(bytes(mutated), syntax)
    assert 0 <= reading.header_length <= len(mutated)
    assert (reading.pixel_offset or 0) + (reading.pixel_length or 0) <= len(mutated)
