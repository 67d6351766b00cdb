"""What takes the place of text: the background, in every plane."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Boxes
from services.deid.domain.pictures.palette import Palette, darkest

#: Pixels around the letters that go with them.
MARGIN = 3


def background(array: NDArray[Any], photometric: str, palette: Palette | None = None) -> NDArray[Any]:
    """The darkest value as it is displayed: one number for each sample."""
    if palette is not None:
        return np.array(darkest(palette), array.dtype)
    if array.ndim == 3:
        dark = [0, 128, 128] if photometric.startswith("YBR") else [0, 0, 0]
        return np.array(dark, array.dtype)
    return np.array(array.max() if photometric == "MONOCHROME1" else array.min(), array.dtype)


def blank(array: NDArray[Any], photometric: str, boxes: Boxes, palette: Palette | None = None) -> NDArray[Any]:
    """A copy with every box filled with the background."""
    changed, value = array.copy(), background(array, photometric, palette)
    for box in boxes:
        changed[box.top : box.bottom, box.left : box.right] = value
    return changed


def with_margin(box: Box, rows: int, columns: int) -> Box:
    """A found box with room around its letters, more of it along the line, where a faint letter may go on."""
    wide = box.widened(MARGIN, rows, columns)
    along = box.widened(MARGIN + min(box.width, box.height) // 4, rows, columns)
    if box.width >= box.height:
        return Box(along.left, wide.top, along.right, wide.bottom)
    return Box(wide.left, along.top, wide.right, along.bottom)


#: A box of which so much is blank already has nothing more to show.
_BLANK = 0.6


def is_blank(box: Box, blanked: Boxes, share: float = _BLANK) -> bool:
    """True when most of ``box``, this ``share`` of it, lies in what was blanked."""
    covered = np.zeros((box.height, box.width), np.bool_)
    for each in blanked:
        top, left = max(0, each.top - box.top), max(0, each.left - box.left)
        covered[top : max(0, each.bottom - box.top), left : max(0, each.right - box.left)] = True
    return bool(covered.mean() >= share)
