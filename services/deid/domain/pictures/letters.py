"""What letters are to arithmetic: many sharp steps up and down side by side. No network, a few milliseconds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Mask
from services.deid.domain.pictures.rendering import mean_of_samples

#: A step is sharp when it is so many times the usual difference of neighbours (noise), and this part of the range.
_NOISE, _RANGE = 6.0, 0.06
#: Letters are looked for in windows of so many rows and columns, and turned by a quarter.
_HIGH, _LONG = 8, 48
#: So many steps up and as many down in a row of a window: letters up to 56 pixels high have four and more, cross-
#: sections of a body three and fewer.
_STEPS = 3.5
#: Letters larger than that are looked for in pictures so many times smaller, by brightness: the most frequent ones that
#: have this part of the pixels.
_SMALLER, _BRIGHTNESSES, _DRAWN = (4, 8), 4, 0.004
#: So much of a square of that size is drawn where a stroke is.
_STROKE = 0.4
#: Smaller pictures have no window to speak of.
LEAST_SIDE = 96


def shows_letters(array: NDArray[Any]) -> bool:
    """True when something in the picture (rows, columns[, samples]) is shaped like a line of letters, or may be."""
    plane = mean_of_samples(array) if array.ndim == 3 else array.astype(np.float32)
    if min(plane.shape) < LEAST_SIDE:
        return True
    pictures = (plane, *_drawn(plane))
    return any(_most_steps(each) >= _STEPS for one in pictures for each in (one, np.ascontiguousarray(one.T)))


def _drawn(plane: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Where large letters may be: what is drawn in a brightness of its own, smaller, for higher windows.

    Tissue and noise have few pixels as bright as those to the right and below.
    """
    inner = plane[:-1, :-1]
    flat = (inner == plane[:-1, 1:]) & (inner == plane[1:, :-1]) & (inner == plane[1:, 1:])
    values, counts = np.unique(inner[flat], return_counts=True)
    often = np.argsort(-counts)[:_BRIGHTNESSES]
    for value in values[often[counts[often] >= _DRAWN * plane.size]]:
        drawn = ((inner == value) & flat).astype(np.float32)
        for step in _SMALLER:
            rows, columns = (size // step * step for size in drawn.shape)
            means = drawn[:rows, :columns].reshape(rows // step, step, columns // step, step).mean((1, 3))
            yield np.pad((means >= _STROKE).astype(np.float32), _LONG // 2)


def threshold(plane: NDArray[np.float32]) -> float:
    """What difference of neighbours is sharp in this picture."""
    sample = plane[::2, ::2]
    low, high = np.percentile(sample, (0.5, 99.8))
    steps = np.abs(np.diff(plane[::2], axis=1)[:, ::2])
    total, steps = steps.size, steps[steps > 0]
    # Where hardly anything differs from its neighbour, it is no noise that differs.
    usual = float(np.median(steps)) if 4 * steps.size >= total else 0.0
    return max(_NOISE * usual, _RANGE * float(high - low), 1e-6)


def _most_steps(plane: NDArray[np.float32]) -> float:
    """Of all windows the most steps per row that go up and, as many, down."""
    least, steps = threshold(plane), np.diff(plane, axis=1)
    up, down = steps > least, steps < -least
    if not (up.any() and down.any()):
        return 0.0
    return float(np.minimum(_sums(_starts(up)), _sums(_starts(down))).max()) / _HIGH


def _starts(mask: Mask) -> Mask:
    """The first pixel of each run in a row: a blurred edge counts once."""
    first = mask.copy()
    first[:, 1:] &= ~mask[:, :-1]
    return first


def _sums(mask: Mask) -> NDArray[np.int32]:
    """How many are true in each window."""
    total = np.pad(mask.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), ((1, 0), (1, 0)))
    found: NDArray[np.int32] = (
        total[_HIGH:, _LONG:] - total[:-_HIGH, _LONG:] - total[_HIGH:, :-_LONG] + total[:-_HIGH, :-_LONG]
    )
    return found


def sharp(grey: NDArray[Any]) -> Mask:
    """The pixels of a picture (rows, columns) next to a sharp step, to the right or below."""
    plane = grey.astype(np.float32)
    least = threshold(plane)
    found = np.zeros(plane.shape, np.bool_)
    found[:, :-1] |= np.abs(np.diff(plane, axis=1)) > least
    found[:-1] |= np.abs(np.diff(plane, axis=0)) > least
    return found


#: A line of letters goes on where the next piece, as long as letters are high, has this part of its sharp steps.
_GOES_ON = 0.8


def grown(box: Box, steps: Mask) -> Box:
    """The box of a line of letters, longer at either end by a piece when there are letters."""
    if box.width < box.height:
        turned = grown(Box(box.top, box.left, box.bottom, box.right), steps.T)
        return Box(turned.top, turned.left, turned.bottom, turned.right)
    rows = steps[box.top : box.bottom]
    least = _GOES_ON * rows[:, box.left : box.right].mean()
    before, after = rows[:, max(0, box.left - box.height) : box.left], rows[:, box.right : box.right + box.height]
    left = box.left - before.shape[1] if before.size and before.mean() >= least else box.left
    right = box.right + after.shape[1] if after.size and after.mean() >= least else box.right
    return Box(left, box.top, right, box.bottom)
