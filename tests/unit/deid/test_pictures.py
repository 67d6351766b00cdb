"""Text burned into pixels is blanked, in every transfer syntax, and nothing else changes."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from services.deid.adapters.pictures import ProcessPictures
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean
from tests.unit.deid.pictures import PLACE, cleaning, lettered, picture

NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
ENCODED = ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90")


def deep(grey: NDArray[np.uint8]) -> NDArray[np.int16]:
    """As a signed picture of 16 bits, 12 of them used."""
    return grey.astype(np.int16) * 8 - 1000


def outside(array: NDArray[Any]) -> NDArray[Any]:
    """All but where the text stands."""
    without = array.copy()
    without[PLACE] = 0
    return without


@pytest.mark.parametrize(
    ("syntax", "kind"),
    [
        *((syntax, "grey") for syntax in NATIVE + ENCODED),
        *((syntax, kind) for syntax in ENCODED for kind in ("colour", "deep")),
        ("1.2.840.10008.1.2.2", "deep"),
    ],
)
def test_text_goes_and_the_rest_stays(pictures: ProcessPictures, syntax: str, kind: str) -> None:
    """In the transfer syntax that it had: one value where letters were, the same samples elsewhere."""
    grey = lettered()
    frame = {"grey": grey, "colour": np.repeat(grey[..., None], 3, axis=2), "deep": deep(grey)}[kind]
    image = picture([frame], syntax, stored=12 if kind == "deep" else 8)
    cleaned, file = clean(as_file(image), cleaning(pictures))
    after = dcmread(BytesIO(file))
    left = after.pixel_array
    assert after.file_meta.TransferSyntaxUID == syntax == cleaned.instance.transfer_syntax
    assert len(np.unique(left[grey > 100].reshape(-1, (frame.ndim == 3 and 3) or 1), axis=0)) == 1
    assert (outside(left) == outside(frame)).all()
    assert after.BurnedInAnnotation == "NO"
    assert after.PhotometricInterpretation == image.PhotometricInterpretation


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.90"])
def test_a_picture_without_text_keeps_its_bytes(pictures: ProcessPictures, syntax: str) -> None:
    """Spliced as they came."""
    image = picture([lettered(text="")], syntax)
    _, file = clean(as_file(image), cleaning(pictures))
    after = dcmread(BytesIO(file))
    assert after.PixelData == image.PixelData
    assert after.BurnedInAnnotation == "NO"


@pytest.mark.parametrize("planes", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colours_by_pixel_and_by_plane(pictures: ProcessPictures, planes: int, photometric: str) -> None:
    """Every plane is blanked: black is 0, 0, 0 or, of luminance and chrominance, 0, 128, 128."""
    grey = lettered()
    frame = np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], axis=2)
    image = picture([frame], ExplicitVRLittleEndian, PhotometricInterpretation=photometric, PlanarConfiguration=planes)
    if planes:
        image.PixelData = frame.transpose(2, 0, 1).tobytes()
    _, file = clean(as_file(image), cleaning(pictures))
    after = dcmread(BytesIO(file))
    stored = np.frombuffer(after.PixelData, np.uint8)
    left = stored.reshape(3, *grey.shape).transpose(1, 2, 0) if planes else stored.reshape(*grey.shape, 3)
    black = [0, 0, 0] if photometric == "RGB" else [0, 128, 128]
    assert (left[grey > 100] == black).all()
    assert (outside(left) == outside(frame)).all()
    assert (after.PhotometricInterpretation, after.PlanarConfiguration) == (photometric, planes)


def test_chrominance_shared_by_two_pixels(pictures: ProcessPictures) -> None:
    """YBR_FULL_422, native: Y1 Y2 CB CR."""
    grey = lettered()
    packed = np.stack([grey[:, ::2], grey[:, 1::2], *[np.full((300, 200), 128, np.uint8)] * 2], axis=2)
    colours = np.repeat(grey[..., None], 3, axis=2)
    image = picture([colours], ExplicitVRLittleEndian, PhotometricInterpretation="YBR_FULL_422")
    image.PixelData = packed.tobytes()
    _, file = clean(as_file(image), cleaning(pictures))
    left = np.frombuffer(dcmread(BytesIO(file)).PixelData, np.uint8).reshape(300, 200, 4)
    luminance = left[..., :2].reshape(300, 400)
    assert (luminance[grey > 100] == 0).all()
    assert (outside(luminance) == outside(grey)).all()
    assert (left[..., 2:] == 128).all()


def test_the_background_of_a_negative_is_its_highest_value(pictures: ProcessPictures) -> None:
    """MONOCHROME1: what is darkest to the eye."""
    grey = lettered()
    image = picture([255 - grey], ExplicitVRLittleEndian, PhotometricInterpretation="MONOCHROME1")
    _, file = clean(as_file(image), cleaning(pictures))
    assert set(dcmread(BytesIO(file)).pixel_array[grey > 100].tolist()) == {255}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *ENCODED])
def test_only_frames_with_text_change(pictures: ProcessPictures, syntax: str) -> None:
    """Two of six have it; the bytes of the others are those that came."""
    frames = [lettered(seed=number, text="DOE, JANE 1977" if number in (2, 3) else "") for number in range(6)]
    image = picture(frames, syntax)
    cleaned, file = clean(as_file(image), cleaning(pictures))
    left = dcmread(BytesIO(file)).pixel_array
    assert [bool((one == other).all()) for one, other in zip(left, frames, strict=True)] == [
        True, True, False, False, True, True,
    ]  # fmt: skip
    for number in (2, 3):
        assert set(left[number][frames[number] > 100].tolist()) == {0}
    assert cleaned.instance.pixels is not None


def test_text_in_a_frame_between_those_that_are_looked_at(pictures: ProcessPictures) -> None:
    """Forty frames, text in one of them: it shows in the projection of its neighbours."""
    frames = [lettered(200, 240, seed=number, text="DOE, JANE" if number == 17 else "") for number in range(40)]
    _, file = clean(as_file(picture(frames, ExplicitVRLittleEndian)), cleaning(pictures))
    left = dcmread(BytesIO(file)).pixel_array
    assert set(left[17][frames[17] > 100].tolist()) == {0}
    assert all(
        (one == other).all() for number, (one, other) in enumerate(zip(left, frames, strict=True)) if number != 17
    )


def test_a_cross_section_is_looked_at_where_something_is_shaped_like_letters(pictures: ProcessPictures) -> None:
    """Text in a primary CT slice goes, though its class is not a risky one and its flag says NO."""
    slice_ = (lettered(256, 256, text="DOE, JANE 1977").astype(np.int16)) * 8 - 1000
    image = picture([slice_], ExplicitVRLittleEndian, stored=16, SOPClassUID=CTImageStorage, Modality="CT")
    image.BurnedInAnnotation = "NO"
    _, file = clean(as_file(image), cleaning(pictures))
    assert len(set(dcmread(BytesIO(file)).pixel_array[slice_ > 100].tolist())) == 1


def test_without_the_option_nothing_is_looked_at(pictures: ProcessPictures) -> None:
    """A slice goes through as it is, and nothing is claimed of its pixels."""
    (slice_,) = make_instances(1)
    _, file = clean(as_file(slice_))
    after = dcmread(BytesIO(file))
    assert after.PixelData == slice_.PixelData
    assert "BurnedInAnnotation" not in after
