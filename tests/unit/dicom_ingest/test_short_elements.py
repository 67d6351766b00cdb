"""What is read at a glance is what is read with care: short values of the top level in explicit VR."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_ingest.domain import window
from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.elements import Encoding, Walk
from services.dicom_ingest.domain.header import Reading, read_header
from services.dicom_ingest.domain.json_model import Memory, Renderer
from services.dicom_ingest.domain.window import CutShort, Malformed, Window
from tests.fuzz.budget import examples
from tests.fuzz.data_sets import encoded
from tests.unit.dicom_ingest.data_sets import element, read, shipped_samples

EXPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
SAMPLES = [sample for sample in shipped_samples() if len(sample.data) < 100_000]
CHARACTER_SET, STUDY, SIGNED, PIXELS = 0x00080005, 0x0020000D, 0x00280103, 0x7FE00010
#: ``short`` takes bytes and nothing else: what comes like this is read one by one.
CAREFUL = bytearray


def carefully(data: bytes, syntax: str) -> Reading:
    """Nothing is read at a glance."""
    return read_header(lambda at, count: CAREFUL(data[at : at + count]), len(data), syntax)


def in_windows_of(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements lie across the ends of windows."""
    monkeypatch.setattr(window, "_WINDOW", size)


@pytest.mark.parametrize("size", [1, 30, 300, 64 * 1024])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.path.name)
def test_real_files_in_windows_of_any_size(sample, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    in_windows_of(size, monkeypatch)
    assert sample.reading() == carefully(sample.data, sample.transfer_syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
def test_any_data_set_in_any_window(syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @examples(100)
    @given(encoded(syntax), st.integers(1, 200))
    def any_data_set(data: bytes, size: int) -> None:
        in_windows_of(size, monkeypatch)
        assert read(data, syntax) == carefully(data, syntax)

    any_data_set()


def short(data: bytes, at: int = 0, bounds: Bounds | None = None, syntax: str = EXPLICIT) -> tuple[list[int], int]:
    """The tags that are read at a glance, and where they end."""
    opened = Window(lambda offset, count: data[offset : offset + count], len(data))
    opened.at(0, min(1, len(data)))
    found, end = Walk(opened, Encoding.of(syntax), bounds or Bounds()).short(at)
    return [tag for tag, _written in found], end


LABEL = element(0x00080060, b"CS", b"CT")


@pytest.mark.parametrize(
    "apart",
    [
        element(CHARACTER_SET, b"CS", b"ISO_IR 100"),
        element(SIGNED, b"US", b"\1\0"),
        element(PIXELS, b"US", b"\1\0"),
        element(0x7FE00009, b"FD", bytes(8)),
        element(0x00081140, b"SQ", b""),
        element(0x00091001, b"UN", b"1.2.3\0"),
        element(0x00080060, b"??", b"CT"),
        element(STUDY, b"UI", b"1.2.3", 2000),
        LABEL[:-1],
        LABEL[:7],
        b"",
    ],
)
def test_what_needs_care_ends_them(apart: bytes) -> None:
    study = element(STUDY, b"UI", b"1.2.3\0")
    assert short(LABEL + study + apart) == ([0x00080060, STUDY], len(LABEL + study))
    assert short(apart) == ([], 0)


def test_where_a_window_does_not_reach_nothing_is_read_at_a_glance() -> None:
    opened = Window.over(LABEL * 3)
    opened.base = len(LABEL)
    for at in (0, 4 * len(LABEL), 1 << 40):
        assert Walk(opened, Encoding.of(EXPLICIT), Bounds()).short(at) == ([], at)
    implicit = struct.pack("<HHI", 8, 0x60, 0x5343) + b"CT"
    assert short(implicit, syntax="1.2.840.10008.1.2") == ([], 0)


@pytest.mark.parametrize("most", range(7))
def test_elements_are_counted(most: int) -> None:
    """However they are read, there are so many and no more."""
    data = (LABEL + element(SIGNED, b"US", b"\0\0") + element(STUDY, b"UI", b"")) * 2
    for kind in (bytes, CAREFUL):
        opened = Window(lambda at, count, kind=kind: kind(data[at : at + count]), len(data))
        walk = Walk(opened, Encoding.of(EXPLICIT), Bounds(elements=most))
        if most < 6:
            with pytest.raises(Malformed, match="too-many-elements"):
                Renderer(opened, walk, Memory()).header()
        else:
            assert len(Renderer(opened, walk, Memory()).header()) == 3


def test_a_value_cut_short_is_more_than_too_many_elements() -> None:
    data = LABEL + element(STUDY, b"UI", b"1.2.3", 2000)
    opened = Window(lambda at, count: data[at : at + count], len(data))
    with pytest.raises(CutShort):
        Renderer(opened, Walk(opened, Encoding.of(EXPLICIT), Bounds(elements=1)), Memory()).header()


@pytest.mark.parametrize("size", [8, 20, 64 * 1024])
def test_what_lies_behind_the_window_is_read_again(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item reaches beyond the end of its sequence: what it has is told in it, and once more of the top level."""
    in_windows_of(size, monkeypatch)
    inner = LABEL * 3 + element(STUDY, b"UI", b"1.2.3\0")
    data = element(0x00081140, b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner))) + inner
    for reading in (read(data, EXPLICIT), carefully(data, EXPLICIT)):
        told = {"00080060": {"vr": "CS", "Value": ["CT"]}, "0020000D": {"vr": "UI", "Value": ["1.2.3"]}}
        assert reading.header == {"00081140": {"vr": "SQ", "Value": [told]}, **told}


@pytest.mark.parametrize("length", [16 * 1024, 16 * 1024 + 2, 0xFFFE])
def test_the_longest_text_that_is_told(length: int) -> None:
    data = LABEL + element(0x00204000, b"LT", b"x" * length)
    told = read(data, EXPLICIT).header
    assert told is not None and told == carefully(data, EXPLICIT).header
    assert ("Value" in told["00204000"]) == (length <= 16 * 1024)


@pytest.mark.parametrize("most_bytes", [0, 500, 3000])
def test_what_is_forgotten_is_read_anew(most_bytes: int) -> None:
    """A series in turn with one in other character sets, remembered for a while only."""
    memory = Memory(most_bytes)
    name = element(0x00100010, b"PN", b"\xd0\xa4\xd0")
    for charset in (b"ISO_IR 100", b"ISO_IR 144", b"", b"ISO_IR 100") * 3:
        data = name + element(CHARACTER_SET, b"CS", charset) + LABEL + name
        found = read_header(lambda at, count, data=data: data[at : at + count], len(data), EXPLICIT, memory)
        assert found == carefully(data, EXPLICIT)
