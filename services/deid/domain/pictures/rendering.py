"""Arrays of pixels as grey pictures of eight bits, in which text is to be found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def stretched(array: NDArray[Any]) -> Grey:
    """Between its darkest and brightest pixels but for a few."""
    sample = array[:: 1 + array.shape[0] // 512, :: 1 + array.shape[1] // 512]
    low, high = np.percentile(sample, (_DARKEST, _BRIGHTEST))
    if high <= low:
        low, high = float(array.min()), float(array.max())
    scale = 255.0 / max(high - low, 1e-6)
    return np.clip((array.astype(np.float32) - low) * scale, 0, 255).astype(np.uint8)


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
