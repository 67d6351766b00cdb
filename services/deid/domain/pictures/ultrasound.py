"""Sequence of Ultrasound Regions (PS3.3 section C.8.5.5): where there is ultrasound, and what lies outside."""

import struct
from collections.abc import Iterator
from itertools import pairwise

from services.deid.domain.dataset import Elements, Encoding
from services.deid.domain.pictures.boxes import Box, Boxes
from services.deid.domain.pictures.picture import Picture

REGIONS = 0x00186011
_LEFT, _TOP, _RIGHT, _BOTTOM = 0x00186018, 0x0018601A, 0x0018601C, 0x0018601E


def outside(elements: Elements, picture: Picture, encoding: Encoding) -> Boxes:
    """Boxes that cover all of the picture but its regions; none when the header names no region."""
    regions = tuple(_regions(elements, picture, encoding))
    if not regions:
        return ()
    rows = sorted({0, picture.rows, *(edge for box in regions for edge in (box.top, box.bottom))})
    return tuple(box for top, bottom in pairwise(rows) for box in _beside(regions, top, bottom, picture.columns))


def _beside(regions: Boxes, top: int, bottom: int, columns: int) -> Iterator[Box]:
    """What is free in a strip of rows in which no region begins or ends."""
    left = 0
    for box in sorted(box for box in regions if box.top <= top and box.bottom >= bottom):
        if box.left > left:
            yield Box(left, top, box.left, bottom)
        left = max(left, box.right)
    if left < columns:
        yield Box(left, top, columns, bottom)


def _regions(elements: Elements, picture: Picture, encoding: Encoding) -> Iterator[Box]:
    items = next((element.items for element in elements if element.tag == REGIONS), None)
    for item in items or ():
        values = {element.tag: element.value for element in item}
        if all(len(values.get(tag, b"")) == 4 for tag in (_LEFT, _TOP, _RIGHT, _BOTTOM)):
            left, top, right, bottom = (
                struct.unpack("<I" if encoding.little else ">I", values[tag])[0]
                for tag in (_LEFT, _TOP, _RIGHT, _BOTTOM)
            )
            box = Box(left, top, right + 1, bottom + 1).widened(0, picture.rows, picture.columns)
            if box.width > 0 and box.height > 0:
                yield box
