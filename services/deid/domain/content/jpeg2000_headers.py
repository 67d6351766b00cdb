"""The segments of JPEG 2000 headers, each with no more than its grammar needs (ITU-T T.800 annex A, T.814 annex A)."""

import struct
from dataclasses import dataclass, field, replace

from services.deid.domain.content.encoders import is_encoder
from services.deid.domain.content.jpeg2000_coding import (
    CAP,
    COC,
    COD,
    EPH,
    POC,
    QCC,
    QCD,
    RGN,
    SIZ,
    SOP,
    Coding,
    orders_of,
    size_of,
    style_of,
)
from services.deid.domain.dataset import Unreadable

TLM, PLT, COM = 0xFF55, 0xFF58, 0xFF64
#: Profiles, lengths of all packets, registration of components: what decodes the image does without them.
_NEEDLESS = frozenset({0xFF56, 0xFF57, 0xFF59, 0xFF63})
_FLAGS = 1 | SOP | EPH


@dataclass
class Header:
    """A header as it is read: the segments that stay, what they say of packets, and the lengths that it tells."""

    coding: Coding | None
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    packet_lengths: list[bytes] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def read(self, frame: bytes, at: int, last: int) -> int:
        """Read segments from ``at`` on; where the marker ``last`` is."""
        while True:
            (marker,) = struct.unpack_from(">H", frame, at)
            if marker == last:
                return at
            (length,) = struct.unpack_from(">H", frame, at + 2)
            value = frame[at + 4 : at + 2 + length]
            if length < 2 or len(value) != length - 2:
                raise Unreadable
            self._take(marker, value)
            at += 2 + length

    def _take(self, marker: int, value: bytes) -> None:
        if marker in _NEEDLESS:
            return
        if marker == PLT:
            self.packet_lengths.append(value)
            return
        if marker == COM:
            if value[:2] in (b"\0\0", b"\0\1") and is_encoder(value[2:]):
                self._keep(marker, 0, value)
            return
        if self.coding is None and marker != SIZ:
            raise Unreadable
        needed = value if marker == TLM else self._needed(marker, value)
        component = int.from_bytes(value[: self._coding.index]) if marker in (COC, QCC, RGN) else 0
        if component >= len(self._coding.size.steps) or (marker != TLM and (marker, component) in self._seen):
            raise Unreadable
        self._keep(marker, component, needed)

    def _keep(self, marker: int, component: int, value: bytes) -> None:
        if marker != COM or (marker, component) not in self._seen:
            self._seen.add((marker, component))
            self.segments.append((marker, value))

    @property
    def _coding(self) -> Coding:
        if self.coding is None:
            raise Unreadable
        return self.coding

    def _needed(self, marker: int, value: bytes) -> bytes:
        """The value without what is behind it; what it says of packets is known then."""
        if marker == SIZ and self.coding is None:
            size, needed = size_of(value)
            self.coding = Coding(size)
            return needed
        coding = self._coding
        if marker == COD:
            flags, kind, layers = struct.unpack_from(">BBH", value)
            style, told = style_of(value[5:], bool(flags & 1))
            if flags & ~_FLAGS or not layers:
                raise Unreadable
            # what a tile says of all its components stands over what the main header says of one (A.6.1)
            self.coding = replace(coding, flags=flags, kind=kind, layers=layers, default=style, styles={})
            return value[:5] + told
        if marker == COC:
            style, told = style_of(value[coding.index + 1 :], bool(value[coding.index] & 1))
            self.coding = replace(coding, styles={**coding.styles, int.from_bytes(value[: coding.index]): style})
            return value[: coding.index + 1] + told
        if marker == POC:
            orders, needed = orders_of(value, coding.index)
            self.coding = replace(coding, orders=orders)
            return needed
        return self._of_numbers(marker, value, coding)

    def _of_numbers(self, marker: int, value: bytes, coding: Coding) -> bytes:
        """What says nothing of packets: capabilities, quantization, regions of interest."""
        if marker == CAP:
            (capabilities,) = struct.unpack_from(">I", value)
            return value[: 4 + 2 * capabilities.bit_count()]
        if marker == RGN:
            return value[: coding.index + 2]
        if marker not in (QCD, QCC):
            raise Unreadable
        start = coding.index if marker == QCC else 0
        bands = 3 * coding.most_levels + 1
        sizes = {0: bands, 1: 2, 2: 2 * bands}
        if value[start] & 31 not in sizes:
            raise Unreadable
        return value[: start + 1 + sizes[value[start] & 31]]


def encoded(marker: int, value: bytes) -> bytes:
    """A segment."""
    return struct.pack(">HH", marker, len(value) + 2) + value


def tile_part_lengths(value: bytes, parts: list[tuple[int, int]]) -> bytes:
    """TLM (A.7.1) of the next ``parts``, which it takes away: tile and length of each; b"" when none is left."""
    index, form = value[1] >> 4 & 3, ">I" if value[1] >> 6 & 1 else ">H"
    count = (len(value) - 2) // (index + struct.calcsize(form))
    if index == 3:
        raise Unreadable
    here, parts[:] = parts[:count], parts[count:]
    entries = b"".join(tile.to_bytes(index) * bool(index) + struct.pack(form, length) for tile, length in here)
    return bytes((value[0], value[1] & 0x70)) + entries if entries else b""


def tells(packet_lengths: list[bytes], lengths: list[int]) -> bool:
    """Whether PLT segments (A.7.3) tell the lengths of a tile-part's packets, and nothing else."""
    numbered = all(value[:1] == bytes((number & 0xFF,)) for number, value in enumerate(packet_lengths))
    return numbered and b"".join(value[1:] for value in packet_lengths) == b"".join(map(_packed, lengths))


def _packed(number: int) -> bytes:
    """Seven bits in each byte, the highest first; all but the last have the eighth (Table A.37)."""
    found = bytes((number & 0x7F,))
    while number := number >> 7:
        found = bytes((number & 0x7F | 0x80,)) + found
    return found
