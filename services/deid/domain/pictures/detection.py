"""Where text is in a grey picture, from a map of probabilities that a network or another method gives."""

from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Boxes, Component, components, without_repeats
from services.deid.domain.pictures.continuing import continued, is_written
from services.deid.domain.pictures.letters import grown, sharp
from services.deid.domain.pictures.rendering import Grey, enlarged, logarithm, reduced
from services.deid.domain.pictures.slanted import turned_box

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
#: What fills this part of its box is not slanted; what is has a turned box so much smaller.
_FULLER, _SLANTED = 0.6, 0.75
#: A slanted line or a word of large letters is so many times as long as it is high; the latter more in a small picture,
#: in which networks take heads and necks for letters.
_LONG, _LONGER, _SMALL = 2.0, 3.0, 128


class _Seen(NamedTuple):
    """Sees text in pictures in which a line of it is at most ``highest`` pixels high, or ``long`` times as long."""

    likelihood: Likelihood
    thresholds: Thresholds
    highest: float
    long: float

    def of(self, up: int, down: int) -> "_Seen":
        """The same for a picture ``up`` times larger or ``down`` times smaller."""
        return self._replace(highest=self.highest * up / down)

    def boxes(self, image: Grey) -> Iterator[Box]:
        """Boxes around what is likely text, larger by as much as a network's kernels are smaller (DB, section 3.4).

        A line that runs neither level nor upright has a chain of boxes.
        """
        likely = self.likelihood(image)
        for part in components(likely > self.thresholds.pixel):
            if min(part.box.width, part.box.height) >= _LEAST_SIDE and self._is_likely(part, likely):
                yield from self._around(part, image)

    def _is_likely(self, part: Component, likely: NDArray[np.float32]) -> bool:
        """Whether the mean of its box's pixels that may be text is high enough."""
        inside = likely[part.box.top : part.box.bottom, part.box.left : part.box.right]
        return bool(inside[inside > self.thresholds.pixel].mean() >= self.thresholds.mean)

    def _around(self, part: Component, image: Grey) -> Iterator[Box]:
        box = part.box.widened(self._unclip(part.box.width, part.box.height), *image.shape)
        is_full = part.pixels >= _FULLEST * part.box.area
        is_low = is_full and min(box.width, box.height) <= self.highest
        if is_low:
            yield box
        if part.pixels >= _FULLER * part.box.area and is_low:
            return
        turned = turned_box(part.runs)
        line = turned.widened(self._unclip(turned.length, turned.height))
        if turned.length >= _LONG * turned.height and line.height <= self.highest:
            if part.pixels >= _FULLEST * turned.area and turned.area < _SLANTED * part.box.area:
                yield from line.longer().pieces(*image.shape)
        elif is_full and not is_low and turned.length >= self.long * turned.height and is_written(box, image):
            yield box

    def _unclip(self, width: float, height: float) -> int:
        return ceil(self.thresholds.unclip * width * height / (2 * (width + height)))


def text_boxes(image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Boxes:
    """Boxes around the text of ``image`` (rows, columns), as wide and high as its letters.

    At the size that the picture has, or twice that; then smaller: a small picture by its logarithm, for dark letters in
    speckle, a large one as a whole, for letters too large for a tile.
    """
    if image.min() == image.max():
        return ()
    (rows, columns), seen = image.shape, _Seen(likelihood, thresholds, *_line(image))
    found = list(_large(image, seen))
    if image.size * 4 <= ENLARGED:
        found += seen.boxes(logarithm(image))
    elif max(image.shape) > TILE:
        step = -(-max(image.shape) // TILE)
        found += [scaled(box, step, 1) for box in seen.of(1, step).boxes(reduced(image, step))]
    if not found:
        return ()
    steps = sharp(image)
    lines = _lines(box.widened(0, rows, columns) for box in found)
    return without_repeats(continued(grown(box, steps), image) for box in lines)


def text_boxes_near(places: Boxes, image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Boxes:
    """Boxes around the text of ``image`` (rows, columns) that meets one of ``places``: only there it is looked at."""
    (rows, columns), seen = image.shape, _Seen(likelihood, thresholds, *_line(image))
    found: list[Box] = []
    for part in _apart(place.widened(_AROUND, rows, columns) for place in places):
        inside = image[part.top : part.bottom, part.left : part.right]
        twice = 2 if image.size * 4 <= ENLARGED else 1
        for box in _at_full_size(enlarged(inside) if twice == 2 else inside, seen.of(twice, 1)):
            left, top, right, bottom = scaled(box, 1, twice)
            found.append(Box(left + part.left, top + part.top, right + part.left, bottom + part.top))
    return without_repeats(box.widened(0, rows, columns) for box in _lines(found) if any(map(box.meets, places)))


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


def _large(image: Grey, seen: _Seen) -> Iterator[Box]:
    """What is found at full size, or twice that."""
    if image.size * 4 > ENLARGED:
        yield from _at_full_size(image, seen)
    else:
        for box in _at_full_size(enlarged(image), seen.of(2, 1)):
            yield scaled(box, 1, 2)


def _line(image: Grey) -> tuple[float, float]:
    """How many pixels high a line of text is at most; and how many times as long as high if it is higher."""
    shorter, longer = sorted(image.shape)
    return min(max(72, longer * _HIGHEST), max(16, shorter / 4)), _LONG if shorter >= _SMALL else _LONGER


def scaled(box: Box, up: int, down: int) -> Box:
    """A box ``up`` times larger or ``down`` times smaller, with all that it held."""
    left, top, right, bottom = (each * up for each in box)
    return Box(left // down, top // down, -(-right // down), -(-bottom // down))


def _at_full_size(image: Grey, seen: _Seen) -> Iterator[Box]:
    for left, top, tile in _tiles(image):
        for box in seen.boxes(tile):
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
