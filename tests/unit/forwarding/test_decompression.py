"""What is compressed without loss comes out as it went in, and everything beside the pixels stays."""

import warnings
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.pixels import pixel_array

from services.forwarding.domain.decompression import NotDecodable, decompressed
from services.forwarding.domain.syntaxes import DEFLATED, EXPLICIT, LOSSY, PLUGINS, is_lossless

RLE, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
PIXEL_DATA, PHOTOMETRIC, PLANAR = 0x7FE00010, 0x00280004, 0x00280006


def data_set(name: str) -> tuple[bytes, str]:
    """The data set of a file that comes with pydicom, and its transfer syntax."""
    with Path(str(get_testdata_file(name))).open("rb") as file:
        read_preamble(file, force=False)
        return bytes((meta := _read_file_meta_info(file)) and file.read()), str(meta.TransferSyntaxUID)


def read(data: bytes) -> Dataset:
    """A data set in Explicit VR Little Endian."""
    found = read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True)
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = EXPLICIT
    return found


def whole(data: bytes, syntax: str) -> Dataset:
    """What comes out."""
    return read(b"".join(decompressed(data, syntax)))


@pytest.mark.parametrize(
    ("compressed", "other"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("rtdose_rle.dcm", "rtdose.dcm"),
        ("rtdose_rle_1frame.dcm", "rtdose_1frame.dcm"),
    ],
)
def test_the_pixels_are_those_that_were_compressed(compressed: str, other: str) -> None:
    found = whole(*data_set(compressed))
    assert found.PixelData == pydicom.dcmread(str(get_testdata_file(other))).PixelData
    assert found[PIXEL_DATA].VR == "OW"


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("MR_small_RLE.dcm", set()),
        ("MR_small_jp2klossless.dcm", set()),
        ("MR_small_jpeg_ls_lossless.dcm", set()),
        ("SC_rgb_rle_2frame.dcm", {PLANAR}),
        ("SC_rgb_rle_16bit_2frame.dcm", {PLANAR}),
        ("SC_rgb_rle_32bit.dcm", {PLANAR}),
        ("GDCMJ2K_TextGBR.dcm", {PHOTOMETRIC}),
        ("examples_jpeg2k.dcm", {PHOTOMETRIC}),
    ],
)
def test_nothing_changes_that_need_not(name: str, changed: set[int]) -> None:
    data, syntax = data_set(name)
    before, after = read(data), whole(data, syntax)
    assert [one.tag for one in before] == [one.tag for one in after]
    differing = {one.tag for one in before if after[one.tag].value != one.value}
    assert differing == {PIXEL_DATA} | changed
    assert len(after.PixelData) % 2 == 0


@pytest.mark.parametrize("name", ["examples_jpeg2k.dcm", "SC_rgb_rle_16bit_2frame.dcm"])
def test_colours_are_what_another_decoder_sees(name: str) -> None:
    """OpenJPEG in Pillow, and pydicom's conversion of planes: neither has a part in what is tested."""
    data, syntax = data_set(name)
    plugin = "pillow" if syntax == JPEG_2000 else ""
    seen = pixel_array(str(get_testdata_file(name)), decoding_plugin=plugin)
    assert (whole(data, syntax).pixel_array == seen).all()


def test_a_deflated_data_set_is_what_was_deflated() -> None:
    data, syntax = data_set("image_dfl.dcm")
    assert syntax == DEFLATED
    assert b"".join(decompressed(data, syntax)) == zlib.decompress(data, -zlib.MAX_WBITS)


def test_what_deflates_a_thousandfold_comes_in_small_pieces() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = stream.compress(bytes(64 * 1024**2)) + stream.flush()
    assert max(map(len, decompressed(bomb, DEFLATED))) <= 1024**2


def shortened(data: bytes, cut: int) -> bytes:
    """The data set with a last fragment that lacks ``cut`` bytes."""
    at = data.rindex(ITEM)
    end = at + 8 + (length := int.from_bytes(data[at + 4 : at + 8], "little"))
    return data[: at + 4] + (length - cut).to_bytes(4, "little") + data[at + 8 : end - cut] + data[end:]


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_of_a_frame_that_ends_too_early_nothing_comes(name: str) -> None:
    """Not even what stands before it: a destination need not hear of an instance that it cannot get."""
    data, syntax = data_set(name)
    with pytest.raises((RuntimeError, NotDecodable)):
        next(decompressed(shortened(data, 1000), syntax))


def test_fragments_without_an_end_are_not_taken_for_whole() -> None:
    data, syntax = data_set("MR_small_jp2klossless.dcm")
    with pytest.raises((NotDecodable, EOFError)):
        list(decompressed(data[: data.rindex(DELIMITER)], syntax))


def test_a_deflated_data_set_without_an_end_is_not_taken_for_whole() -> None:
    data, syntax = data_set("image_dfl.dcm")
    with pytest.raises(NotDecodable):
        list(decompressed(data[:-10], syntax))


def encapsulated(frames: int = 1, **elements: object) -> bytes:
    """A small data set of 8-bit RLE frames."""
    data = Dataset()
    data.SOPInstanceUID, data.Rows, data.Columns, data.SamplesPerPixel = "2.25.1", 2, 2, 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PhotometricInterpretation, data.NumberOfFrames = "MONOCHROME2", frames
    one = b"\1\0\0\0\x40\0\0\0" + bytes(56) + b"\3\1\2\3\4\0"
    data.PixelData = encapsulate([one] * frames)
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    for name, value in elements.items():
        setattr(data, name, value)
    return written(data)


def written(data: Dataset) -> bytes:
    """A data set in Explicit VR Little Endian."""
    with BytesIO() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(file, data, implicit_vr=False, little_endian=True)
        return file.getvalue()


def test_what_stands_behind_the_pixels_stays() -> None:
    found = whole(encapsulated(3, DataSetTrailingPadding=b"\0\0\0\0"), RLE)
    assert (found.PixelData, found.DataSetTrailingPadding) == (b"\1\2\3\4" * 3, bytes(4))


def test_offset_tables_of_fragments_go_with_them() -> None:
    tables = {"ExtendedOffsetTable": bytes(8), "ExtendedOffsetTableLengths": (70).to_bytes(8, "little")}
    found = whole(encapsulated(**tables), RLE)
    assert found.PixelData == b"\1\2\3\4"
    assert "ExtendedOffsetTable" not in found and "ExtendedOffsetTableLengths" not in found


def test_an_object_without_pixels_stays_as_it_is() -> None:
    data = Dataset()
    data.SOPInstanceUID = "2.25.1"
    assert b"".join(decompressed(written(data), RLE)) == written(data)
    data.DataSetTrailingPadding = bytes(6)
    assert b"".join(decompressed(written(data), RLE)) == written(data)


def test_frames_are_as_many_and_as_large_as_the_header_says() -> None:
    with pytest.raises((NotDecodable, ValueError)):
        list(decompressed(encapsulated(2, NumberOfFrames=3), RLE))
    with pytest.raises((NotDecodable, RuntimeError)):
        list(decompressed(encapsulated(1, Rows=3), RLE))


@pytest.mark.parametrize("elements", [{"Rows": 60000, "Columns": 60000, "NumberOfFrames": 2}, {"BitsAllocated": 1}])
def test_what_cannot_be_written_uncompressed_is_refused(elements: dict[str, object]) -> None:
    with pytest.raises(NotDecodable):
        list(decompressed(encapsulated(**elements), RLE))


def test_a_compressed_icon_within_is_refused() -> None:
    """It would be left in a transfer syntax that has no fragments."""
    icon = Dataset()
    icon.PixelData = encapsulate([b"\1\2"])
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", True
    with pytest.raises(NotDecodable):
        list(decompressed(encapsulated(IconImageSequence=[icon]), RLE))


def test_lossy_syntaxes_are_never_decompressed() -> None:
    assert {DEFLATED, *PLUGINS}.isdisjoint(LOSSY)
    assert not any(map(is_lossless, LOSSY))
    assert not is_lossless("1.2.840.10008.1.2.4.50") and not is_lossless(EXPLICIT)
