"""A native data set written in another way holds what it held, or is refused."""

import csv
import struct
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.filereader import _read_file_meta_info, read_preamble

from services.forwarding.domain.encodings import NotEncodable, encoded
from services.forwarding.domain.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT, others
from tests.support.elements import read, values

LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
UNDEFINED = 2**32 - 1
RLE, JPEG = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"


def data_set(file_or_name: Path | str) -> tuple[bytes, str]:
    """The data set of a file, or of one that comes with pydicom, and its transfer syntax."""
    path = file_or_name if isinstance(file_or_name, Path) else Path(str(get_testdata_file(file_or_name)))
    with path.open("rb") as file:
        read_preamble(file, force=False)
        return bytes((meta := _read_file_meta_info(file)) and file.read()), str(meta.TransferSyntaxUID)


def written(data: bytes, source: str, target: str, size: int = 10**9) -> bytes:
    """What comes out when so many bytes come at a time."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(encoded(iter(pieces), source, target))


def explicit(tag: int, vr: bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    """An element with its VR (PS3.5 section 7.1.2)."""
    length = len(value) if length is None else length
    head = struct.pack(f"{order}HH2s", tag >> 16, tag & 0xFFFF, vr)
    return head + (struct.pack(f"{order}2xI" if vr in LONG else f"{order}H", length)) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """An element without, or an item (PS3.5 sections 7.1.3 and 7.5)."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes) -> bytes:
    """An item without a length."""
    return implicit(0xFFFEE000, content, UNDEFINED) + implicit(0xFFFEE00D, b"")


def sequence(tag: int, *items: bytes, vr: bytes | None = None) -> bytes:
    """A sequence without a length, in implicit VR unless ``vr`` is given."""
    content = b"".join(map(item, items)) + implicit(0xFFFEE0DD, b"")
    return explicit(tag, vr, content, UNDEFINED) if vr else implicit(tag, content, UNDEFINED)


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtdose_1frame.dcm", "rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm"])
@pytest.mark.parametrize("size", [1, 1000, 10**9])
def test_every_value_is_what_it_was(name: str, size: int) -> None:
    """There and back, however it comes; real files with private elements and deep sequences."""
    data, syntax = data_set(name)
    other = IMPLICIT if syntax == EXPLICIT else EXPLICIT
    there = written(data, syntax, other, size)
    assert list(values(read(there, other))) == list(values(read(data, syntax)))
    assert list(values(read(written(there, other, syntax, size), syntax))) == list(values(read(data, syntax)))


def test_values_of_real_objects_are_what_they_were(corpus: Path) -> None:
    """One object for each set, SOP class and native syntax of little endian; there and back."""
    with (corpus / "dicom" / "MANIFEST.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["transfer_syntax"] in (EXPLICIT, IMPLICIT)]
    chosen = {(row["set"], row["sop_class"], row["transfer_syntax"]): row["path"] for row in rows}
    refused = set()
    for path in chosen.values():
        data, syntax = data_set(corpus / "dicom" / path)
        other = IMPLICIT if syntax == EXPLICIT else EXPLICIT
        try:
            there = written(data, syntax, other)
        except NotEncodable:
            refused.add(Path(path).name)
            continue
        before = list(values(read(data, syntax)))
        assert list(values(read(there, other))) == before, path
        assert list(values(read(written(there, other, syntax), syntax))) == before, path
    assert len(chosen) > 40 and refused <= {"DICOMDIR-nooffset", "MR_truncated.dcm", "rtplan_truncated.dcm"}


@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize(
    ("big", "little"),
    [("MR_small_expb.dcm", "MR_small.dcm"), ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm")],
)
def test_big_endian_becomes_what_another_wrote_in_little_endian(big: str, little: str, target: str) -> None:
    """Words of 16 bits, and samples of 8 bits in them; no word is broken where a piece ends."""
    data, syntax = data_set(big)
    assert syntax == BIG_ENDIAN
    found, wanted = read(written(data, syntax, target, 1001), target), pydicom.dcmread(str(get_testdata_file(little)))
    assert found.PixelData == wanted.PixelData
    assert {one.tag for one in found} == {one.tag for one in wanted}
    assert [one.tag for one in found if one.value != wanted[one.tag].value] == []


@pytest.mark.parametrize(
    ("vr", "big", "little"),
    [
        (b"AT", b"\x00\x10\x20\x30", b"\x10\x00\x30\x20"),
        (b"US", b"\1\2\3\4", b"\2\1\4\3"),
        (b"SL", b"\1\2\3\4", b"\4\3\2\1"),
        (b"FD", b"\1\2\3\4\5\6\7\0", b"\0\7\6\5\4\3\2\1"),
        (b"OF", b"\1\2\3\4" * 2, b"\4\3\2\1" * 2),
        (b"OV", b"\1\2\3\4\5\6\7\0", b"\0\7\6\5\4\3\2\1"),
        (b"OB", b"\1\2\3\4", b"\1\2\3\4"),
        (b"UN", b"\1\2\3\4", b"\1\2\3\4"),
        (b"LO", b"abcd", b"abcd"),
    ],
)
def test_numbers_of_big_endian_are_turned_by_their_vr(vr: bytes, big: bytes, little: bytes) -> None:
    """A value of UN is little endian everywhere (PS3.5 section 6.2.2)."""
    private = explicit(0x00290010, b"LO", b"CAUSEWAY", order=">") + explicit(0x00291000, vr, big, order=">")
    creator = explicit(0x00290010, b"LO", b"CAUSEWAY")
    assert written(private, BIG_ENDIAN, EXPLICIT) == creator + explicit(0x00291000, vr, little)


def test_a_private_sequence_stays_one_in_implicit_vr() -> None:
    """It had a length; without one it can be told from a value, and everything in it is written anew."""
    inner = explicit(0x00291001, b"FD", b"\1" * 8) + explicit(0x00291002, b"UN", b"\2\2")
    content = implicit(0xFFFEE000, inner)
    found = written(explicit(0x00291000, b"SQ", content), EXPLICIT, IMPLICIT)
    assert found == sequence(0x00291000, implicit(0x00291001, b"\1" * 8) + implicit(0x00291002, b"\2\2"))


def test_items_of_a_sequence_that_is_written_as_un_are_implicit() -> None:
    """In little endian, whatever the transfer syntax is (PS3.5 section 6.2.2): they stay what they are."""
    rows = implicit(0x00280010, b"\0\2")
    content = sequence(0x00291000, rows, vr=b"UN")
    assert written(content, EXPLICIT, IMPLICIT) == sequence(0x00291000, rows)
    assert written(explicit(0x00291000, b"UN", content[12:], UNDEFINED, ">"), BIG_ENDIAN, EXPLICIT) == content


def test_what_is_private_and_implicit_becomes_un_and_its_creator_text() -> None:
    """An unknown element of the standard likewise; a sequence is known by its having no length."""
    creator, blob, unknown = b"CAUSEWAY", b"\1\2", b"\3\4"
    given = implicit(0x00291000 + 1, blob) + sequence(0x00291002, implicit(0x00291001, blob))
    found = written(implicit(0x00185555, unknown) + implicit(0x00290010, creator) + given, IMPLICIT, EXPLICIT)
    inner = explicit(0x00291001, b"UN", blob)
    assert found == (
        explicit(0x00185555, b"UN", unknown)
        + explicit(0x00290010, b"LO", creator)
        + inner
        + sequence(0x00291002, inner, vr=b"SQ")
    )


@pytest.mark.parametrize(("sign", "vr"), [(0, b"US"), (1, b"SS"), (None, b"UN")])
def test_a_value_that_may_have_a_sign_has_that_of_the_pixels(sign: int | None, vr: bytes) -> None:
    """Within sequences too; without anything that tells, its VR is unknown."""
    told = b"" if sign is None else struct.pack("<H", sign)
    given, wanted = b"", b""
    if told:
        given, wanted = implicit(0x00280103, told), explicit(0x00280103, b"US", told)
    given += implicit(0x00280106, b"\xff\xff") + sequence(0x00283000, implicit(0x00283002, b"\1\0\2\0\x10\0"))
    wanted += explicit(0x00280106, vr, b"\xff\xff")
    wanted += sequence(0x00283000, explicit(0x00283002, vr, b"\1\0\2\0\x10\0"), vr=b"SQ")
    assert written(given, IMPLICIT, EXPLICIT) == wanted


@pytest.mark.parametrize("tag", [0x7FE00010, 0x60003000, 0x54001010, 0x00283006])
def test_samples_of_implicit_vr_are_words(tag: int) -> None:
    """PS3.5 section A.1; of them bytes and words are the same in little endian."""
    assert written(implicit(tag, b"\1\2"), IMPLICIT, EXPLICIT) == explicit(tag, b"OW", b"\1\2")


def test_a_value_that_is_too_long_for_its_vr_is_un_in_explicit_vr() -> None:
    """PS3.5 section 6.2.2: a length of 16 bits cannot tell it."""
    long, longest = b"1\\" * 32768, b"1\\" * 32767
    found = written(implicit(0x00283006, long) + implicit(0x30060050, long), IMPLICIT, EXPLICIT)
    assert found == explicit(0x00283006, b"OW", long) + explicit(0x30060050, b"UN", long)
    assert written(found, EXPLICIT, IMPLICIT) == implicit(0x00283006, long) + implicit(0x30060050, long)
    assert written(implicit(0x30060050, longest), IMPLICIT, EXPLICIT) == explicit(0x30060050, b"DS", longest)


def test_lengths_that_speak_of_the_encoding_go() -> None:
    """Those of groups, and Length to End; two elements that are equal both stay, as does their order."""
    twice = explicit(0x00100020, b"LO", b"P1") + explicit(0x00100020, b"LO", b"P2") + explicit(0x00080060, b"CS", b"CT")
    lengths = [explicit(tag, b"UL", b"\x0c\0\0\0") for tag in (0x00080000, 0x00080001, 0x00100000)]
    found = written(b"".join(lengths) + twice, EXPLICIT, IMPLICIT)
    assert found == implicit(0x00100020, b"P1") + implicit(0x00100020, b"P2") + implicit(0x00080060, b"CT")


def pixels(vr: bytes, bits: int) -> bytes:
    """Pixel Data of big endian."""
    told = explicit(0x00280100, b"US", struct.pack(">H", bits), order=">")
    return told + explicit(0x7FE00010, vr, bytes(8), order=">")


@pytest.mark.parametrize(
    ("data", "source"),
    [
        pytest.param(pixels(b"OW", 32), BIG_ENDIAN, id="words of longer samples"),
        pytest.param(pixels(b"OB", 16), BIG_ENDIAN, id="bytes of longer samples"),
        pytest.param(pixels(b"OW", 16)[10:], BIG_ENDIAN, id="samples of unknown length"),
        pytest.param(explicit(0x00281201, b"OW", b"\1\2\3", order=">"), BIG_ENDIAN, id="half a word"),
        pytest.param(explicit(0x7FE00010, b"OB", item(b""), UNDEFINED), EXPLICIT, id="fragments"),
        pytest.param(implicit(0x7FE00010, item(b""), UNDEFINED), IMPLICIT, id="fragments in implicit VR"),
        pytest.param(explicit(0x00100020, b"LO", b"P1")[:-1], EXPLICIT, id="a value that is cut"),
        pytest.param(explicit(0x00100020, b"LO", b"P1") + bytes(3), EXPLICIT, id="something behind the end"),
        pytest.param(explicit(0x00100020, b"L0", b"P1"), EXPLICIT, id="no VR"),
        pytest.param(implicit(0xFFFEE00D, b""), IMPLICIT, id="the end of no item"),
        pytest.param(sequence(0x00081140, b"", vr=b"SQ")[:-8], EXPLICIT, id="a sequence without an end"),
        pytest.param(explicit(0x00081140, b"SQ", implicit(0x00100020, b"P1")), EXPLICIT, id="an element for an item"),
        pytest.param(explicit(0x00081140, b"SQ", item(b""), 10), EXPLICIT, id="an item beyond its sequence"),
        pytest.param(
            explicit(0x00081140, b"SQ", implicit(0xFFFEE000, explicit(0x00100020, b"LO", b"P1"), 9)),
            EXPLICIT,
            id="an element beyond its item",
        ),
    ],
)
def test_what_has_no_one_meaning_is_refused(data: bytes, source: str) -> None:
    with pytest.raises(NotEncodable):
        written(data, source, EXPLICIT if source != EXPLICIT else IMPLICIT)


def test_others_are_tried_in_the_order_of_what_they_keep() -> None:
    """Implicit VR has no VRs, so it is last; web services have none, and lossy pixels stay as they are."""
    every = {one: others(one, may_decompress=True, over_http=False) for one in (EXPLICIT, IMPLICIT, BIG_ENDIAN, RLE)}
    assert every == {
        EXPLICIT: (IMPLICIT,),
        IMPLICIT: (EXPLICIT,),
        BIG_ENDIAN: (EXPLICIT, IMPLICIT),
        RLE: (EXPLICIT, IMPLICIT),
    }
    assert (
        others(RLE, may_decompress=False, over_http=False) == others(JPEG, may_decompress=True, over_http=False) == ()
    )
    assert others(BIG_ENDIAN, may_decompress=False, over_http=True) == (EXPLICIT,)
    assert others(EXPLICIT, may_decompress=True, over_http=True) == ()
