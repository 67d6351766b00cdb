"""Pictures for people: native pixels by arithmetic, others as the process decodes them."""

from typing import BinaryIO

from services.deid.adapters.pictures import ProcessPictures
from services.deid.adapters.stored_pixels import StoredPixels
from services.deid.domain.dataset import Unreadable
from services.deid.domain.looking.picture import encode, png
from services.deid.domain.looking.reader import Broken
from services.deid.domain.pictures.picture import picture_of
from services.deid.domain.withholding import Withheld
from shared.messaging.threads import in_thread


class RenderedPictures:
    """Renders on a worker thread."""

    def __init__(self, pictures: ProcessPictures) -> None:
        self._pictures = pictures

    async def png(self, file: BinaryIO, frame: int) -> bytes | None:
        """The frame (from 0) of a Part 10 file; None for moving pictures, and for what can't be decoded."""
        return await in_thread(self._png, file, frame)

    def _png(self, file: BinaryIO, frame: int) -> bytes | None:
        try:
            return png(file, frame) or self._decoded(file, frame)
        except (Broken, Unreadable, Withheld):
            return None

    def _decoded(self, file: BinaryIO, frame: int) -> bytes | None:
        pixels = StoredPixels(file)
        if not pixels.are_there:
            return None
        picture, frames = pixels.frames(picture_of(*pixels.header))
        if not 0 <= frame < picture.frames:
            return None
        width, height, samples, content = self._pictures.show(picture, frames.frame(frame))
        size = width * samples
        return encode(width, height, samples, (content[at : at + size] for at in range(0, len(content), size)))
