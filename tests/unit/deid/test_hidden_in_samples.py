"""Text in native pixels beside their samples: above their highest bit, behind the last, in tables of their frames."""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate_extended
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    ParametricMapStorage,
    RLELossless,
)

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.content.overlay_bits import Mask, free_bits, without_bits
from services.deid.domain.pixels import CHUNK, Output
from services.deid.domain.withholding import Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting
from tests.unit.deid.pictures import cleaning, lettered, picture
from tests.unit.deid.test_hidden_in_streams import saved, speckle

SECRET = b"MEYER^HANS 17.04.1951 "
#: Twelve bits, from the least to the greatest.
UNSIGNED = np.arange(4096, dtype=np.uint16).reshape(64, 64)
SIGNED = (np.arange(4096) - 2048).astype(np.int16).reshape(64, 64)


def with_letters(array: NDArray[Any], bits: int = 0x5000) -> NDArray[Any]:
    """The picture with a word in some of its upper bits."""
    word = lettered(64, 64, "") > 20
    word[30:40, 5:60] |= lettered(10, 55) > 10
    changed: NDArray[Any] = array.view(np.uint16) ^ np.where(word, bits, 0).astype(np.uint16)
    return changed.view(array.dtype)


def native(array: NDArray[Any], syntax: str, **attributes: Any) -> bytes:
    """A slice of twelve bits as a file."""
    image = picture([array], syntax, stored=12, BurnedInAnnotation="NO", **attributes)
    out = BytesIO()
    dcmwrite(
        out,
        image,
        implicit_vr=UID(syntax).is_implicit_VR,
        little_endian=UID(syntax).is_little_endian,
        enforce_file_format=True,
    )
    return out.getvalue()


def pixels(file: bytes) -> bytes:
    """The pixels as they lie."""
    return bytes(dcmread(BytesIO(file)).PixelData)


SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("array", [UNSIGNED, SIGNED, SIGNED & 0xFFF], ids=["unsigned", "signed", "sign not repeated"])
def test_samples_that_hold_nothing_else_stay_as_they_are(syntax: UID, array: NDArray[Any]) -> None:
    """A negative sample may repeat its sign in the bits above (PS3.5 section 8.1.1)."""
    file = native(array, syntax)
    assert pixels(clean(file, trusting())[1]) == pixels(file)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("array", [UNSIGNED, SIGNED], ids=["unsigned", "signed"])
def test_a_word_above_the_highest_bit_is_cleared(syntax: UID, array: NDArray[Any]) -> None:
    """No header tells of it."""
    file = native(with_letters(array), syntax)
    assert pixels(file) != pixels(native(array, syntax))
    assert pixels(clean(file, trusting())[1]) == pixels(native(array, syntax))


def test_samples_in_the_upper_bits_leave_the_lower_ones_free() -> None:
    """High Bit 15 of twelve bits stored."""
    image = (UNSIGNED << 4).astype(np.uint16)
    hidden = image | np.frombuffer((SECRET * 200)[:4096], np.uint8).reshape(64, 64) & 0xF
    cleaned = clean(native(hidden.astype(np.uint16), ExplicitVRLittleEndian, HighBit=15), trusting())[1]
    assert pixels(cleaned) == image.tobytes()


def test_a_mask_gives_the_same_bytes_where_nothing_is_hidden() -> None:
    """Nothing is copied for most slices."""
    for array, sign in ((UNSIGNED, 0), (SIGNED, 0x800)):
        data = array.tobytes()
        assert Mask("<u2", free_bits(16, 12, 11), sign).clear(data) is data


@pytest.mark.parametrize("plane", [0, 1])
def test_bytes_of_a_sample_are_cleared_as_the_sample_is(plane: int) -> None:
    """In runs they stand apart."""
    every = np.arange(65536, dtype=np.uint16)
    for mask in (Mask("<u2", 0xF000), Mask("<u2", 0xF000, 0x800), Mask("<u2", 0x000F)):
        table = mask.plane_table(plane) or bytes(range(256))
        whole = np.frombuffer(mask.clear(every.tobytes()), np.uint16)
        shift = 8 * (1 - plane)
        assert np.array_equal(np.frombuffer(table, np.uint8)[every >> shift & 0xFF], (whole >> shift & 0xFF))


def test_bits_are_cleared_of_arrays_of_any_kind() -> None:
    for kind in ("<u2", ">u2", "<i2", "u1"):
        array = np.array([0x7F, -1 if kind[1:] == "i2" else 0xFF]).astype(kind)
        cleared = without_bits(array, 0xF0)
        assert cleared.dtype == array.dtype
        assert not (cleared & array.dtype.type(0x70)).any()


def overlaid(array: NDArray[Any], syntax: str, **attributes: Any) -> Dataset:
    """An image whose header says that an overlay lies in bit 12."""
    image = picture([with_letters(array, 0x1000)], syntax, stored=12, **attributes)
    image.add_new(0x60000010, "US", 64)
    image.add_new(0x60000011, "US", 64)
    image.add_new(0x60000100, "US", 16)
    image.add_new(0x60000102, "US", 12)
    return image


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_an_overlay_is_cleared_the_same_with_and_without_pixel_cleaning(pictures: ProcessPictures, syntax: str) -> None:
    """In one place for whatever has samples as they are."""
    array = np.tile(np.arange(64, dtype=np.uint16) * 60, (64, 1))
    file = as_file(overlaid(array, syntax, BurnedInAnnotation="NO"))
    for project in (trusting(), cleaning(pictures)):
        out = dcmread(BytesIO(clean(file, project)[1]))
        assert np.array_equal(out.pixel_array, array)
        assert not any(element.tag.group == 0x6000 for element in out)


def test_an_overlay_is_cleared_where_text_is_blanked(pictures: ProcessPictures) -> None:
    image = lettered().astype(np.uint16) * 16
    planted = picture([image | 0x1000], ExplicitVRLittleEndian, stored=12)
    planted.add_new(0x60000100, "US", 16)
    planted.add_new(0x60000102, "US", 12)
    out = dcmread(BytesIO(clean(as_file(planted), cleaning(pictures))[1])).pixel_array
    assert out.max() < 4096
    assert (out == image).mean() > 0.5
    assert not np.array_equal(out, image)


@pytest.mark.parametrize("keyword, width", [("FloatPixelData", 4), ("DoubleFloatPixelData", 8)])
def test_what_stands_behind_the_last_float_stays_behind(keyword: str, width: int) -> None:
    """PS3.3 sections C.7.6.24 and C.7.6.25."""
    (map_,) = make_instances(1, SOPClassUID=ParametricMapStorage, BitsAllocated=8 * width, NumberOfFrames=2)
    for gone in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(map_, gone)
    values = np.linspace(0, 1, 512).astype(f"<f{width}").tobytes()
    setattr(map_, keyword, values + SECRET + SECRET)
    _, out = clean(as_file(map_), trusting())
    assert dcmread(BytesIO(out))[keyword].value == values
    assert SECRET not in out


def test_padding_is_a_zero() -> None:
    image = picture([speckle(3, 5)], ExplicitVRLittleEndian)
    image.PixelData = image.PixelData[:-1] + b"M"
    assert pixels(clean(as_file(image), trusting())[1])[15:] == b"\0"


@pytest.mark.parametrize("gone", ["Rows", "Columns", "BitsAllocated"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, DeflatedExplicitVRLittleEndian])
def test_pixels_that_no_header_counts_are_withheld(syntax: str, gone: str) -> None:
    """Nobody knows which of them are none."""
    image = tabled(lambda tables: None) if syntax == JPEGBaseline8Bit else picture([speckle()], syntax)
    delattr(image, gone)
    with pytest.raises(Withheld, match="pixels-unreadable"):
        clean(as_file(image), trusting())


def tabled(change: Callable[[Dataset], None]) -> Dataset:
    """Two frames of JPEG with an Extended Offset Table."""
    frame = saved("JPEG", speckle())
    image = picture([speckle()], ExplicitVRLittleEndian, NumberOfFrames=2)
    image.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    frames, offsets, lengths = encapsulate_extended([frame, frame])
    image.PixelData, image.ExtendedOffsetTable, image.ExtendedOffsetTableLengths = frames, offsets, lengths
    image["PixelData"].VR = "OB"
    change(image)
    return image


def spelled(keyword: str) -> Callable[[Dataset], None]:
    """Text in place of a table."""

    def change(image: Dataset) -> None:
        setattr(image, keyword, (SECRET * 2)[: 8 if keyword.endswith("Length") else 16])

    return change


def test_an_extended_offset_table_that_tells_the_truth_stays() -> None:
    """Lengths are those without padding (PS3.3 section C.7.6.3.1.8)."""
    image = tabled(lambda tables: None)
    out = dcmread(BytesIO(clean(as_file(image), trusting())[1]))
    assert (out.ExtendedOffsetTable, out.ExtendedOffsetTableLengths) == (
        image.ExtendedOffsetTable,
        image.ExtendedOffsetTableLengths,
    )


@pytest.mark.parametrize("keyword", ["ExtendedOffsetTable", "ExtendedOffsetTableLengths"])
def test_an_extended_offset_table_that_tells_something_else_is_written_anew(keyword: str) -> None:
    true = tabled(lambda tables: None)
    _, file = clean(as_file(tabled(spelled(keyword))), trusting())
    out = dcmread(BytesIO(file))
    assert out.ExtendedOffsetTable == true.ExtendedOffsetTable
    lengths = struct.unpack("<2Q", out.ExtendedOffsetTableLengths)
    assert {length + length % 2 for length in lengths} == {len(saved("JPEG", speckle())) + 1 & ~1}
    assert SECRET[:8] not in file


def test_offset_tables_of_native_pixels_go() -> None:
    image = picture([speckle()], ExplicitVRLittleEndian)
    image.ExtendedOffsetTable = image.ExtendedOffsetTableLengths = SECRET[:16]
    image.add_new(0x7FE00003, "UV", int.from_bytes(SECRET[:8], "little"))
    _, out = clean(as_file(image), trusting())
    assert SECRET[:8] not in out
    assert not {0x7FE00001, 0x7FE00002, 0x7FE00003} & {int(element.tag) for element in dcmread(BytesIO(out))}


def test_more_compressed_frames_than_the_header_counts_are_withheld() -> None:
    def fewer(image: Dataset) -> None:
        image.NumberOfFrames = 1

    with pytest.raises(Withheld, match="pixels-unreadable"):
        clean(as_file(tabled(fewer)), trusting())


@pytest.mark.parametrize("before", [0, 2, CHUNK - 2])
def test_no_sample_is_cut_in_two_whatever_stands_before_the_pixels(before: int) -> None:
    """A mask leaves what is less than a sample as it is."""
    sink, count = BytesIO(), CHUNK // 2 + 3
    output = Output(sink)
    output.data(bytes(before))
    output.copy(BytesIO(b"\xff" * 4 * count), 4 * count, Mask("<u4", 0xFF000000))
    assert sink.getvalue() == bytes(before) + b"\xff\xff\xff\0" * count
