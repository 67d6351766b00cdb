"""What lies beside the pixels, where no header shows it, and what is told of an object beside its header."""

import struct
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.part10 import clean_file
from services.deid.domain.pictures.letters import shows_letters
from services.deid.domain.values import is_harmless
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, describe, trusting
from tests.unit.deid.pictures import cleaning, lettered, picture

NATIVE = ExplicitVRLittleEndian
HIDDEN = b"MEYER^HANS 47119 17.04.1951 "


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_what_stands_behind_the_last_pixel_stays_behind(syntax: UID) -> None:
    (slice_,) = make_instances(1)
    pixels = slice_.PixelData
    slice_.PixelData = pixels + HIDDEN
    slice_.file_meta.TransferSyntaxUID = syntax
    cleaned, file = clean(as_file(slice_), trusting())
    assert dcmread(BytesIO(file)).PixelData == pixels
    assert HIDDEN not in file
    if syntax != DeflatedExplicitVRLittleEndian:
        assert cleaned.instance.pixel_length == len(pixels)


@pytest.mark.parametrize("frames", [None, 1])
def test_a_frame_that_the_header_does_not_count_stays_behind(pictures: ProcessPictures, frames: int | None) -> None:
    image = picture([np.zeros_like(lettered()), lettered()], NATIVE)
    if frames is None:
        del image.NumberOfFrames
    else:
        image.NumberOfFrames = frames
    size = image.Rows * image.Columns
    _, file = clean(as_file(image), cleaning(pictures))
    assert dcmread(BytesIO(file)).PixelData == bytes(size)


def jpeg(array: NDArray[np.uint8]) -> bytes:
    """A frame of JPEG baseline."""
    stream = BytesIO()
    Image.fromarray(array).save(stream, "JPEG")
    return stream.getvalue()


def compressed(*frames: bytes) -> Dataset:
    """A picture of one frame by its header, and of these."""
    image = picture([lettered()], NATIVE)
    image.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    image.PixelData = encapsulate(list(frames), has_bot=False)
    return image


def test_a_compressed_frame_that_the_header_does_not_count_is_withheld(pictures: ProcessPictures) -> None:
    with pytest.raises(Withheld) as refused:
        clean(as_file(compressed(jpeg(np.zeros_like(lettered())), jpeg(lettered()))), cleaning(pictures))
    assert refused.value.code is Reason.PIXELS_UNREADABLE


def test_an_offset_table_that_tells_something_else_is_written_anew() -> None:
    image = compressed(jpeg(lettered()))
    frame = image.PixelData[8:]
    image.PixelData = struct.pack("<HHI", 0xFFFE, 0xE000, len(HIDDEN)) + HIDDEN + frame
    _, file = clean(as_file(image), trusting())
    assert HIDDEN not in file
    assert dcmread(BytesIO(file)).PixelData[:8] == struct.pack("<HHI", 0xFFFE, 0xE000, 0)


def test_the_manifest_has_the_numbers_of_the_header_that_goes_out() -> None:
    """A Patient ID is a number, too."""
    (slice_,) = make_instances(1, PatientID="4711938", SeriesNumber="4711938", InstanceNumber="4711938")
    source, sink = as_file(slice_), BytesIO()
    told = describe(source)
    numbers = {"series_number": 4711938, "instance_number": 4711938}
    told = told.model_copy(update={"routing": told.routing.model_copy(update=numbers)})
    cleaned = clean_file(BytesIO(source), told, trusting(), sink)
    assert "4711938" not in cleaned.instance.model_dump_json()
    assert b"4711938" not in sink.getvalue()


def test_letters_on_a_flat_picture_show() -> None:
    """Where nothing but letters differs from its neighbour, the letters are no noise."""
    letters = lettered().astype(np.float32)
    assert shows_letters(np.where(letters > 100, 4095, 0).astype(np.float32))


def test_a_flag_that_warns_is_believed_in_every_class(pictures: ProcessPictures) -> None:
    image = picture([lettered()], NATIVE, BurnedInAnnotation="YES")
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForProcessing
    _, file = clean(as_file(image), cleaning(pictures))
    assert dcmread(BytesIO(file)).PixelData != image.PixelData


@pytest.mark.parametrize(
    "value", [b"VB20_20240115101112", b"20240115T1011", b"2024-01-15 10:11:12", b"x20240115x", b"19510417101112.123"]
)
def test_a_date_with_a_time_behind_it_is_one(value: bytes) -> None:
    assert not is_harmless(value)


@pytest.mark.parametrize("value", [b"syngo CT 2012B", b"VB20P_1996", b"Rel. 12.0.3"])
def test_versions_are_no_dates(value: bytes) -> None:
    assert is_harmless(value)
