"""Text burned into pixels is blanked, and nothing else changes."""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.options import Option
from services.deid.domain.part10 import Project
from services.deid.domain.profile import Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.rules import standard_rules
from services.deid.domain.withholding import standard_refusal
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean

PROFILE = Profile("pixels", options=frozenset({Option.CLEAN_PIXEL_DATA}))


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """A project whose profile has pixels cleaned."""
    pictures = ProcessPictures()
    yield Project(
        "research",
        ProjectKey(b"p" * 32),
        standard_rules(),
        standard_refusal(cleans_pixels=True),
        PROFILE,
        pictures,
    )
    pictures.close()


def lettered(rows: int = 300, columns: int = 400, text: str = "KILMISTER, IAN 24/12/1945") -> NDArray[np.uint8]:
    """A grey picture of speckle with a line of text."""
    speckle = np.random.default_rng(1).rayleigh(12, (rows, columns))
    picture = Image.fromarray(np.clip(speckle, 0, 90).astype(np.uint8))
    ImageDraw.Draw(picture).text((40, 100), text, fill=230, font_size=18)
    return np.asarray(picture)


def ultrasound(pixels: NDArray[np.uint8]) -> Dataset:
    """An ultrasound image of these pixels, native."""
    (image,) = make_instances(1, SOPClassUID=UltrasoundImageStorage, Modality="US")
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OB"
    return image


def test_burned_in_text_goes_and_the_rest_stays(project: Project) -> None:
    """Bright letters in noise: one value where they were, the same bytes elsewhere, and the header says so."""
    pixels = lettered()
    _, file = clean(as_file(ultrasound(pixels)), project)
    after = dcmread(BytesIO(file))
    left = after.pixel_array
    assert set(left[pixels > 100].tolist()) == {0}
    assert (left[:80] == pixels[:80]).all()
    assert (left[140:] == pixels[140:]).all()
    assert after.BurnedInAnnotation == "NO"


def test_a_picture_without_text_keeps_its_bytes(project: Project) -> None:
    """Spliced as they came."""
    pixels = lettered(text="")
    _, file = clean(as_file(ultrasound(pixels)), project)
    assert dcmread(BytesIO(file)).PixelData == pixels.tobytes()
