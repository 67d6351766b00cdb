"""Where text is in a grey picture, from a map of probabilities that a network or another method gives."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Boxes, components, without_repeats
from services.deid.domain.pictures.rendering import Grey

#: For each pixel of a grey picture how likely it is text, 0 to 1.
Likelihood = Callable[[Grey], NDArray[np.float32]]


class TextDetector(Protocol):
    """Finds text in a grey picture of eight bits: rows, columns."""

    def text_boxes(self, image: Grey) -> Boxes: ...


class Thresholds(NamedTuple):
    """How likely text is in each pixel of it, and in their mean; and how far letters reach beyond what is found."""

    pixel: float = 0.3
    mean: float = 0.5
    unclip: float = 1.6


#: A picture of more pixels is looked at in tiles of this side, which overlap; a small one is enlarged up to twice.
TILE, OVERLAP = 1024, 96
ENLARGED = 1024 * 768
_LEAST_SIDE = 3


def text_boxes(image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Boxes:
    """Boxes around the text of ``image`` (rows, columns), as wide and high as its letters."""
    scale = 2 if image.size * 4 <= ENLARGED else 1
    found: list[Box] = []
    for left, top, tile in _tiles(image):
        large = _enlarged(tile) if scale == 2 else tile
        for box in _of_map(likelihood(large), thresholds):
            box = Box(box.left // scale, box.top // scale, -(-box.right // scale), -(-box.bottom // scale))
            found.append(Box(box.left + left, box.top + top, box.right + left, box.bottom + top))
    if image.shape[0] > TILE or image.shape[1] > TILE:
        found.extend(_of_whole(image, likelihood, thresholds))
    return without_repeats(found)


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


def _of_whole(image: Grey, likelihood: Likelihood, thresholds: Thresholds) -> Iterator[Box]:
    """Letters too large for a tile: in the whole picture, made smaller."""
    step = -(-max(image.shape) // TILE)
    rows, columns = image.shape[0] // step * step, image.shape[1] // step * step
    small = image[:rows, :columns].reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))
    for box in _of_map(likelihood(small.astype(np.uint8)), thresholds):
        yield Box(box.left * step, box.top * step, box.right * step, box.bottom * step)


def _enlarged(image: Grey) -> Grey:
    """Twice as wide and high, with means between."""
    for axis in (0, 1):
        wide = image.astype(np.uint16)
        after = np.concatenate([np.take(wide, range(1, wide.shape[axis]), axis), np.take(wide, [-1], axis)], axis)
        image = (
            np.stack([wide, (wide + after) // 2], axis=axis + 1)
            .reshape(tuple(size * (2 if at == axis else 1) for at, size in enumerate(image.shape)))
            .astype(np.uint8)
        )
    return image


def _of_map(likely: NDArray[np.float32], thresholds: Thresholds) -> Iterator[Box]:
    """Boxes around what is likely text, made larger by as much as a network's kernels are smaller (DB, section 3.4)."""
    mask = likely > thresholds.pixel
    rows, columns = mask.shape
    for box, _ in components(mask):
        if min(box.width, box.height) < _LEAST_SIDE:
            continue
        inside = likely[box.top : box.bottom, box.left : box.right]
        if inside[inside > thresholds.pixel].mean() >= thresholds.mean:
            by = int(np.ceil(thresholds.unclip * box.area / (2 * (box.width + box.height))))
            yield box.widened(by, rows, columns)
