"""What is de-identified: series as scanners send them, as long as theirs and with as much header."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import MRImageStorage, UltrasoundImageStorage

from bench.support import series


def ct(folder: Path) -> None:
    """CT slices of 512 × 512 × 16 bits, 525 kB."""
    series(folder, 240, 1, rows=512, frames=1)


def mr(folder: Path) -> None:
    """MR slices of 64 × 64 × 16 bits, 12 kB: nearly all header."""
    for path in series(folder, 400, 2, rows=64, frames=1):
        image = dcmread(path)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MRImageStorage
        image.Modality = "MR"
        image.save_as(path)


def us(folder: Path) -> None:
    """Ultrasound images of 1024 × 768 in colour, 2.4 MB, without any text in them."""
    random = np.random.default_rng(3)
    for path in series(folder, 40, 3, rows=16, frames=1):
        image = dcmread(path)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = UltrasoundImageStorage
        image.Modality, image.Rows, image.Columns = "US", 768, 1024
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit, image.PixelRepresentation = 7, 0
        image.PixelData = random.integers(0, 60, size=768 * 1024 * 3, dtype=np.uint8).tobytes()
        image["PixelData"].VR = "OB"
        image.save_as(path)


def multi_frame(folder: Path) -> None:
    """Enhanced CT of 40 frames of 256 × 256 × 16 bits, 5.2 MB."""
    series(folder, 12, 4, rows=256, frames=40)


INPUTS: dict[str, Callable[[Path], None]] = {"CT": ct, "MR": mr, "US": us, "multi-frame": multi_frame}
