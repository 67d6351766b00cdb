"""Cross-sections with text that is hardly brighter than their noise, as a window narrow enough still shows it."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

#: Standard deviation of the noise, stored values.
NOISE = 20
_TEXTS = ("DOE, JANE 1977", "MILLER, THOMAS", "ID 4711-0815", "DOB 1961-03-14", "ANDERSSON, KARIN", "PAT 20391847")


class Faint(NamedTuple):
    """Pixels (rows, columns), and which of them are lettering."""

    pixels: NDArray[np.int16]
    letters: NDArray[np.bool_]


def faint(seed: int, times: float, fonts: list[Path | None], *, rows: int = 512, columns: int = 512) -> Faint:
    """A slice of noise around and in a body, with a line of text ``times`` the noise above it; 12 to 26 pixels high.

    The noise of every second seed is that of neighbours in part, as a reconstruction's is.
    """
    random = np.random.default_rng(seed)
    noise = random.normal(0, 1, (rows, columns))
    if seed % 2:
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / 2
    y, x = np.mgrid[:rows, :columns]
    body = 1000 * np.exp(-(((y - rows / 2) / (rows / 4)) ** 4 + ((x - columns / 2) / (columns / 4)) ** 4))
    written = _written(random, fonts, rows, columns)
    pixels = 200 + body + NOISE * (noise + times * written)
    return Faint(pixels.round().astype(np.int16), written > 0.5)


def _written(random: np.random.Generator, fonts: list[Path | None], rows: int, columns: int) -> NDArray[np.float64]:
    """A line somewhere: 1 where letters are, less at their edges."""
    path, size = fonts[int(random.integers(len(fonts)))], int(random.integers(12, 27))
    font: Any = ImageFont.truetype(str(path), size) if path else ImageFont.load_default(size)
    text = _TEXTS[int(random.integers(len(_TEXTS)))]
    left, top, right, bottom = (int(each) for each in font.getbbox(text))
    at = int(random.integers(4, columns - (right - left) - 4)), int(random.integers(4, rows - (bottom - top) - 4))
    page = Image.new("L", (columns, rows))
    ImageDraw.Draw(page).text((at[0] - left, at[1] - top), text, fill=255, font=font)
    return np.asarray(page) / 255.0
