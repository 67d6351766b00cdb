"""The second look's reader of pixels: the network that did not look first, over files as they go out (ADR 0029)."""

from collections.abc import Iterator
from typing import BinaryIO

from services.deid.adapters.stored_pixels import StoredPixels
from services.deid.domain.pictures.boxes import Box
from services.deid.domain.pictures.retouch import Pictures
from services.deid.domain.pictures.risk import standard_risks


class SecondEngine:
    """Finds text that is left, in pictures of a kind that is looked at."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def text_boxes(self, file: BinaryIO) -> Iterator[tuple[int, Box]]:
        """Frames and boxes. Raises Broken for what is no Part 10 file, Withheld or Unreadable for unreadable pixels."""
        pixels = StoredPixels(file)
        order = standard_risks().reread(pixels.header) if pixels.are_there else None
        if order is not None:
            picture, frames = pixels.frames(order.picture)
            yield from self._pictures.reread(order.of(picture), frames.all())
