"""The tables of a JPEG frame: which there are, and which of them a scan uses (ITU-T T.81 section B.2.4)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from services.deid.domain.content.jpeg_scan import Codes
from services.deid.domain.dataset import Unreadable

QUANTIZATION, HUFFMAN = 0xDB, 0xC4
DC, AC = 0, 1
_LENGTHS, _ELEMENTS = 16, 64
#: The greatest categories of differences and of coefficients, of any precision (T.81 F.1.2, H.1.2.2).
_GREATEST = {DC: 16, AC: 14}


class Place(NamedTuple):
    """Where a decoder keeps a table: quantization tables, and Huffman tables of DC or AC, four of each."""

    marker: int
    kind: int
    number: int


@dataclass
class Table:
    """One table as it stands in its segment, and whether a scan uses it."""

    data: bytes
    codes: Codes | None = None
    used: bool = False


@dataclass(frozen=True)
class Tables:
    """The tables that a decoder has at a place of the frame."""

    by_place: dict[Place, Table] = field(default_factory=dict)

    def take(self, marker: int, value: bytes) -> list[Table]:
        """The tables of a DQT or DHT segment, which are valid from now on; not what behind them is none."""
        found = list(_quantization(value) if marker == QUANTIZATION else _huffman(value))
        self.by_place.update(found)
        return [table for _, table in found]

    def quantization(self, number: int) -> None:
        """A scan uses this table."""
        self._use(Place(QUANTIZATION, DC, number))

    def huffman(self, kind: int, number: int) -> Codes:
        """The codes of this table, which a scan uses."""
        codes = self._use(Place(HUFFMAN, kind, number)).codes
        if codes is None:
            raise Unreadable
        return codes

    def _use(self, place: Place) -> Table:
        if place not in self.by_place:
            raise Unreadable
        self.by_place[place].used = True
        return self.by_place[place]


def _quantization(value: bytes) -> Iterator[tuple[Place, Table]]:
    at = 0
    while at < len(value):
        precision, number = value[at] >> 4, value[at] & 15
        end = at + 1 + _ELEMENTS * (precision + 1)
        if precision > 1 or number > 3 or end > len(value):
            return
        yield Place(QUANTIZATION, DC, number), Table(value[at:end])
        at = end


def _huffman(value: bytes) -> Iterator[tuple[Place, Table]]:
    at = 0
    while at + 1 + _LENGTHS <= len(value):
        kind, number = value[at] >> 4, value[at] & 15
        lengths = value[at + 1 : at + 1 + _LENGTHS]
        end = at + 1 + _LENGTHS + sum(lengths)
        codes = Codes(lengths, value[at + 1 + _LENGTHS : end])
        if kind > AC or number > 3 or end > len(value) or not _is_sound(kind, codes.values):
            return
        yield Place(HUFFMAN, kind, number), Table(value[at:end], codes)
        at = end


def _is_sound(kind: int, values: bytes) -> bool:
    """Whether the values are categories, each of them once, and of AC with runs before them."""
    if len(set(values)) < len(values):
        return False
    if kind == DC:
        return all(value <= _GREATEST[DC] for value in values)
    return all(value & 15 <= _GREATEST[AC] and (value & 15 or value in (0x00, 0xF0)) for value in values)


def restart_interval(value: bytes) -> int:
    """MCUs between restart markers (T.81 B.2.4.4)."""
    return int(struct.unpack_from(">H", value)[0])
