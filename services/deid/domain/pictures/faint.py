"""Faint letters: where something may be a line of them, and a rendering in which they stand out from noise.

Letters of five times the noise differ from their surroundings by less than single pixels differ from each other. Their
strokes are longer than a pixel, so means along them are steadier than what they are made of.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Boxes, Mask, components, without_repeats
from services.deid.domain.pictures.detection import TILE, TextDetector, scaled
from services.deid.domain.pictures.letters import grown, sharp
from services.deid.domain.pictures.rendering import Grey, mean_of_samples, reduced

#: A mean of four rows steps when it differs from its neighbour by so many times the usual difference, and by this part
#: of the picture's range: 20 HU of a CT.
_NOISE, _RANGE = 4.5, 0.005
#: Letters are looked for in windows of so many columns, in cells of eight, and four means high: of eleven rows.
_LONG, _CELL, _MEANS = 48, 8, 4
_ONES = np.uint64(0x0101010101010101)
#: As in letters.py: so many steps up and as many down in each mean of a window.
_STEPS = 3.5
#: A background is the mean of so many pixels around; what is left of it is shown so many greys for each usual one.
_WIDE, _NARROW, _GAIN = 33, 3, 25.0


#: A line of text is so many times as long as it is high; what a network takes for letters in noise alone is not.
_LENGTH = 2.5


class _Places(NamedTuple):
    """Where lines of letters may be, by the way they run."""

    upright: Boxes
    turned: Boxes


def text_in_noise(plane: NDArray[np.float32], detector: TextDetector) -> Boxes:
    """Boxes around lines of text in a picture (rows, columns) that may be as faint as five times its noise."""
    places = _places(plane)
    if not any(places):
        return ()
    image = evened(plane)
    found = _found(image, places, detector)
    steps = sharp(image) if found else None
    return without_repeats(grown(box, steps) for box in found if steps is not None)


def text_near_lines(image: Grey, detector: TextDetector) -> Boxes:
    """Boxes around the text of a picture as it is displayed, where it may have lines of letters: large ones, too."""
    found = list(_near_lines(image, detector))
    step = -(-max(image.shape) // TILE)
    if step > 1:
        found += [scaled(box, step, 1) for box in _near_lines(reduced(image, step), detector)]
    rows, columns = image.shape
    return without_repeats(box.widened(0, rows, columns) for box in found)


def _near_lines(image: Grey, detector: TextDetector) -> Boxes:
    places = _places(image.astype(np.float32))
    return _found(image, places, detector) if any(places) else ()


def _found(image: Grey, places: _Places, detector: TextDetector) -> Boxes:
    """Long boxes around text at ``places``; of turned lines the networks see more when they are turned upright."""
    found = [*detector.text_boxes(image, places.upright + places.turned)]
    if places.turned:
        for times in (1, 3):
            upright = np.rot90(image, times)
            near = tuple(_turned(box, times, image.shape) for box in places.turned)
            found += (_turned(box, 4 - times, upright.shape) for box in detector.text_boxes(upright, near))
    return tuple(box for box in found if _is_long(box))


def _turned(box: Box, times: int, shape: tuple[int, ...]) -> Box:
    """Where a box of a picture of ``shape`` (rows, columns) lies when that is turned left by so many right angles."""
    rows, columns = shape
    for _ in range(times):
        box = Box(box.top, columns - box.right, box.bottom, columns - box.left)
        rows, columns = columns, rows
    return box


def _is_long(box: Box) -> bool:
    return max(box.width, box.height) >= _LENGTH * min(box.width, box.height)


def plane_of(array: NDArray[Any], photometric: str) -> NDArray[np.float32]:
    """Brightness of a picture (rows, columns[, samples]) in its own units."""
    if array.ndim == 3 and not photometric.startswith("YBR"):
        return mean_of_samples(array)
    return (array[..., 0] if array.ndim == 3 else array).astype(np.float32)


def lines(plane: NDArray[np.float32]) -> Boxes:
    """Where in the picture (rows, columns) a line of letters may be, upright or turned: the boxes of such windows."""
    upright, turned = _places(plane)
    return upright + turned


def _places(plane: NDArray[np.float32]) -> _Places:
    rows, columns = plane.shape
    upright = _windows(plane)
    turned = (Box(box.top, box.left, box.bottom, box.right) for box in _windows(np.ascontiguousarray(plane.T)))
    return _Places(*(tuple(box.widened(0, rows, columns) for box in boxes) for boxes in (upright, turned)))


def _windows(plane: NDArray[np.float32]) -> list[Box]:
    """Boxes around windows in which each row of means has many steps up, and as many down."""
    if plane.shape[0] < 2 * _MEANS + 4 or plane.shape[1] <= _LONG:
        return []
    steps = np.diff(_means(plane), axis=1)
    least = _least(plane, steps)
    high = steps.shape[0] // 2 * 2
    if not high or least <= 0:
        return []
    up, down = steps[:high] > least, steps[:high] < -least
    if not (up.any() and down.any()):
        return []
    hits = np.minimum(_counts(up), _counts(down)) >= _STEPS * _MEANS
    return [_in_pixels(one.box) for one in components(hits)]


def _means(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of four rows, every second row."""
    even = plane.shape[0] // 2 * 2
    pairs = plane[0:even:2] + plane[1:even:2]
    sums: NDArray[np.float32] = pairs[1:] + pairs[:-1]
    return sums


def _least(plane: NDArray[np.float32], steps: NDArray[np.float32]) -> float:
    """What difference of two sums is a step."""
    low, high = np.percentile(plane[::4, ::4], (0.5, 99.8))
    sample = np.abs(steps[::3, ::3])
    some = sample[sample > 0]
    # Where hardly anything differs from its neighbour, it is no noise that differs.
    usual = float(np.median(some)) if 4 * some.size >= sample.size else 0.0
    return max(_NOISE * usual, 4 * _RANGE * float(high - low))


def _counts(mask: Mask) -> NDArray[np.int32]:
    """How many runs of True begin in each window, by pairs of rows and cells of columns."""
    first = mask.copy()
    first[:, 1:] &= ~mask[:, :-1]
    rows, cells = mask.shape[0] // 2, mask.shape[1] // _CELL
    # The eight columns of a cell are the bytes of one number; times _ONES its highest byte is their sum.
    of_rows = np.ascontiguousarray(first[:, : cells * _CELL]).view(np.uint64) * _ONES >> np.uint64(56)
    by_cell = (of_rows[: 2 * rows : 2] + of_rows[1 : 2 * rows : 2]).astype(np.int32)
    total = np.pad((by_cell[1:] + by_cell[:-1]).cumsum(1, dtype=np.int32), ((0, 0), (1, 0)))
    wide = _LONG // _CELL
    found: NDArray[np.int32] = total[:, wide:] - total[:, :-wide]
    return found


def _in_pixels(box: Box) -> Box:
    """A box of windows as a box of what lies in them."""
    return Box(box.left * _CELL, box.top * 4, (box.right - 1) * _CELL + _LONG + 1, (box.bottom - 1) * 4 + 11)


def evened(plane: NDArray[np.float32]) -> Grey:
    """Means of nine pixels against the background around them, as many times the usual difference from it."""
    around = _mean(plane, _WIDE)
    apart = _mean(plane, _NARROW) - around
    usual = float(np.median(np.abs(apart[::2, ::2]))) * 1.4826
    if usual == 0:
        usual = max(float(np.abs(apart).max()) / 4, 1e-6)
    return np.clip(128 + apart * (_GAIN / usual), 0, 255).astype(np.uint8)


def _mean(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Of a square of ``side`` pixels around each, an odd number."""
    return _of_rows(_of_rows(plane, side).T, side).T


def _of_rows(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The mean of each row with those above and below."""
    sums = np.pad(plane, ((side // 2 + 1, side // 2), (0, 0)), mode="edge").cumsum(0, dtype=np.float64)
    found: NDArray[np.float32] = ((sums[side:] - sums[:-side]) / side).astype(np.float32)
    return found
