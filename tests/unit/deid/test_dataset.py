"""The strict reader and the writer of data sets."""

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file

from services.deid.domain.dataset import (
    ELEMENT_LIMIT,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Element,
    Encoding,
    TooMuch,
    Unreadable,
    encode,
)
from services.deid.domain.reading import parse

BIG = Encoding(implicit=False, little=False)
TREE = (
    Element(0x00080016, "UI", b"1.2.3\0"),
    Element(0x00082218, "SQ", items=((Element(0x00080100, "SH", b"T-1 "), Element(0x00080104, "LO", b"")), ())),
    Element(0x00100010, "PN", b"Doe^Jane"),
)


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, BIG])
def test_what_is_written_is_read_again(encoding: Encoding) -> None:
    """In every encoding of PS3.5 annex A."""
    assert parse(encode(TREE, encoding), encoding) == TREE


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"])
def test_a_real_header_comes_out_as_pydicom_reads_it(name: str) -> None:
    """pydicom is the oracle."""
    path = get_testdata_file(name, download=False)
    assert path
    source = dcmread(path)
    encoding = Encoding(source.original_encoding[0] is True, source.original_encoding[1] is True)
    data = _dataset_bytes(path)
    copy = BytesIO(data[: -len(_dataset_bytes(path))] + encode(parse(data, encoding), encoding))
    assert dcmread_dataset(copy, encoding) == Dataset(dict(source.items()))


def _dataset_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack_from("<I", content, 140)
    return content[144 + length :]


def dcmread_dataset(stream: BytesIO, encoding: Encoding) -> Dataset:
    """Read a bare data set with pydicom."""
    from pydicom.filereader import read_dataset

    return read_dataset(stream, encoding.implicit, encoding.little)


def test_undefined_lengths_are_understood() -> None:
    """Sequences and items that end with a delimiter (PS3.5 section 7.5)."""
    plain = Dataset()
    item = Dataset()
    item.CodeValue = "T-1"
    item.is_undefined_length_sequence_item = True
    plain.AnatomicRegionSequence = [item]
    plain["AnatomicRegionSequence"].is_undefined_length = True
    stream = BytesIO()
    dcmwrite(stream, plain, implicit_vr=False, little_endian=True)
    (sequence,) = parse(stream.getvalue(), EXPLICIT_LITTLE)
    assert sequence.items == ((Element(0x00080100, "SH", b"T-1 "),),)


def test_a_sequence_that_is_encoded_as_un_is_read_as_implicit_vr() -> None:
    """PS3.5 section 6.2.2, note 2; and it is written back that way."""
    inner = encode(TREE[1].items[0], IMPLICIT_LITTLE)  # type: ignore[index]
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
    data = struct.pack("<HH2sHI", 0x0008, 0x2218, b"UN", 0, len(item)) + item
    (sequence,) = parse(data, EXPLICIT_LITTLE)
    assert sequence.items == TREE[1].items[:1]  # type: ignore[index]
    assert encode((sequence,), EXPLICIT_LITTLE) == data


def _long(tag: int, vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, length)


@pytest.mark.parametrize(
    "data",
    [
        encode(TREE, EXPLICIT_LITTLE)[:-1],
        encode(TREE, EXPLICIT_LITTLE) + b"\0",
        encode((TREE[0], TREE[0]), EXPLICIT_LITTLE),
        struct.pack("<HH2sH", 0x0010, 0x0010, b"??", 0),
        _long(0x00082218, b"SQ", 0xFFFFFFFF),
        _long(0x00082218, b"SQ", 8) + struct.pack("<HHI", 0xFFFE, 0xE000, 99),
        _long(0x00080018, b"OB", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 99),
        struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
    ],
    ids=["cut", "rest", "twice", "vr", "no end", "item too long", "fragment too long", "stray delimiter"],
)
def test_bytes_that_cannot_be_accounted_for_are_refused(data: bytes) -> None:
    """Nothing that was not examined may go out."""
    with pytest.raises(Unreadable):
        parse(data, EXPLICIT_LITTLE)


def test_endless_nesting_is_refused() -> None:
    """A header of a kilobyte can't exhaust the stack."""
    with pytest.raises(Unreadable):
        parse(
            (_long(0x00082218, b"SQ", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 200,
            EXPLICIT_LITTLE,
        )


@given(st.binary(max_size=200), st.sampled_from([EXPLICIT_LITTLE, IMPLICIT_LITTLE, BIG]))
def test_any_bytes_are_read_completely_or_refused(data: bytes, encoding: Encoding) -> None:
    """There is no third outcome."""
    try:
        elements = parse(data, encoding)
    except Unreadable:
        return
    assert parse(encode(elements, encoding), encoding) is not None


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
def test_elements_and_items_that_would_take_all_memory_are_not_taken_apart(encoding: Encoding) -> None:
    """Eight bytes of input make hundreds in memory."""
    item = encode([Element(0x00280010, "US")], encoding)
    items = (struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item) * (ELEMENT_LIMIT // 2)
    head = struct.pack("<HH", 0x0040, 0x0275) + (b"" if encoding.implicit else b"SQ\0\0")
    with pytest.raises(TooMuch):
        parse(head + struct.pack("<I", len(items)) + items, encoding)


def test_uids_that_would_take_all_memory_are_not_taken_apart() -> None:
    """Two bytes of input become forty of a new UID."""
    with pytest.raises(TooMuch):
        parse(encode([Element(0x00081155, "UI", b"1\\" * ELEMENT_LIMIT)], IMPLICIT_LITTLE), IMPLICIT_LITTLE)
    several = (Element(0x00081000 + number, "UI", b"1\\" * 30_000) for number in range(2, 12))
    with pytest.raises(TooMuch):
        parse(encode(several, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
