"""Pictures for people: enough of a frame to see lettering, and nothing where it can't be shown."""

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from services.deid.domain.looking import picture
from services.deid.domain.looking.picture import png
from tests.support.instances import as_file, make_instances


def shown(file: bytes, frame: int = 0) -> tuple[int, int, int, bytes]:
    """Width, height, bytes per pixel and the lines (without their filter bytes) of the PNG."""
    found = png(BytesIO(file), frame)
    assert found is not None
    assert found.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, bits, colour = struct.unpack_from(">IIBB", found, 16)
    assert bits == 8
    depth = 3 if colour == 2 else 1
    (length,) = struct.unpack_from(">I", found, 33)
    lines = zlib.decompress(found[41 : 41 + length])
    size = width * depth + 1
    assert len(lines) == height * size
    assert struct.unpack(">I", found[41 + length : 45 + length])[0] == zlib.crc32(found[37 : 41 + length])
    return width, height, depth, b"".join(lines[start + 1 : start + size] for start in range(0, len(lines), size))


def made(pixels: bytes, **attributes: Any) -> bytes:
    """A slice of 4 × 4 pixels."""
    (slice_,) = make_instances(1, rows=4, **attributes)
    slice_.PixelData = pixels
    return as_file(slice_)


def test_sixteen_bits_become_greys_from_the_lowest_to_the_highest() -> None:
    values = [0, 1000, 2000, 4000] * 4
    width, height, depth, lines = shown(
        made(struct.pack("<16H", *values), BitsStored=16, HighBit=15, PixelRepresentation=0)
    )
    assert (width, height, depth) == (4, 4, 1)
    assert list(lines[:4]) == [0, 63, 127, 255]


def test_negative_values_are_darker_than_positive_ones() -> None:
    values = [-1000, 0, 1000, 500] * 4
    file = made(struct.pack("<16h", *values), BitsStored=16, HighBit=15, PixelRepresentation=1)
    assert list(shown(file)[3][:4]) == [0, 127, 255, 191]


def test_monochrome1_is_shown_as_it_is_meant() -> None:
    values = [0, 100, 200, 255] * 4
    more = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
    file = made(bytes(values), PhotometricInterpretation="MONOCHROME1", **more)
    assert list(shown(file)[3][:4]) == [255, 155, 55, 0]


@pytest.mark.parametrize("planar", [0, 1])
def test_colours_are_shown_whichever_way_they_lie(planar: int) -> None:
    red, green = b"\xff\0\0", b"\0\xff\0"
    mixed = (red + green) * 8
    planes = b"".join(mixed[each::3] for each in range(3))
    more = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "SamplesPerPixel": 3}
    file = made(planes if planar else mixed, PhotometricInterpretation="RGB", PlanarConfiguration=planar, **more)
    assert shown(file)[2:] == (3, mixed)


def test_ybr_is_shown_in_its_colours() -> None:
    more = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "SamplesPerPixel": 3}
    file = made(bytes([76, 85, 255]) * 16, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=0, **more)
    assert tuple(shown(file)[3][:3]) == (254, 0, 0)


def test_each_frame_is_shown_and_none_beyond_the_last() -> None:
    more = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "NumberOfFrames": "2"}
    file = made(bytes([0, 255] * 8) + bytes([255, 0] * 8), **more)
    assert list(shown(file, 0)[3][:2]) == [0, 255]
    assert list(shown(file, 1)[3][:2]) == [255, 0]
    assert png(BytesIO(file), 2) is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_native_syntaxes_are_shown(syntax: str) -> None:
    (slice_,) = make_instances(1, rows=4, BitsStored=16, HighBit=15, PixelRepresentation=0)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    slice_.PixelData = struct.pack(order + "16H", *([0, 1000, 2000, 4000] * 4))
    slice_["PixelData"].VR = "OW"
    slice_.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    slice_.save_as(
        buffer, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=order == "<", enforce_file_format=True
    )
    assert list(shown(buffer.getvalue())[3][:4]) == [0, 63, 127, 255]


def test_large_frames_are_shown_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "LARGEST", 2)
    file = made(struct.pack("<16H", *range(16)), BitsStored=16, HighBit=15, PixelRepresentation=0)
    width, height, _, lines = shown(file)
    assert (width, height) == (2, 2)
    assert list(lines) == [0, 34, 136, 170]


@pytest.mark.parametrize(
    "attributes",
    [
        {"BitsAllocated": 32, "BitsStored": 32},
        {"Rows": 0},
        {"Rows": 5},
        {"SamplesPerPixel": 2},
        {"NumberOfFrames": "0"},
        {"BitsStored": 17},
    ],
)
def test_what_is_not_as_it_says_is_not_shown(attributes: dict[str, Any]) -> None:
    assert png(BytesIO(made(bytes(32), **attributes)), 0) is None


def test_compressed_frames_and_what_is_no_object_are_not_shown() -> None:
    (slice_,) = make_instances(1)
    file = as_file(slice_)
    assert png(BytesIO(b"nothing"), 0) is None
    assert png(BytesIO(file), -1) is None
    compressed = file.replace(b"1.2.840.10008.1.2.1\0", JPEGBaseline8Bit.encode()[:20].ljust(20, b"\0"))
    assert png(BytesIO(compressed), 0) is None
