"""Text of five to eight times the noise around it, in cross-sections and in radiographs."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from services.deid.adapters.examining import Examiner
from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.pictures.boxes import Box, Boxes
from services.deid.domain.pictures.faint import evened, lines, text_in_noise, text_near_lines
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.rendering import Grey, stretched
from services.deid.domain.pictures.retouch import Care, Order
from tests.support.deid_corpus.faint import NOISE, Faint, faint
from tests.support.deid_corpus.lettering import fonts

SLICE = Picture(512, 512, 1, 1, 16, 16, 15, True, "MONOCHROME2", 0, "1.2.840.10008.1.2.1")
#: A line counts as hidden when so much of its lettering is.
HIDDEN = 0.98


def hidden(found: Boxes, one: Faint) -> bool:
    """Whether boxes cover the lettering."""
    covered = np.zeros(one.letters.shape, np.bool_)
    for box in found:
        covered[box.top : box.bottom, box.left : box.right] = True
    return bool(covered[one.letters].mean() >= HIDDEN)


def looking(pictures: ProcessPictures, care: Care) -> Callable[[Faint], Boxes]:
    """The first look of the process at one picture."""

    def look(one: Faint) -> Boxes:
        return pictures.examine(Order(SLICE, care), [one.pixels.tobytes()]).all()

    return look


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("care", [Care.SIGNS, Care.ALWAYS])
@pytest.mark.parametrize(("times", "least"), [(5, 0.8), (6, 0.9), (8, 0.95)])
def test_text_that_noise_nearly_hides_is_found(
    pictures: ProcessPictures, care: Care, times: float, least: float
) -> None:
    """Most of it, in several fonts and sizes (docs/operations/deidentification.md tells how much)."""
    look, known = looking(pictures, care), fonts(installed=True)
    drawn = [faint(seed, times, known) for seed in range(40)]
    assert sum(hidden(look(one), one) for one in drawn) >= least * len(drawn)


@pytest.mark.parametrize("seed", range(6))
def test_noise_without_text_has_none(pictures: ProcessPictures, seed: int) -> None:
    """Nothing is blanked where nothing is written."""
    assert looking(pictures, Care.SIGNS)(faint(seed, 0, [None])) == ()


@pytest.mark.parametrize("seed", range(8))
def test_a_place_of_faint_letters_is_told_from_noise_by_arithmetic(seed: int) -> None:
    """No network is asked about noise alone, nor about the edge of a body."""
    written, (rows, columns) = faint(seed, 6, [None]), np.nonzero(faint(seed, 6, [None]).letters)
    middle = Box(int(columns.mean()), int(rows.mean()), int(columns.mean()) + 1, int(rows.mean()) + 1)
    places = lines(written.pixels.astype(np.float32))
    assert any(place.meets(middle) for place in places)
    assert lines(faint(seed, 0, [None]).pixels.astype(np.float32)) == ()


@pytest.mark.parametrize("turned", [False, True])
def test_letters_upright_and_turned_have_places(turned: bool) -> None:
    pixels = faint(2, 8, [None]).pixels.astype(np.float32)
    assert lines(np.ascontiguousarray(pixels.T) if turned else pixels)


class Marking:
    """Says that all that it is asked about is text, in boxes of a shape."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.asked: Boxes | None = None

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes:
        self.asked = near
        left, top = 100, 100
        return (Box(left, top, left + self.size[0], top + self.size[1]),)


def test_only_lines_are_text_in_noise() -> None:
    """A network sees single letters in it."""
    pixels = faint(4, 8, [None]).pixels.astype(np.float32)
    assert text_in_noise(pixels, Marking(20, 20)) == ()
    assert len(text_in_noise(pixels, Marking(80, 20))) == 1


def test_a_network_is_asked_about_places_alone() -> None:
    engine, pixels = Marking(80, 20), faint(4, 8, [None]).pixels.astype(np.float32)
    text_in_noise(pixels, engine)
    assert engine.asked == lines(pixels)
    engine = Marking(80, 20)
    assert text_in_noise(faint(4, 0, [None]).pixels.astype(np.float32), engine) == ()
    assert engine.asked is None


class Upright:
    """Takes the places for lines that are much wider than high: turned letters it does not see."""

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes:
        rows, columns = image.shape
        assert all(box.right <= columns and box.bottom <= rows for box in near or ())
        return tuple(box for box in near or () if box.width > 3 * box.height)


@pytest.mark.parametrize("turns", range(4))
def test_a_network_is_shown_turned_letters_upright(turns: int) -> None:
    """What it finds there is where the letters are."""
    image = np.rot90(stretched(faint(2, 20, [None], rows=400).pixels), turns)
    places = lines(image.astype(np.float32))
    long = {box for box in places if max(box.width, box.height) > 3 * min(box.width, box.height)}
    assert long
    assert set(text_near_lines(image, Upright())) == long


def test_evened_letters_stand_out_from_a_background_that_varies() -> None:
    """Letters of five times the noise on a slope of a hundred times: brighter than what is around, everywhere alike."""
    one = faint(0, 5, [None])
    slope: NDArray[np.float32] = np.linspace(0, 100 * NOISE, 512, dtype=np.float32)[None, :]
    image = evened(one.pixels.astype(np.float32) + slope).astype(np.float32)
    letters, others = image[one.letters], image[~one.letters]
    assert letters.mean() - others.mean() > 2 * others.std()


@pytest.mark.parametrize("shape", [(5, 5), (11, 48), (12, 49), (3, 600), (600, 3)])
def test_pictures_too_small_for_a_line_have_none(shape: tuple[int, int]) -> None:
    assert lines(np.zeros(shape, np.float32)) == ()
    assert evened(np.zeros(shape, np.float32)).shape == shape


class Twice:
    """Finds a line as it is displayed, and again in its noise, there so many rows ``lower``."""

    def __init__(self, lower: int) -> None:
        self._lower = lower

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes:
        top = 100 + (0 if near is None else self._lower)
        return (Box(10, top, 500, top + 40),)


@pytest.mark.parametrize(("lower", "boxes"), [(1, 1), (60, 2)])
def test_a_line_that_was_found_already_is_not_found_again_in_noise(lower: int, boxes: int) -> None:
    """A box that differs by a pixel would only blank more of what is around."""
    examiner = Examiner()
    examiner.__dict__["_first"] = Twice(lower)
    request = {"do": "examine", "picture": SLICE.facts(), "care": Care.ALWAYS, "cleared_bits": 0}
    request |= {"first": True, "singly": True}
    told, _ = examiner.answer(request, faint(4, 8, [None]).pixels.tobytes())
    assert len(told["boxes"]) == boxes
