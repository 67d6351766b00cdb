"""What is shaped like letters, and boxes of it; without any network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.deid.domain.pictures.blanking import is_blank
from services.deid.domain.pictures.boxes import Box, components, without_repeats
from services.deid.domain.pictures.detection import Thresholds, text_boxes
from services.deid.domain.pictures.letters import shows_letters
from services.deid.domain.pictures.series import Projection, looked_at_singly

THRESHOLDS = Thresholds()


def body(rows: int = 256) -> NDArray[np.float32]:
    """Something like a slice: a disc with an edge and a ring, noise over all."""
    down, across = np.mgrid[:rows, :rows] - rows / 2
    distance = np.hypot(down, across)
    disc = 1000.0 / (1 + np.exp((distance - rows * 0.4) / 2)) + 900 * np.exp(-(((distance - rows * 0.3) / 3) ** 2))
    found: NDArray[np.float32] = (disc + np.random.default_rng(5).normal(0, 12, disc.shape)).astype(np.float32)
    return found


@pytest.mark.parametrize("size", [10, 14, 20, 32, 48])
@pytest.mark.parametrize("turned", [False, True])
def test_letters_of_any_size_show(size: int, turned: bool) -> None:
    """In a slice, upright and turned, at a third of the range."""
    letters = Image.new("L", (256, 256))
    ImageDraw.Draw(letters).text((20, 90), "DOE, JANE 12", fill=255, font_size=size)
    mask = np.asarray(letters) / 255 * 600
    assert shows_letters(body() + (np.rot90(mask) if turned else mask))


def test_a_slice_has_no_letters() -> None:
    """Edges, rings and noise."""
    assert not shows_letters(body())


def test_a_picture_too_small_to_tell_is_looked_at() -> None:
    """What has no window may have letters."""
    assert shows_letters(np.zeros((64, 64), np.int16))


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_components_are_those_of_a_search(mask: NDArray[np.bool_]) -> None:
    """The same boxes and sizes as a search from pixel to pixel finds."""
    left, found = {(int(row), int(column)) for row, column in np.argwhere(mask)}, []
    while left:
        todo, reached = [left.pop()], []
        while todo:
            row, column = todo.pop()
            reached.append((row, column))
            near = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
            left -= near
            todo += near
        rows, columns = [each[0] for each in reached], [each[1] for each in reached]
        found.append((Box(min(columns), min(rows), max(columns) + 1, max(rows) + 1), len(reached)))
    assert sorted((each.box, each.pixels) for each in components(mask)) == sorted(found)


def test_a_box_in_another_is_no_box_of_its_own() -> None:
    """Once each."""
    assert without_repeats([Box(0, 0, 9, 9), Box(1, 1, 5, 5), Box(0, 0, 9, 9), Box(8, 8, 12, 12)]) == (
        Box(0, 0, 9, 9),
        Box(8, 8, 12, 12),
    )


@given(st.tuples(*[st.integers(0, 20)] * 4), st.lists(st.tuples(*[st.integers(0, 20)] * 4), max_size=3))
def test_what_is_blank_has_most_of_its_pixels_blanked(
    box: tuple[int, int, int, int], others: list[tuple[int, int, int, int]]
) -> None:
    """Counted pixel by pixel."""
    one = Box(box[0], box[1], box[0] + box[2] + 1, box[1] + box[3] + 1)
    blanked = tuple(Box(x, y, x + width + 1, y + height + 1) for x, y, width, height in others)
    field = np.zeros((64, 64), np.bool_)
    for each in blanked:
        field[each.top : each.bottom, each.left : each.right] = True
    assert is_blank(one, blanked) == (field[one.top : one.bottom, one.left : one.right].mean() >= 0.6)


def test_a_large_picture_is_looked_at_in_tiles_that_cover_it() -> None:
    """Lines of bright pixels, one over a border of tiles, and a method that takes bright pixels for text."""
    picture = np.random.default_rng(4).integers(0, 9, (1500, 2300)).astype(np.uint8)
    lines = [Box(5, 5, 105, 17), Box(980, 700, 1080, 712), Box(2190, 1480, 2290, 1492)]
    for line in lines:
        picture[line.top : line.bottom, line.left : line.right] = 255
    found = text_boxes(picture, lambda grey: (grey > 200).astype(np.float32), THRESHOLDS)
    assert all(any(box.holds(line) for box in found) for line in lines)
    assert sum(box.area for box in found) < 0.02 * picture.size


def test_a_picture_of_one_grey_has_no_text() -> None:
    """It is not even asked for."""

    def never(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise AssertionError

    assert text_boxes(np.full((500, 500), 7, np.uint8), never, THRESHOLDS) == ()


def test_what_fills_the_picture_is_no_line_of_text() -> None:
    """A method that calls everything text blanks nothing."""
    noise = np.random.default_rng(4).integers(0, 255, (900, 900)).astype(np.uint8)
    assert text_boxes(noise, lambda grey: np.ones(grey.shape, np.float32), THRESHOLDS) == ()


@pytest.mark.parametrize(("frames", "singly"), [(1, 1), (16, 16), (17, 16), (400, 16)])
def test_the_first_and_last_frame_are_looked_at_singly(frames: int, singly: int) -> None:
    """And others evenly between them."""
    numbers = looked_at_singly(frames)
    assert len(numbers) == singly
    assert {0, frames - 1} <= numbers


def test_a_projection_shows_what_any_frame_has() -> None:
    """The brightest and the darkest; then it begins anew."""
    projection = Projection()
    for value in (40, 200, 7):
        projection.add(np.full((2, 2), value, np.uint8))
    assert [int(each[0, 0]) for each in projection.taken()] == [200, 7]
    assert projection.taken() == ()
