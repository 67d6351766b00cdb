"""Arrays of pixels as grey pictures of eight bits, in which text is to be found."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box

Grey = NDArray[np.uint8]
#: Parts of the brightness scale that a picture shows at least; what is darker or brighter is cut.
_DARKEST, _BRIGHTEST = 0.5, 99.8
#: The luminance of ITU-R BT.601.
_LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)


def greys(array: NDArray[Any], photometric: str) -> tuple[Grey, ...]:
    """The picture (rows, columns[, samples]) as it is displayed, and, of more than eight bits, by rank."""
    if array.ndim == 3:
        return (_colour(array, photometric),)
    if array.dtype.itemsize == 1:
        return (stretched(array),)
    return stretched(array), ranked(array)


def _colour(array: NDArray[Any], photometric: str) -> Grey:
    grey = array[..., 0] if photometric.startswith("YBR") else array.astype(np.float32) @ _LUMINANCE
    return stretched(grey)


def mean_of_samples(array: NDArray[Any]) -> NDArray[np.float32]:
    """Of each pixel (rows, columns, samples), sample by sample: many times as fast as along the last axis."""
    total = array[..., 0].astype(np.float32)
    for sample in range(1, array.shape[2]):
        total += array[..., sample]
    total /= array.shape[2]
    return total


def stretched(array: NDArray[Any]) -> Grey:
    """Between its darkest and brightest pixels but for a few."""
    sample = array[:: 1 + array.shape[0] // 512, :: 1 + array.shape[1] // 512]
    low, high = np.percentile(sample, (_DARKEST, _BRIGHTEST))
    if high <= low:
        low, high = float(array.min()), float(array.max())
    scale = 255.0 / max(high - low, 1e-6)
    return np.clip((array.astype(np.float32) - low) * scale, 0, 255).astype(np.uint8)


def logarithm(image: Grey) -> Grey:
    """By the logarithm of its greys: speckle is multiplied, so its differences in dark and bright are alike then."""
    return stretched(np.log1p(image.astype(np.float32)))


def projectable(array: NDArray[Any], photometric: str) -> Grey:
    """On one scale for all frames of a picture: the upper eight bits of the range of the type, or luminance."""
    if array.ndim == 3:
        grey = array[..., 0] if photometric.startswith("YBR") else array.astype(np.float32) @ _LUMINANCE
        return (grey / (1 << 8 * (array.dtype.itemsize - 1))).astype(np.uint8)
    return stretched(array) if array.dtype.itemsize > 1 else array.astype(np.uint8)


def filled(image: Grey, boxes: Iterable[Box]) -> Grey:
    """The picture with each box as bright as what is around it: a blanked box has edges that look like letters."""
    changed, (rows, columns) = image.copy(), image.shape
    for box in boxes:
        around = box.widened(2, rows, columns)
        ring = np.ones((around.height, around.width), np.bool_)
        ring[box.top - around.top : box.bottom - around.top, box.left - around.left : box.right - around.left] = False
        values = image[around.top : around.bottom, around.left : around.right][ring]
        changed[box.top : box.bottom, box.left : box.right] = int(np.median(values)) if values.size else 0
    return changed


def ranked(array: NDArray[Any]) -> Grey:
    """By rank: each grey as often as any other, so that small differences show."""
    lowest = int(array.min())
    values = array.astype(np.int64) - lowest
    span = int(values.max()) + 1
    if span > 1 << 17:
        values, span = values * (1 << 16) // span, 1 << 16
    counts = np.minimum(np.bincount(values.ravel(), minlength=span), values.size // 64)
    before = np.cumsum(counts) - counts
    return (before * 255 // max(int(before[-1]), 1)).astype(np.uint8)[values]


def enlarged(image: Grey) -> Grey:
    """Twice as wide and high, with means between."""
    for axis in (0, 1):
        wide = image.astype(np.uint16)
        after = np.concatenate([np.take(wide, range(1, wide.shape[axis]), axis), np.take(wide, [-1], axis)], axis)
        shape = tuple(size * (2 if at == axis else 1) for at, size in enumerate(image.shape))
        image = np.stack([wide, (wide + after) // 2], axis=axis + 1).reshape(shape).astype(np.uint8)
    return image


def reduced(image: Grey, step: int) -> Grey:
    """``step`` times smaller, each pixel the mean of those that it stands for; what is over at the edges is left."""
    if step == 1:
        return image
    rows, columns = image.shape[0] // step, image.shape[1] // step
    if not rows or not columns:
        return image
    blocks = image[: rows * step, : columns * step].reshape(rows, step, columns, step)
    small: Grey = blocks.mean(axis=(1, 3), dtype=np.float32).astype(np.uint8)
    return small
