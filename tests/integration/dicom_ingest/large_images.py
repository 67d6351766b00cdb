"""Images of any size that take no room: their pixels are a hole in a file."""

from pathlib import Path

from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import element, encode

MIB = 1 << 20
#: One frame of 1024 x 1024 pixels of 16 bits, bytes.
FRAME = 2 * MIB
#: Explicit lengths end here (PS3.5 section 7.1.1), so that a longer data set needs another element behind its pixels.
_LONGEST_PIXELS = (0xFFFFFFFE // FRAME) * FRAME


def sparse_image(path: Path, size: int) -> int:
    """Write a data set with ``size`` bytes of pixels and padding behind its header; its length in bytes.

    A file without meta information, Explicit VR Little Endian. Beyond 4 GiB the rest is Data Set Trailing Padding.
    """
    (image,) = make_instances(1)
    del image.PixelData
    pixels = min(size // FRAME * FRAME, _LONGEST_PIXELS) if size >= FRAME else size
    image.Rows, image.Columns = (1024, 1024) if size >= FRAME else (size // 1024, 512)
    image.NumberOfFrames = max(1, pixels // FRAME)
    header = encode(image, "1.2.840.10008.1.2.1") + element(0x7FE00010, b"OW", b"", pixels)
    with path.open("wb") as file:
        file.write(header)
        end = len(header) + pixels
        if size > pixels:
            file.seek(end)
            padding = element(0xFFFCFFFC, b"OB", b"", size - pixels)
            file.write(padding)
            end += len(padding) + size - pixels
        file.truncate(end)
    return end
