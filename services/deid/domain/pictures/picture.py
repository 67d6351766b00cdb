"""What a header says of its pixels (PS3.3 section C.7.6.3)."""

import struct
from dataclasses import dataclass, replace
from typing import Any

from services.deid.domain.cleaning import text_of
from services.deid.domain.content.overlay_bits import free_bits
from services.deid.domain.dataset import Element, Elements, Encoding, Unreadable
from services.deid.domain.pictures.palette import PALETTE, Palette, palette_of
from services.deid.domain.withholding import Reason, Withheld

SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS = 0x00280010, 0x00280011
ALLOCATED, STORED, HIGH_BIT, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
PIXELS = 0x7FE00010
#: A larger frame is not taken apart; bytes as it is in memory.
FRAME_LIMIT = 256 * 1024 * 1024
FRAMES_LIMIT = 100_000


@dataclass(frozen=True)
class Picture:
    """Rows, columns and frames; samples of a pixel and their bits; ``word`` is true for 8 bits in words (VR OW)."""

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: int
    syntax: str
    little: bool = True
    words: bool = False
    palette: Palette | None = None

    @property
    def frame_size(self) -> int:
        """Bytes of a native frame (PS3.5 section 8.1.1); YBR_FULL_422 has two samples for a pixel."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.allocated // 8

    @property
    def decoded_size(self) -> int:
        """Bytes of a frame that was compressed: every sample of every pixel."""
        return self.rows * self.columns * self.samples * self.allocated // 8

    @property
    def free_bits(self) -> int:
        """The bits of a sample that hold no part of it, where overlays used to be."""
        return free_bits(self.allocated, self.stored, self.high_bit)

    @property
    def is_swapped(self) -> bool:
        """Whether the second of two samples comes first: 8 bits in words of big endian (PS3.5 section 8.1.1)."""
        return self.words and not self.little and self.allocated == 8

    def in_words(self, words: bool) -> "Picture":
        """The same with bytes in words, or not."""
        return replace(self, words=words)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return dict(self.__dict__)


def picture_of(elements: Elements, transfer_syntax: str, encoding: Encoding) -> Picture:
    """The picture that a header describes. Raises Unreadable when it can't be one, Withheld when it is too large."""
    by_tag = {element.tag: element for element in elements}

    def number(tag: int, default: int | None = None) -> int:
        return _number(by_tag.get(tag), encoding, default)

    frames = text_of(elements, FRAMES) or "1"
    if not frames.isdecimal():
        raise Unreadable
    picture = Picture(
        rows=number(ROWS),
        columns=number(COLUMNS),
        frames=int(frames),
        samples=number(SAMPLES, 1),
        allocated=number(ALLOCATED),
        stored=number(STORED),
        high_bit=number(HIGH_BIT),
        signed=bool(number(SIGNED, 0)),
        photometric=text_of(elements, PHOTOMETRIC),
        planar=number(PLANAR, 0),
        syntax=transfer_syntax,
        little=encoding.little,
    )
    sound = _sound(picture)
    if sound.photometric == PALETTE and sound.samples == 1:
        return replace(sound, palette=palette_of(elements, encoding, signed=sound.signed))
    return sound


def _number(element: Element | None, encoding: Encoding, default: int | None) -> int:
    """The first value of an attribute of two bytes (VR US)."""
    if element is None or not element.value:
        if default is None:
            raise Unreadable
        return default
    if len(element.value) < 2:
        raise Unreadable
    number: int = struct.unpack_from("<H" if encoding.little else ">H", element.value)[0]
    return number


def _sound(picture: Picture) -> Picture:
    """The picture, when its numbers go together."""
    if picture.allocated not in (8, 16, 32) or not 0 < picture.stored <= picture.allocated:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    if not picture.stored - 1 <= picture.high_bit < picture.allocated or picture.planar not in (0, 1):
        raise Withheld(Reason.PIXELS_UNREADABLE)
    if picture.samples not in (1, 3) or not picture.rows or not picture.columns or not picture.frames:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    if picture.rows * picture.columns * 8 > FRAME_LIMIT or picture.frames > FRAMES_LIMIT:
        raise Withheld(Reason.TOO_LARGE)
    return picture
