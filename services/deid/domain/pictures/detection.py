"""Where text is in a grey picture, from a map of probabilities that a network or another method gives."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Boxes, components, without_repeats
from services.deid.domain.pictures.continuing import continued
from services.deid.domain.pictures.letters import grown, sharp
from services.deid.domain.pictures.rendering import Grey, enlarged, logarithm, reduced

#: For each pixel of a grey picture how likely it is text, 0 to 1.
Likelihood = Callable[[Grey], NDArray[np.float32]]


class TextDetector(Protocol):
    """Finds text in a grey picture of eight bits: rows, columns; ``near`` some places only, if they are given."""

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes: ...


class Thresholds(NamedTuple):
    """How likely text is in each pixel of it, and in their mean; and how far letters reach beyond what is found."""

    pixel: float = 0.3
    mean: float = 0.5
    unclip: float = 1.6


#: A picture of more pixels is looked at in tiles of this side, which overlap; a small one is enlarged up to twice.
TILE, OVERLAP = 1024, 96
ENLARGED = 1024 * 768
_LEAST_SIDE = 3
#: What a network sees around a place where it looks, pixels.
_AROUND = 48
#: What is higher than this part of the picture's longer side is no line of text, nor what fills so little of its box.
_HIGHEST, _FULLEST = 1 / 12, 0.25


def text_boxes(image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Boxes:
    """Boxes around the text of ``image`` (rows, columns), as wide and high as its letters.

    At the size that the picture has, or twice that; then smaller: a small picture by its logarithm, for dark letters in
    speckle, a large one as a whole, for letters too large for a tile.
    """
    if image.min() == image.max():
        return ()
    found = list(_large(image, likelihood, thresholds))
    if image.size * 4 <= ENLARGED:
        found += _of_map(likelihood(logarithm(image)), thresholds)
    elif max(image.shape) > TILE:
        step = -(-max(image.shape) // TILE)
        found += [scaled(box, step, 1) for box in _of_map(likelihood(reduced(image, step)), thresholds)]
    if not found:
        return ()
    steps, (rows, columns) = sharp(image), image.shape
    inside = (box.widened(0, rows, columns) for box in found)
    lines = _lines(box for box in inside if _is_line(box, rows, columns))
    return without_repeats(continued(grown(box, steps), image) for box in lines)


def text_boxes_near(places: Boxes, image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Boxes:
    """Boxes around the text of ``image`` (rows, columns) that meets one of ``places``: only there it is looked at."""
    rows, columns = image.shape
    found: list[Box] = []
    for part in _apart(place.widened(_AROUND, rows, columns) for place in places):
        inside = image[part.top : part.bottom, part.left : part.right]
        twice = image.size * 4 <= ENLARGED
        for box in _at_full_size(enlarged(inside) if twice else inside, likelihood, thresholds):
            left, top, right, bottom = scaled(box, 1, 2) if twice else box
            found.append(Box(left + part.left, top + part.top, right + part.left, bottom + part.top))
    lines = _lines(box for box in found if _is_line(box, rows, columns))
    return without_repeats(box.widened(0, rows, columns) for box in lines if any(map(box.meets, places)))


def _apart(boxes: Iterable[Box]) -> list[Box]:
    """Boxes that hold all of ``boxes`` and do not meet each other."""
    apart: list[Box] = []
    for box in boxes:
        joined = box
        while meeting := [other for other in apart if other.meets(joined)]:
            apart = [other for other in apart if other not in meeting]
            for other in meeting:
                joined = joined.joined(other)
        apart.append(joined)
    return apart


def _large(image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Iterator[Box]:
    """What is found at full size, or twice that."""
    if image.size * 4 > ENLARGED:
        yield from _at_full_size(image, likelihood, thresholds)
    else:
        for box in _at_full_size(enlarged(image), likelihood, thresholds):
            yield scaled(box, 1, 2)


def _is_line(box: Box, rows: int, columns: int) -> bool:
    highest = min(max(72, max(rows, columns) * _HIGHEST), max(16, min(rows, columns) / 4))
    return box.area > 0 and min(box.width, box.height) <= highest


def scaled(box: Box, up: int, down: int) -> Box:
    """A box ``up`` times larger or ``down`` times smaller, with all that it held."""
    left, top, right, bottom = (each * up for each in box)
    return Box(left // down, top // down, -(-right // down), -(-bottom // down))


def _at_full_size(image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Iterator[Box]:
    for left, top, tile in _tiles(image):
        for box in _of_map(likelihood(tile), thresholds):
            yield Box(box.left + left, box.top + top, box.right + left, box.bottom + top)


def _tiles(image: Grey) -> Iterator[tuple[int, int, Grey]]:
    """Left, top and pixels of tiles that cover the picture; those of one grey have no text."""
    rows, columns = image.shape
    for top in _starts(rows):
        for left in _starts(columns):
            tile = image[top : top + TILE, left : left + TILE]
            if tile.min() != tile.max():
                yield left, top, tile


def _starts(length: int) -> list[int]:
    if length <= TILE:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [round(number * (length - TILE) / (count - 1)) for number in range(count)]


def _of_map(likely: NDArray[np.float32], thresholds: Thresholds) -> Iterator[Box]:
    """Boxes around what is likely text, made larger by as much as a network's kernels are smaller (DB, section 3.4)."""
    mask = likely > thresholds.pixel
    if not mask.any():
        return
    rows, columns = mask.shape
    for box, pixels in components(mask):
        if min(box.width, box.height) < _LEAST_SIDE or pixels < _FULLEST * box.area:
            continue
        inside = likely[box.top : box.bottom, box.left : box.right]
        if inside[inside > thresholds.pixel].mean() >= thresholds.mean:
            by = int(np.ceil(thresholds.unclip * box.area / (2 * (box.width + box.height))))
            yield box.widened(by, rows, columns)


def _lines(boxes: Iterable[Box]) -> list[Box]:
    """The boxes, and between two of one line, where no more than its height lies between, what lies there."""
    found = list(boxes)
    between = [joined for at, one in enumerate(found) for other in found[:at] if (joined := _one_line(one, other))]
    return found + between


def _one_line(one: Box, other: Box) -> Box | None:
    if one.width < one.height and other.width < other.height:
        turned = _one_line(_turned(one), _turned(other))
        return _turned(turned) if turned else None
    high = min(one.height, other.height)
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    gap = max(one.left, other.left) - min(one.right, other.right)
    if common < 0.7 * max(one.height, other.height) or not 0 <= gap <= 1.5 * high:
        return None
    top, bottom = min(one.top, other.top), max(one.bottom, other.bottom)
    return Box(min(one.right, other.right), top, max(one.left, other.left), bottom)


def _turned(box: Box) -> Box:
    return Box(box.top, box.left, box.bottom, box.right)
