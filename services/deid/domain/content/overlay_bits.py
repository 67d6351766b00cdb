"""Bits of a sample that are no part of the image (PS3.5 section 8.1.1): overlays used to lie there (section 8.1.2).

They hold nothing, or repeat the sign of a signed sample. Whatever else stands there is cleared.
"""

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.content.samples import Samples
from services.deid.domain.dataset import Elements, Encoding
from services.deid.domain.withholding import Reason, Withheld

_POSITION, _DATA = 0x0102, 0x3000
_WIDTHS = {8: "u1", 16: "u2", 32: "u4", 64: "u8"}


def free_bits(allocated: int, stored: int, high: int) -> int:
    """A one for each of the ``allocated`` bits that is none of the ``stored`` ones up to ``high``."""
    return ((1 << allocated) - 1) & ~(((1 << stored) - 1) << (high + 1 - stored))


def without_bits(samples: NDArray[Any], bits: int) -> NDArray[Any]:
    """The samples with these bits zero, whatever their sign."""
    unsigned = samples.view(f"{samples.dtype.byteorder}u{samples.dtype.itemsize}")
    cleared = (unsigned & unsigned.dtype.type(~bits & (1 << 8 * samples.dtype.itemsize) - 1)).astype(unsigned.dtype)
    found: NDArray[Any] = cleared.view(samples.dtype)
    return found


@dataclass(frozen=True)
class Mask:
    """What to leave of each sample: ``form`` is how numpy names one, ``free`` has a one for each bit to clear.

    ``sign`` is the highest bit of a signed sample, 0 where samples have no sign or an overlay lies above it.
    """

    form: str
    free: int
    sign: int = 0

    @cached_property
    def _extension(self) -> int:
        """The free bits above the sign."""
        return self.free & ~(2 * self.sign - 1) if self.sign else 0

    def clear(self, pixels: bytes) -> bytes:
        """Whole samples without what is none of theirs; ``pixels`` itself when nothing is. What is less than one stays.

        A negative sample may repeat its sign in every bit above; where it does so in some of them it then does in all.
        """
        kind = np.dtype(self.form)
        samples = np.frombuffer(pixels, kind, len(pixels) // kind.itemsize)
        if not int(np.bitwise_or.reduce(samples)) & self.free:
            return pixels
        plain = self._plain(samples)
        wrong = samples != plain
        if self.sign and wrong.any():
            wrong &= (samples & kind.type(self.free)) != 0
        if not wrong.any():
            return pixels
        cleared = np.where(wrong, plain, samples).astype(kind)
        return cleared.tobytes() + pixels[cleared.nbytes :]

    def _plain(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Each sample with nothing in its free bits but its sign."""
        width = 8 * samples.dtype.itemsize
        kept = samples.dtype.type((1 << width) - 1 & ~self.free | self._extension)
        if not self.sign:
            return samples & kept
        above = width - self.sign.bit_length()
        signed = samples.astype(f"i{samples.dtype.itemsize}")
        return (signed << above >> above).astype(f"u{samples.dtype.itemsize}") & kept

    def plane_table(self, plane: int) -> bytes | None:
        """What each byte becomes that is the ``plane``-th of a sample, from the highest; None when each may stay.

        By one byte alone the sign is known where it stands in it; a byte above may be all ones.
        """
        shift = 8 * (np.dtype(self.form).itemsize - 1 - plane)
        free, sign, extension = (bits >> shift & 0xFF for bits in (self.free, self.sign, self._extension))
        if not free:
            return None
        is_above = 0 < self.sign < 1 << shift
        return bytes(_cleared(byte, free, extension if byte & sign else 0, is_above) for byte in range(256))


def _cleared(byte: int, free: int, extension: int, is_above: bool) -> int:
    found = byte & free
    if found in (0, extension) or (is_above and found == free):
        return byte
    return (byte & ~free) | extension


def image_bits(
    samples: Samples | None, elements: Elements, encoding: Encoding, *, reachable: bool, cleared: bool = False
) -> Mask | None:
    """What to leave of each sample, None where all of it is the image's or nobody knows.

    Raises Withheld where an overlay lies in the pixels and can't be cleared: ``reachable`` says that samples are there
    without decoding, ``cleared`` that somebody decodes and clears them.
    """
    positions = _positions(elements, encoding)
    if samples is None or samples.allocated not in _WIDTHS or not samples.is_sound:
        if positions:
            raise Withheld(Reason.OVERLAY_IN_PIXELS)
        return None
    free = free_bits(samples.allocated, samples.stored, samples.high)
    if positions and (not (reachable or cleared) or any(not free >> position & 1 for position in positions)):
        raise Withheld(Reason.OVERLAY_IN_PIXELS)
    if not free or not reachable:
        return None
    sign = 1 << samples.high if samples.signed and not positions else 0
    return Mask(("<" if encoding.little else ">") + _WIDTHS[samples.allocated], free, sign)


def _positions(elements: Elements, encoding: Encoding) -> set[int]:
    """Bit positions of overlay planes that have one, or have no data of their own (PS3.3 section C.9.2)."""
    planes = {tag >> 16 for tag, _, _, _ in elements if tag >> 24 == 0x60}
    with_data = {group for group in planes if any(each.tag == group << 16 | _DATA for each in elements)}
    told = {group: _number(elements, group << 16 | _POSITION, encoding) or 0 for group in planes}
    return {position for group, position in told.items() if position or group not in with_data}


def _number(elements: Elements, tag: int, encoding: Encoding) -> int | None:
    value = next((each.value for each in elements if each.tag == tag), b"")
    return int(struct.unpack_from("<H" if encoding.little else ">H", value)[0]) if len(value) >= 2 else None
