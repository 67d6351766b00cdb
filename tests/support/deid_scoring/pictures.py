"""Burned-in text: whether its lettering can still be read, and whether the rest of the picture is what it was."""

import base64
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.pixels import pixel_array

#: A piece of lettering is legible with this much of its contrast and of its likeness to the letters.
_CONTRAST, _LIKENESS = 0.2, 0.3
#: One letter in ten tells no name.
_LEGIBLE = 0.1
#: Pixels may change so near to lettering (in heights of it), and so many elsewhere.
_AROUND = 1.5
_ELSEWHERE = 0.02

Array = "np.ndarray[Any, Any]"


def frames_of(dataset: Dataset) -> "np.ndarray[Any, Any]":
    """Frames × rows × columns × samples."""
    found = np.asarray(pixel_array(dataset))
    samples = int(dataset.get("SamplesPerPixel", 1))
    shape = (-1, int(dataset.Rows), int(dataset.Columns), samples)
    return found.reshape(shape).astype(np.int64)


def mask_of(box: dict[str, Any]) -> "np.ndarray[Any, Any]":
    """The bits of the lettering."""
    x0, y0, x1, y1 = box["box"]
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(box["mask"])), dtype=np.uint8))
    return bits[: (y1 - y0) * (x1 - x0)].reshape(y1 - y0, x1 - x0).astype(bool)


def is_hidden(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any]", box: dict[str, Any]) -> bool:
    """Whether the text of ``box`` can't be read in any of its frames any more."""
    if before.shape != after.shape:
        return False
    mask = mask_of(box)
    x0, y0, x1, y1 = box["box"]
    frames = range(len(before)) if box["frames"] == "all" else box["frames"]
    return not any(_is_legible(before[n, y0:y1, x0:x1], after[n, y0:y1, x0:x1], mask) for n in frames)


def _is_legible(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any]", mask: "np.ndarray[Any, Any]") -> bool:
    pieces = list(_pieces(mask))
    seen = sum(any(_stands_out(before[p][..., s], after[p][..., s], mask[p]) for s in range(before.shape[-1]))
               for p in pieces)  # fmt: skip
    return seen > _LEGIBLE * len(pieces)


def _pieces(mask: "np.ndarray[Any, Any]") -> Iterator[tuple[slice, slice]]:
    """Windows as long as the lettering is high, with letters in them."""
    height, width = mask.shape
    size = max(8, min(height, width))
    for y in range(0, height, size):
        for x in range(0, width, size):
            piece = slice(y, y + size), slice(x, x + size)
            if mask[piece].any() and not mask[piece].all():
                yield piece


def _stands_out(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any]", mask: "np.ndarray[Any, Any]") -> bool:
    was = before[mask].mean() - before[~mask].mean()
    now = after[mask].mean() - after[~mask].mean()
    if abs(now) < max(_CONTRAST * abs(was), 1e-9) or after.std() == 0:
        return False
    return abs(float(np.corrcoef(after.ravel(), mask.ravel())[0, 1])) > _LIKENESS


def is_retained(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any]", boxes: list[dict[str, Any]]) -> bool:
    """Whether pixels away from text are what they were; without text all of them."""
    if before.shape != after.shape:
        return False
    away = np.ones(before.shape[:3], dtype=bool)
    for box in boxes:
        x0, y0, x1, y1 = box["box"]
        around = int(_AROUND * min(y1 - y0, x1 - x0)) + 4
        away[:, max(0, y0 - around) : y1 + around, max(0, x0 - around) : x1 + around] = False
    changed = (np.abs(before - after).max(axis=-1) > 0) & away
    return bool(changed.sum() <= (_ELSEWHERE * away.sum() if boxes else 0))


def plane_shows(after: Dataset, plane: dict[str, Any]) -> bool:
    """Whether lettering can be seen in one bit of native pixels (PS3.5 section 8.1.2)."""
    rows, columns = int(after.Rows), int(after.Columns)
    pixels = np.frombuffer(after.PixelData, dtype=np.uint16)[: rows * columns].reshape(rows, columns)
    x0, y0, x1, y1 = plane["box"]
    bits = (pixels[y0:y1, x0:x1] >> plane["bit"]) & 1
    mask = mask_of(plane)
    return bool(bits.any()) and bool(abs(np.corrcoef(bits.ravel(), mask.ravel())[0, 1]) > _LIKENESS)
