"""Palettes: what colour a stored value is shown in (PS3.3 section C.7.9)."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.dataset import Elements, Encoding
from services.deid.domain.withholding import Reason, Withheld

PALETTE = "PALETTE COLOR"
_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)
_TABLES = (0x00281201, 0x00281202, 0x00281203)
#: Red, green and blue of each entry, eight bits each, as hexadecimal digits; and which value has the first.
Palette = tuple[str, str, str, int]


def palette_of(elements: Elements, encoding: Encoding, *, signed: bool) -> Palette:
    """The palette in a header. Raises Withheld for one in segments, or that is none: nobody knows what it shows."""
    values = {element.tag: element.value for element in elements if element.items is None}
    order = "<" if encoding.little else ">"
    tables: list[str] = []
    firsts: set[int] = set()
    for descriptor, table in zip(_DESCRIPTORS, _TABLES, strict=True):
        if len(values.get(descriptor, b"")) != 6:
            raise Withheld(Reason.PIXELS_UNREADABLE)
        entries, first, bits = struct.unpack(order + ("HhH" if signed else "HHH"), values[descriptor])
        tables.append(_table(values.get(table, b""), entries or 1 << 16, bits, order).hex())
        firsts.add(first)
    if len(firsts) != 1 or len({len(table) for table in tables}) != 1:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    return tables[0], tables[1], tables[2], firsts.pop()


def _table(value: bytes, entries: int, bits: int, order: str) -> bytes:
    """Eight bits of each entry; those of eight bits may lie in words, or two in each word."""
    if bits == 8 and entries <= len(value) < 2 * entries:
        words = np.frombuffer(value[: len(value) // 2 * 2], order + "u2").astype("<u2")
        return (words.tobytes() + value[len(value) // 2 * 2 :])[:entries]
    if bits not in (8, 16) or len(value) < 2 * entries:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    found = np.frombuffer(value[: 2 * entries], order + "u2")
    return (found >> (bits - 8)).astype(np.uint8).tobytes()


def coloured(array: NDArray[Any], palette: Palette) -> NDArray[np.uint8]:
    """Stored values (rows, columns) as red, green and blue (rows, columns, samples)."""
    colours = _colours(palette)
    shown: NDArray[np.uint8] = colours[np.clip(array.astype(np.int32) - palette[3], 0, len(colours) - 1)]
    return shown


def darkest(palette: Palette) -> int:
    """The stored value that is shown darkest."""
    return int(_colours(palette).sum(axis=1, dtype=np.int32).argmin()) + palette[3]


def _colours(palette: Palette) -> NDArray[np.uint8]:
    return np.stack([np.frombuffer(bytes.fromhex(table), np.uint8) for table in palette[:3]], axis=1)
