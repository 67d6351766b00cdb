"""Headers that are long or cannot be read: what is left out, what is still known, and how much work a byte may make."""

import json
import struct
import zlib

import pytest

from contracts.formats.headers import header_line, parse_line
from contracts.formats.lines import LINE_LIMIT
from contracts.formats.manifest import FRAGMENT_LIMIT, Fragments, NativeFrames
from services.dicom_ingest.domain.abridging import abridge
from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.elements import Encoding, Walk
from services.dicom_ingest.domain.header import read_header
from services.dicom_ingest.domain.study_scan import SCAN_LIMIT, uid_in
from services.dicom_ingest.domain.window import CutShort, Malformed, Window
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import element, encode, read
from tests.unit.dicom_ingest.frames import EXPLICIT, PER_FRAME, enhanced_ct, item, segmentation, sequence

IMPLICIT, BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
ITEM, OPEN, END = b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0"
STUDY, SERIES = 0x0020000D, 0x0020000E


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(("make", "size"), [(enhanced_ct, 128), (segmentation, 32)])
def test_ten_thousand_frames_with_their_groups_are_read_and_indexed(make, size, undefined) -> None:
    data = make(10_000, undefined=undefined, study_uid="1.2.3", series_uid="1.2.3.4")
    reading = read(data, EXPLICIT)
    assert (reading.reason, reading.flags) == (None, ("abridged-header",))
    assert reading.header is not None
    assert reading.header["0020000D"]["Value"] == ["1.2.3"]
    assert reading.header["52009230"] == {"vr": "SQ"}
    assert reading.pixels == NativeFrames(offset=len(data) - 10_000 * size, size=size, count=10_000)
    assert parse_line(header_line("000001.dcm", reading.header)).header == reading.header


@pytest.mark.parametrize("undefined", [False, True])
def test_a_few_frames_are_told_with_their_groups(undefined: bool) -> None:
    reading = read(segmentation(3, undefined=undefined), EXPLICIT)
    assert reading.header is not None and reading.flags == ()
    groups = reading.header[f"{PER_FRAME:08X}"]["Value"]
    assert [group["00209111"]["Value"][0]["00209157"]["Value"] for group in groups] == [[1, 1], [1, 2], [1, 3]]
    purpose = groups[2]["00089124"]["Value"][0]["00082112"]["Value"][0]["0040A170"]["Value"][0]
    assert purpose["00080100"]["Value"] == ["121322"]


@pytest.mark.parametrize("undefined", [False, True])
def test_a_header_of_any_number_of_frames_makes_a_line(undefined: bool) -> None:
    for count in (40, 80, 100, 140, 200, 300):
        reading = read(enhanced_ct(count, undefined=undefined), EXPLICIT)
        assert reading.header is not None
        line = header_line("000001.dcm", reading.header)
        assert len(line) <= LINE_LIMIT
        assert parse_line(line).header is not None
        is_told = "Value" in reading.header[f"{PER_FRAME:08X}"]
        assert reading.flags == (() if is_told else ("abridged-header",))


def test_what_is_left_out_is_the_longest_and_no_more_than_need_be() -> None:
    header = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Test"}]},
        "00400555": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["x" * 200_000]}}]},
        "00401012": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["y" * 100_000]}}]},
    }
    shorter, is_shorter = abridge(header)
    assert is_shorter and shorter == {**header, "00400555": {"vr": "SQ"}}
    assert abridge(shorter) == (shorter, False)


@pytest.mark.parametrize("value", ["\1" * 90_000, "é" * 200_000, "\\" * 200_000])
def test_what_json_makes_longer_is_left_out_by_its_length_in_the_line(value: str) -> None:
    shorter, is_shorter = abridge({"00204000": {"vr": "LT", "Value": [value]}, "00100020": {"vr": "LO"}})
    assert is_shorter and len(json.dumps(shorter)) < 100


@pytest.mark.parametrize("inner", [b"", element(0x00080100, b"SH", b"CT")])
@pytest.mark.parametrize("undefined", [False, True])
def test_a_million_items_are_passed_over_and_what_follows_is_read(inner: bytes, undefined: bool) -> None:
    many = sequence(0x00082112, item(inner, undefined=False) * 1_000_000, undefined=undefined)
    reading = read(many + element(STUDY, b"UI", b"1.2.3\0"), EXPLICIT)
    assert reading.flags == ("abridged-header",)
    assert reading.header == {"00082112": {"vr": "SQ"}, "0020000D": {"vr": "UI", "Value": ["1.2.3"]}}


def steps(data: bytes, bounds: Bounds) -> list[int]:
    """The tags of the top level, with bounds of a test's own."""
    return [each.tag for each in Walk(Window.over(data), Encoding.of(EXPLICIT), bounds).header()]


def test_passing_over_is_bounded_by_a_count_a_depth_and_the_end() -> None:
    bounds = Bounds(told=100, passed=1000)
    empty = item(undefined=False)
    assert steps(sequence(0x00082112, empty * 999, undefined=True), bounds) == [0x00082112]
    with pytest.raises(Malformed, match="too-many-elements"):
        steps(sequence(0x00082112, empty * 1000, undefined=True), bounds)
    filler, deep = empty * 20, element(0x00082112, b"SQ", ITEM + OPEN, 0xFFFFFFFF)
    with pytest.raises(Malformed, match="too-deep"):
        steps(element(0x00082112, b"SQ", filler + (ITEM + OPEN) + deep * 40, 0xFFFFFFFF), bounds)
    for rest in (b"", ITEM, ITEM + struct.pack("<I", 9), ITEM + OPEN + b"\x08\0\x60\0CS\x02\0"):
        with pytest.raises(CutShort):
            steps(element(0x00082112, b"SQ", filler + rest, 0xFFFFFFFF), bounds)
    for rest in (
        END[:2] + b"\x0d\xe0" + END[4:],
        ITEM + OPEN + b"\x08\0\x60\0xx\x02\0CT" + END,
        b"\x08\0\x60\0CS\x02\0CT",
    ):
        with pytest.raises(Malformed):
            steps(element(0x00082112, b"SQ", filler + rest, 0xFFFFFFFF), bounds)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_passing_over_finds_the_end_that_reading_finds(syntax: str) -> None:
    (image,) = make_instances(1)
    for each in (inner := make_instances(40)):
        each.is_undefined_length_sequence_item = True
    image.ReferencedImageSequence = inner
    image["ReferencedImageSequence"].is_undefined_length = True
    data = encode(image, syntax)
    whole, passed = (
        [(each.tag, each.end) for each in Walk(Window.over(data), Encoding.of(syntax), bounds).header()]
        for bounds in (Bounds(), Bounds(told=1000))
    )
    assert whole == passed and len(whole) > 30


def test_a_hundred_and_fifty_thousand_fragments_are_not_opaque() -> None:
    """A whole slide image of so many tiles is an image like another."""
    fragments = (ITEM + struct.pack("<I", 2) + b"ab") * 150_000
    pixels = element(0x7FE00010, b"OB", ITEM + bytes(4) + fragments + END, 0xFFFFFFFF)
    reading = read(element(STUDY, b"UI", b"1.2.3\0") + pixels, JPEG_2000)
    assert (reading.reason, reading.flags, reading.pixels) == (None, ("index-omitted",), None)
    assert reading.pixel_length == 8 + len(fragments)
    assert reading.header is not None and reading.header["0020000D"]["Value"] == ["1.2.3"]


@pytest.mark.parametrize("count", [0, 1, FRAGMENT_LIMIT, FRAGMENT_LIMIT + 1, FRAGMENT_LIMIT + 2])
def test_as_many_fragments_as_a_line_holds_are_indexed(count: int) -> None:
    fragments = (ITEM + struct.pack("<I", 2) + b"ab") * count
    reading = read(element(0x7FE00010, b"OB", ITEM + bytes(4) + fragments + END, 0xFFFFFFFF), JPEG_2000)
    assert reading.pixel_length == 8 + 10 * count
    if count > FRAGMENT_LIMIT:
        assert (reading.flags, reading.pixels) == (("index-omitted",), None)
    else:
        assert isinstance(reading.pixels, Fragments)
        assert len(reading.pixels.fragments) == count


def test_a_header_that_is_cut_out_of_a_long_data_set_reads_little_of_it() -> None:
    asked: list[int] = []
    data = enhanced_ct(2000)

    def load(offset: int, count: int) -> bytes:
        asked.append(count)
        return data[offset : offset + count]

    assert read_header(load, len(data), EXPLICIT).flags == ("abridged-header",)
    assert sum(asked) < len(data) // 4


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_uids_of_the_top_level_are_found_in_what_nobody_can_read(syntax: str) -> None:
    (image,) = make_instances(1, study_uid="1.2.3", series_uid="1.2.3.4")
    plain = encode(image, EXPLICIT if syntax == DEFLATED else syntax) + b"no data set at all"
    data = zlib.compress(plain, wbits=-15) if syntax == DEFLATED else plain

    def found(tag: int) -> str | None:
        return uid_in(lambda offset, count: data[offset : offset + count], len(data), syntax, tag)

    assert (found(STUDY), found(SERIES), found(0x00200052 + 1)) == ("1.2.3", "1.2.3.4", None)


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, element(STUDY, b"UI", b"DOE^JANE"), bytes(SCAN_LIMIT + 9)])
def test_what_is_no_uid_of_the_top_level_is_none(data: bytes) -> None:
    assert uid_in(lambda offset, count: data[offset : offset + count], len(data), EXPLICIT, STUDY) is None


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


def test_a_deflated_segmentation_that_inflates_too_far_has_its_header() -> None:
    """Zeros shrink a thousandfold, and most of a segmentation is zeros."""
    (image,) = make_instances(1, study_uid="1.2.3")
    image.PixelData = bytes(80 << 20)
    data = deflated(encode(image, EXPLICIT))
    reading = read(data, DEFLATED)
    assert (reading.reason, reading.flags, reading.pixel_offset) == (None, ("inflates-too-far",), None)
    assert reading.header is not None and reading.header["0020000D"]["Value"] == ["1.2.3"]
    assert reading.header_length == len(data)


@pytest.mark.parametrize("head", [b"", element(STUDY, b"UI", b"1.2.3\0"), element(0x00420011, b"OB", b"", 256 << 20)])
def test_a_bomb_without_pixels_is_opaque(head: bytes) -> None:
    reading = read(deflated(head + bytes(80 << 20)), DEFLATED)
    assert (reading.header, reading.flags) == (None, ("opaque-header",))
    assert reading.reason in ("too-large-inflated", "unknown-vr")


def test_fragments_beyond_four_gigabytes_are_indexed() -> None:
    """Each is shorter than that, all together are not."""
    size = 3 << 30
    head = element(STUDY, b"UI", b"1.2.3\0") + element(0x7FE00010, b"OB", ITEM + bytes(4), 0xFFFFFFFF)
    item_head = ITEM + struct.pack("<I", size)
    second = len(head) + 8 + size
    pieces = {0: head + item_head, second: item_head, second + 8 + size: END}

    def load(offset: int, count: int) -> bytes:
        start = max(at for at in pieces if at <= offset)
        return (pieces[start][offset - start :] + bytes(count))[:count]

    reading = read_header(load, second + 8 + size + 8, JPEG_2000)
    assert reading.pixels == Fragments(fragments=((len(head) + 8, size), (second + 8, size)))
    assert (reading.flags, reading.pixel_length) == ((), 2 * size + 24)


def test_a_whole_number_that_is_beyond_all_numbers_is_told_as_text() -> None:
    data = element(0x00080060, b"CS", b"CT") + element(0x00200013, b"IS", b"9" * 400)
    reading = read(data, EXPLICIT)
    assert reading.header is not None
    assert (reading.header["00080060"]["Value"], reading.header["00200013"]["Value"]) == (["CT"], ["9" * 400])
    assert parse_line(header_line("000001.dcm", reading.header)).header == reading.header
