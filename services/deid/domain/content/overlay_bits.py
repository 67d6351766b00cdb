"""Overlays in bits of the pixels that the image leaves free (PS3.5 section 8.1.2, retired) are cleared."""

import struct
from dataclasses import dataclass

import numpy as np

from services.deid.domain.dataset import Elements, Encoding
from services.deid.domain.withholding import Reason, Withheld

_ALLOCATED, _STORED, _HIGH = 0x00280100, 0x00280101, 0x00280102
_POSITION, _DATA = 0x0102, 0x3000
_WIDTHS = {8: "u1", 16: "u2", 32: "u4"}


@dataclass(frozen=True)
class Mask:
    """The bits of each pixel that are the image's: ``form`` is how numpy names a pixel, ``bits`` has a one for each."""

    form: str
    bits: int

    def clear(self, pixels: bytes) -> bytes:
        """Whole pixels with every other bit zero; an odd byte behind them is padding."""
        whole = len(pixels) - len(pixels) % np.dtype(self.form).itemsize
        cleared = np.frombuffer(pixels[:whole], self.form) & np.dtype(self.form).type(self.bits)
        return cleared.astype(self.form).tobytes() + pixels[whole:]


def image_bits(elements: Elements, encoding: Encoding, *, native: bool) -> Mask | None:
    """What to leave of each pixel, None when no overlay lies in them. Raises Withheld where it can't be cleared."""
    positions = _positions(elements, encoding)
    if not positions:
        return None
    allocated, stored, high = (_number(elements, tag, encoding) or 0 for tag in (_ALLOCATED, _STORED, _HIGH))
    lowest = high - stored + 1
    fits = allocated in _WIDTHS and 0 <= lowest <= high < allocated
    if not native or not fits or any(lowest <= position <= high or position >= allocated for position in positions):
        raise Withheld(Reason.OVERLAY_IN_PIXELS)
    return Mask(("<" if encoding.little else ">") + _WIDTHS[allocated], ((1 << stored) - 1) << lowest)


def _positions(elements: Elements, encoding: Encoding) -> set[int]:
    """Bit positions of overlay planes that have one, or have no data of their own (PS3.3 section C.9.2)."""
    planes = {element.tag >> 16 for element in elements if element.tag >> 24 == 0x60}
    with_data = {group for group in planes if any(each.tag == group << 16 | _DATA for each in elements)}
    told = {group: _number(elements, group << 16 | _POSITION, encoding) or 0 for group in planes}
    return {position for group, position in told.items() if position or group not in with_data}


def _number(elements: Elements, tag: int, encoding: Encoding) -> int | None:
    value = next((each.value for each in elements if each.tag == tag), b"")
    return int(struct.unpack_from("<H" if encoding.little else ">H", value)[0]) if len(value) >= 2 else None
