"""Text at full contrast that runs neither level nor upright, and letters too large for a line of text."""

from math import cos, radians, sin

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import ExplicitVRLittleEndian

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.pictures.boxes import Box, Boxes, Mask, components
from services.deid.domain.pictures.continuing import is_written
from services.deid.domain.pictures.detection import Thresholds, text_boxes, text_boxes_near
from services.deid.domain.pictures.letters import shows_letters
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.rendering import Grey
from services.deid.domain.pictures.retouch import Care, Order
from services.deid.domain.pictures.slanted import turned_box
from tests.support.deid_corpus.lettering import fonts

SIDE = 512
NAME = "KILMISTER, IAN 1945"


def bar(degrees: float, length: int = 300, height: int = 12, side: int = 600) -> Mask:
    """A rectangle in the middle of a field, falling to the right by an angle."""
    down, across = np.mgrid[:side, :side] + 0.5 - side / 2
    angle = radians(degrees)
    along, beside = across * cos(angle) + down * sin(angle), down * cos(angle) - across * sin(angle)
    found: Mask = (abs(along) <= length / 2) & (abs(beside) <= height / 2)
    return found


def covered(boxes: Boxes, shape: tuple[int, ...]) -> Mask:
    """Which pixels lie in any of the boxes."""
    found = np.zeros(shape, np.bool_)
    for box in boxes:
        found[box.top : box.bottom, box.left : box.right] = True
    return found


def noise(side: int = SIDE) -> Grey:
    """A dark picture without text."""
    return np.random.default_rng(2).normal(40, 4, (side, side)).clip(0, 255).astype(np.uint8)


def written(
    text: str, size: int, degrees: float = 0, side: int = SIDE, *, installed: bool = False
) -> tuple[Grey, Mask]:
    """Noise with white letters in its middle, rising to the right by an angle; and where they are."""
    path = fonts(installed=installed)[-1]
    font = ImageFont.truetype(str(path), size) if path else ImageFont.load_default(size)
    page = Image.new("L", (side, side))
    ImageDraw.Draw(page).text((side / 2, side / 2), text, fill=255, font=font, anchor="mm")
    letters = np.asarray(page.rotate(degrees, resample=Image.Resampling.BICUBIC)) > 128
    return np.where(letters, np.uint8(255), noise(side)), letters


@pytest.mark.parametrize("degrees", [0, 3.3, 20, 45, 61, 90, 117, 150, 179])
def test_a_turned_box_is_as_long_and_high_as_what_it_is_around(degrees: float) -> None:
    """To two pixels, in the direction of a bar."""
    (part,) = components(bar(degrees))
    turned = turned_box(part.runs)
    assert turned.length == pytest.approx(300, abs=2)
    assert turned.height == pytest.approx(12, abs=2)
    assert abs(sin(turned.direction - radians(degrees))) < 0.01
    assert turned.middle == pytest.approx((300, 300), abs=1)


@pytest.mark.parametrize("degrees", [3, 20, 45, 75, 120])
def test_the_pieces_of_a_slanted_line_cover_it_and_little_more(degrees: float) -> None:
    """Less than twice as much as it is, where the box around it has up to fourteen times."""
    line = bar(degrees, height=30)
    (part,) = components(line)
    pieces = tuple(turned_box(part.runs).pieces(*line.shape))
    assert covered(pieces, line.shape)[line].all()
    assert covered(pieces, line.shape).sum() < 2 * line.sum()


def test_pieces_end_where_the_picture_does() -> None:
    """A line that runs out of it."""
    line = bar(45, length=900, side=200)
    (part,) = components(line)
    pieces = tuple(turned_box(part.runs).longer().pieces(*line.shape))
    assert all(box.area and Box(0, 0, 200, 200).holds(box) for box in pieces)


@pytest.mark.parametrize("degrees", [10, 30, 45, 60, 80])
def test_what_a_network_sees_of_a_slanted_line_is_found(degrees: float) -> None:
    """In all of the picture and near a place, with room around it but not up to the corners of its box."""
    line = bar(degrees, length=700, side=1000)
    image = np.where(line, np.uint8(200), noise(1000))

    def likely(grey: Grey) -> NDArray[np.float32]:
        return (grey > 150).astype(np.float32) * 0.9

    found = covered(text_boxes(image, likely, Thresholds()), image.shape)
    assert found[bar(degrees, length=740, height=24, side=1000)].all()
    assert not found[~bar(degrees, length=900, height=120, side=1000)].any()
    place = Box(480, 480, 520, 520)
    near = covered(text_boxes_near((place,), image, likely, Thresholds()), image.shape)
    assert near[line & covered((place,), image.shape)].all()


@pytest.mark.parametrize("text", ["OTTO", "KILMISTER"])
def test_large_letters_that_a_network_sees_are_found(text: str) -> None:
    """Higher than a line of text ever is."""
    size = 150 if text == "OTTO" else 90
    image, letters = written(text, size)
    rows, columns = np.nonzero(letters)
    word = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    turned = Box(word.top, word.left, word.bottom, word.right)
    assert is_written(word.widened(size // 8, SIDE, SIDE), image)
    assert is_written(turned.widened(size // 8, SIDE, SIDE), image.T)

    def likely(grey: Grey) -> NDArray[np.float32]:
        seen, scale = np.zeros(grey.shape, np.float32), grey.shape[0] // SIDE
        left, top, right, bottom = (scale * each for each in word.widened(-word.height // 6, SIDE, SIDE))
        seen[top:bottom, left:right] = 0.9
        return seen

    assert covered(text_boxes(image, likely, Thresholds()), image.shape)[letters].all()


def test_something_large_without_strokes_is_no_word() -> None:
    """Long as one and seen by a network: a body in noise, a plate of one brightness, and squares without end."""
    down, across = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    body = (noise() + 150 * np.exp(-((down / 60) ** 2 + (across / 150) ** 2))).clip(0, 255).astype(np.uint8)
    plate = noise()
    plate[190:320, 80:430] = 255

    def likely(grey: Grey) -> NDArray[np.float32]:
        seen, scale = np.zeros(grey.shape, np.float32), grey.shape[0] // SIDE
        seen[190 * scale : 320 * scale, 80 * scale : 430 * scale] = 0.9
        return seen

    squares = np.kron(np.indices((13, 32)).sum(0) % 2, np.ones((10, 11))).astype(np.uint8) * 64 + 96
    assert not is_written(Box(0, 0, squares.shape[1], squares.shape[0]), squares)
    assert text_boxes(body, likely, Thresholds()) == ()
    assert text_boxes(plate, likely, Thresholds()) == ()


@pytest.mark.parametrize("size", [80, 110, 140, 180])
@pytest.mark.parametrize("turned", [False, True])
def test_large_letters_of_a_cross_section_show(size: int, turned: bool) -> None:
    """In one brightness, in a slice without anything else that is shaped like letters."""
    image, _ = written("KILMISTER"[: 800 // size], size)
    assert not shows_letters(noise())
    assert shows_letters((np.rot90(image) if turned else image).astype(np.int16) * 8)


def hidden(pictures: ProcessPictures, image: Grey, letters: Mask, *, deep: bool = False) -> float:
    """Which part of the letters another value stands for in what goes out."""
    rows, columns = image.shape
    frame = image.astype(np.uint16) * 16 if deep else image
    bits = 8 * frame.dtype.itemsize
    stored = Picture(rows, columns, 1, 1, bits, bits, bits - 1, False, "MONOCHROME2", 0, ExplicitVRLittleEndian)
    order = Order(stored, Care.SIGNS if deep else Care.ALWAYS)
    data = frame.tobytes()
    (clean,) = pictures.clean(order, pictures.examine(order, [data]), [data], stored.syntax)
    if clean is None:
        return 0.0
    after = np.frombuffer(clean, frame.dtype).reshape(image.shape)
    return float((after != frame)[letters].mean())


@pytest.mark.parametrize(("size", "degrees"), [(16, 10), (20, 30), (20, 75), (28, 45)])
def test_slanted_text_is_blanked(pictures: ProcessPictures, size: int, degrees: float) -> None:
    """With the networks, in a picture of a risky kind."""
    assert hidden(pictures, *written(NAME, size, degrees)) >= 0.98


@pytest.mark.parametrize(("size", "deep"), [(90, False), (150, True)])
def test_large_text_is_blanked(pictures: ProcessPictures, size: int, deep: bool) -> None:
    """With the networks: in a picture of a risky kind, and in a cross-section."""
    assert hidden(pictures, *written("KILMISTER"[: 700 // size], size), deep=deep) >= 0.98
