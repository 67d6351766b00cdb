"""Pictures for people of what is compressed, in a palette, or otherwise not shown by arithmetic alone."""

import asyncio
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from services.deid.adapters.pictures import ProcessPictures
from services.deid.adapters.rendering import RenderedPictures
from services.deid.domain.pictures.display import for_people
from tests.support.instances import as_file, make_instances
from tests.unit.deid.pictures import lettered, picture


def shown(file: bytes, pictures: ProcessPictures, frame: int = 0) -> NDArray[np.uint8] | None:
    """The PNG as pixels; None where there is none."""
    png = asyncio.run(RenderedPictures(pictures).png(BytesIO(file), frame))
    return None if png is None else np.asarray(Image.open(BytesIO(png)))


def jpeg(frame: NDArray[np.uint8]) -> Dataset:
    """The same as baseline JPEG."""
    stream = BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=92)
    image = picture([frame], ExplicitVRLittleEndian)
    image.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    image.PixelData = encapsulate([stream.getvalue()])
    image["PixelData"].VR = "OB"
    return image


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, DeflatedExplicitVRLittleEndian])
def test_compressed_frames_are_shown_each_by_itself(pictures: ProcessPictures, syntax: str) -> None:
    frames = [lettered(seed=number, text=text) for number, text in enumerate(("", "DOE, JANE"))]
    file = as_file(picture(frames, syntax))
    for number, frame in enumerate(frames):
        seen = shown(file, pictures, number)
        assert seen is not None
        assert np.array_equal(seen, for_people(frame, "MONOCHROME2"))
    assert shown(file, pictures, 2) is None


def test_lossy_frames_are_shown(pictures: ProcessPictures) -> None:
    frame = lettered()
    seen = shown(as_file(jpeg(frame)), pictures)
    assert seen is not None
    assert seen[frame > 200].mean() > 150
    assert seen[frame < 20].mean() < 60


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_palette_is_shown_in_its_colours(pictures: ProcessPictures, syntax: str) -> None:
    red = np.zeros((100, 120), np.uint8)
    red[:, 60:] = 1
    image = picture([red], syntax, PhotometricInterpretation="PALETTE COLOR")
    with_palette(image, [(0, 0, 255), (255, 0, 0)])
    seen = shown(as_file(image), pictures)
    assert seen is not None
    assert (seen[0, 0].tolist(), seen[0, 119].tolist()) == ([0, 0, 255], [255, 0, 0])


def with_palette(image: Dataset, colours: list[tuple[int, int, int]]) -> None:
    """Give an image a palette of sixteen bits."""
    for at, name in enumerate(("Red", "Green", "Blue")):
        setattr(image, f"{name}PaletteColorLookupTableDescriptor", [len(colours), 0, 16])
        table = b"".join((257 * colour[at]).to_bytes(2, "little") for colour in colours)
        setattr(image, f"{name}PaletteColorLookupTableData", table)


def test_what_cannot_be_shown_is_not(pictures: ProcessPictures) -> None:
    """Moving pictures, frames that are broken, objects without pixels, files that are none."""
    moving = picture([lettered()], RLELossless)
    moving.file_meta.TransferSyntaxUID = MPEG2MPML
    broken = picture([lettered()], RLELossless)
    broken.PixelData = encapsulate([b"no picture at all, of any kind"])
    (without,) = make_instances(1)
    del without.PixelData
    for file in (as_file(moving), as_file(broken), as_file(without), b"nothing"):
        assert shown(file, pictures) is None


@pytest.mark.parametrize(
    ("array", "photometric", "first"),
    [
        (np.array([[0, 255]], np.uint8), "MONOCHROME2", [0, 255]),
        (np.array([[0, 255]], np.uint8), "MONOCHROME1", [255, 0]),
        (np.array([[-500, 500]], np.int16), "MONOCHROME2", [0, 255]),
        (np.array([[[76, 85, 255], [0, 128, 128]]], np.uint8), "YBR_FULL", [[254, 0, 0], [0, 0, 0]]),
        (np.array([[[65535, 0, 256]]], np.uint16), "RGB", [[255, 0, 1]]),
    ],
)
def test_people_see_eight_bits(array: NDArray[Any], photometric: str, first: list[Any]) -> None:
    assert for_people(array, photometric)[0].tolist() == first


def test_large_pictures_are_shown_with_pixels_left_out() -> None:
    assert for_people(np.zeros((3300, 1000), np.uint8), "MONOCHROME2").shape == (1100, 334)


def test_pictures_of_people_are_png(pictures: ProcessPictures) -> None:
    png = asyncio.run(RenderedPictures(pictures).png(BytesIO(as_file(picture([lettered()], RLELossless))), 0))
    assert png is not None
    assert zlib.crc32(png[12:29]) == int.from_bytes(png[29:33], "big")
