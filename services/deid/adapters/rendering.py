"""Pictures of native pixels; others are rendered where pixels are decoded."""

from typing import BinaryIO

from services.deid.domain.looking.picture import png
from shared.messaging.threads import in_thread


class NativePictures:
    """Renders on a worker thread."""

    async def png(self, file: BinaryIO, frame: int) -> bytes | None:
        return await in_thread(png, file, frame)
