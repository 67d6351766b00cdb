"""Pixels that are no picture are withheld: no crash, no wait, no guess."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

from services.deid.adapters.pictures import Bounds, ProcessPictures
from services.deid.domain.withholding import Withheld
from tests.support.instances import as_file
from tests.unit.deid.originals import clean
from tests.unit.deid.pictures import cleaning, encoded, lettered, picture

ENCODED = ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90")


def reason(image: Dataset, pictures: ProcessPictures, **profile: Any) -> str:
    """Why the image is withheld."""
    with pytest.raises(Withheld) as refused:
        clean(as_file(image), cleaning(pictures, **profile))
    return refused.value.reason


def of_stream(syntax: str, stream: bytes) -> Dataset:
    """An image whose one frame is ``stream``."""
    image = picture([lettered()], ExplicitVRLittleEndian)
    image.file_meta.TransferSyntaxUID = UID(syntax)
    image.PixelData = encapsulate([stream])
    image["PixelData"].VR = "OB"
    return image


@pytest.mark.parametrize(
    "syntax", [*ENCODED, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.201"]
)
def test_noise_in_place_of_a_frame(pictures: ProcessPictures, syntax: str) -> None:
    """Every decoder refuses it, or dies of it; neither ends the service."""
    assert reason(of_stream(syntax, np.random.default_rng(2).bytes(5000)), pictures) == "pixels-unreadable"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"])
def test_a_frame_that_is_cut_off(pictures: ProcessPictures, syntax: str) -> None:
    """Half a picture is not examined as if it were one."""
    image = picture([lettered()], syntax)
    whole = encoded(lettered(), image)
    assert reason(of_stream(syntax, whole[: len(whole) // 2]), pictures) == "pixels-unreadable"


def test_a_frame_of_another_size_than_the_header_says(pictures: ProcessPictures) -> None:
    """What the header describes is what is examined."""
    image = picture([lettered(300, 400)], "1.2.840.10008.1.2.4.90")
    image.Rows = 200
    assert reason(image, pictures) == "pixels-unreadable"


def test_fewer_native_bytes_than_the_header_says(pictures: ProcessPictures) -> None:
    """The same for what is not compressed."""
    image = picture([lettered(300, 400)], ExplicitVRLittleEndian)
    image.Rows = 301
    assert reason(image, pictures) == "pixels-unreadable"


def test_fewer_fragments_than_frames(pictures: ProcessPictures) -> None:
    """Which frame is which can't be told."""
    image = picture([lettered()], "1.2.840.10008.1.2.4.90", NumberOfFrames=3)
    assert reason(image, pictures) == "pixels-unreadable"


def test_a_header_of_a_picture_larger_than_memory(pictures: ProcessPictures) -> None:
    """It is not even begun."""
    image = picture([lettered()], "1.2.840.10008.1.2.4.90")
    image.Rows = image.Columns = 65535
    assert reason(image, pictures) == "too-large-to-inflate"


@pytest.mark.parametrize(
    "changes", [{"BitsStored": 0}, {"BitsAllocated": 12}, {"SamplesPerPixel": 5}, {"NumberOfFrames": 0}]
)
def test_numbers_that_do_not_go_together(pictures: ProcessPictures, changes: dict[str, int]) -> None:
    """PS3.3 section C.7.6.3."""
    image = picture([lettered()], ExplicitVRLittleEndian)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    assert reason(image, pictures) == "pixels-unreadable"


def test_video(pictures: ProcessPictures) -> None:
    """Nobody looks at every frame of it."""
    assert reason(of_stream("1.2.840.10008.1.2.4.102", b"\0" * 64), pictures) == "video"


def test_a_process_that_takes_too_long_is_ended() -> None:
    """A hang is a reason to withhold; the next picture has a new process."""
    pictures = ProcessPictures(Bounds(wait=0))
    try:
        assert reason(picture([lettered()], ExplicitVRLittleEndian), pictures) == "pixels-unreadable"
    finally:
        pictures.close()


def test_a_process_that_may_not_have_the_memory_says_so() -> None:
    """What it can't decode within its bounds is withheld."""
    pictures = ProcessPictures(Bounds(memory=64 << 20))
    try:
        assert reason(picture([lettered()], ExplicitVRLittleEndian), pictures) == "pixels-unreadable"
    finally:
        pictures.close()


def test_a_picture_after_one_that_killed_its_process(pictures: ProcessPictures) -> None:
    """Goes out as ever."""
    reason(of_stream("1.2.840.10008.1.2.4.90", b"\xff\x4f\xff\x51" + bytes(100)), pictures)
    clean(as_file(picture([lettered()], ExplicitVRLittleEndian)), cleaning(pictures))
