"""A frame as people see it: eight bits, upright contrast, and small enough for a page; never for diagnosis."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.looking.picture import LARGEST
from services.deid.domain.pictures.rendering import stretched

#: YBR_FULL to RGB (PS3.3 section C.7.6.3.1.2).
_RGB = np.array(((1, 1, 1), (0, -0.344136, 1.772), (1.402, -0.714136, 0)), np.float32)


def for_people(array: NDArray[Any], photometric: str) -> NDArray[np.uint8]:
    """The picture (rows, columns[, samples]) in greys or RGB; larger ones with pixels left out."""
    step = max(1, -(-max(array.shape[:2]) // LARGEST))
    array = array[::step, ::step]
    if array.ndim == 2:
        grey = stretched(array)
        return 255 - grey if photometric == "MONOCHROME1" else grey
    if array.dtype.itemsize > 1:
        array = array >> 8 * (array.dtype.itemsize - 1)
    if photometric.startswith("YBR"):
        array = (array.astype(np.float32) - np.array((0, 128, 128), np.float32)) @ _RGB
    shown: NDArray[np.uint8] = np.clip(np.rint(array), 0, 255).astype(np.uint8)
    return shown
