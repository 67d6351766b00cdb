"""Pictures with text burned in, as screens and scanners write it; and some without any."""

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.support.deid_corpus.kinds import start
from tests.support.deid_corpus.people import Maker, Patient
from tests.support.deid_corpus.planting import Planted

Array = "np.ndarray[Any, Any]"
_CLASSES = {
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
}
_FOLDER = Path("/usr/share/fonts")


def fonts(*, installed: bool) -> list[Path | None]:
    """Fonts to write with: the one that comes with Pillow (None), and those of the machine if asked for."""
    found: list[Path | None] = [None]
    if installed and _FOLDER.is_dir():
        wanted = ("Sans", "Mono", "Regular", "Bold", "Serif")
        found += [path for path in sorted(_FOLDER.rglob("*.ttf")) if any(each in path.name for each in wanted)][:12]
    return found


def picture(
    maker: Maker, patient: Patient, number: int, modality: str, fonts: list[Path | None], *, is_written: bool = True
) -> Planted:
    """An image of a kind that has text in it, with name, number and date of the patient, or with none."""
    colour = modality == "US"
    rows, columns = (480, 640) if modality in ("US", "OT") else (512, 512)
    deep = modality in ("CR", "DX", "CT")
    attributes = {
        "SOPClassUID": _CLASSES[modality], "Modality": modality, "Rows": rows, "Columns": columns,
        "SamplesPerPixel": 3 if colour else 1, "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": 16 if deep else 8, "BitsStored": 12 if deep else 8, "HighBit": 11 if deep else 7,
    }  # fmt: skip
    canvas = _background(maker, rows, columns)
    lines = (f"{patient.family.upper()}, {patient.given.upper()}", f"ID {patient.patient_id}", f"DOB {patient.born}")
    boxes = [_write(canvas, maker, line, at, fonts) for at, line in enumerate(lines)] if is_written else []
    pixels = (canvas.astype(np.uint16) * 16).tobytes() if deep else canvas.astype(np.uint8).tobytes()
    if colour:
        pixels = np.repeat(canvas.astype(np.uint8)[..., None], 3, axis=2).tobytes()
    target = start(maker, patient, number, "pixels", **attributes, PixelData=b"")
    target.dataset.add_new("PixelData", "OW" if deep else "OB", pixels)
    if colour:
        target.dataset.PlanarConfiguration = 0
    target.boxes = boxes
    return target


def _background(maker: Maker, rows: int, columns: int) -> "np.ndarray[Any, Any]":
    """A soft blob in the middle with noise: no edge that could be a letter."""
    noise = np.random.default_rng(maker.random.randrange(1 << 30)).normal(0, 4, (rows, columns))
    y, x = np.mgrid[:rows, :columns]
    blob = 90 * np.exp(-(((y - rows / 2) / (rows / 5)) ** 2 + ((x - columns / 2) / (columns / 5)) ** 2))
    return np.clip(20 + blob + noise, 0, 255)


def _write(
    canvas: "np.ndarray[Any, Any]", maker: Maker, text: str, line: int, fonts: list[Path | None]
) -> dict[str, Any]:
    """Write a line near an edge; where it is, and its bits."""
    size = maker.random.randrange(13, 26)
    path = maker.random.choice(fonts)
    font: Any = ImageFont.truetype(str(path), size) if path else ImageFont.load_default(size)
    mask = _mask(text, font)
    height, width = mask.shape
    rows, columns = canvas.shape
    y0 = 8 + line * 40 if maker.random.random() < 0.7 else rows - height - 8 - line * 40
    x0 = maker.random.choice([8, max(8, columns - width - 8)])
    mask = mask[:, : columns - x0]
    contrast = maker.random.choice([235, 200, 150, 110])
    area = canvas[y0 : y0 + height, x0 : x0 + mask.shape[1]]
    area[mask] = np.minimum(area[mask] + contrast, 255)
    bits = base64.b64encode(zlib.compress(np.packbits(mask).tobytes())).decode()
    return {
        "text": text, "box": [x0, y0, x0 + mask.shape[1], y0 + height], "frames": "all", "px": size,
        "style": path.stem if path else "default", "contrast": contrast, "mask": bits,
    }  # fmt: skip


def _mask(text: str, font: Any) -> "np.ndarray[Any, Any]":
    left, top, right, bottom = (int(each) for each in font.getbbox(text))
    page = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(page).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(page) > 128
