"""Where the packets of a JPEG 2000 tile end (ITU-T T.800 annex B.9 and B.10, T.814 annex B).

Only headers of packets are decoded: they say how many bytes each code-block gets. What stands behind the last packet
belongs to no code-block.
"""

from collections.abc import Iterator

from services.deid.domain.content.jpeg2000_coding import BYPASS, EPH, HIGH_THROUGHPUT, SOP, TERMINATION, Coding
from services.deid.domain.content.jpeg2000_tile import Band, Precinct, packets, precincts_of
from services.deid.domain.dataset import Unreadable

_SOP, _EPH = b"\xff\x91\0\4", b"\xff\x92"
#: Bits of a code-block's length before any is told to be longer (B.10.7.1); passes until bypass begins (D.6).
_LENGTH_BITS, _BEFORE_BYPASS = 3, 10


class Packets:
    """The packets of one tile, whose data are those of its tile-parts together."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._mask = 0
        #: Bytes of each packet.
        self.lengths: list[int] = []

    def walk(self, coding: Coding, tile: int) -> int:
        """How many bytes the packets take. Raises Unreadable where they are none; there may be fewer than are told."""
        precincts = precincts_of(coding, tile)
        for order in coding.progressions():
            order = order._replace(layers=min(order.layers, coding.layers))
            for precinct, layer in packets(precincts, order):
                if layer < precinct.layers:
                    continue
                if self._at == len(self._data):
                    return self._at
                precinct.layers = layer + 1
                start = self._at
                self._packet(precinct, layer, coding.flags)
                self.lengths.append(self._at - start)
        return self._at

    def _packet(self, precinct: Precinct, layer: int, flags: int) -> None:
        if flags & SOP and self._data.startswith(_SOP, self._at):
            number = int.from_bytes(self._data[self._at + 4 : self._at + 6])
            if number != len(self.lengths) & 0xFFFF:
                raise Unreadable
            self._at += 6
        size = self._header(precinct, layer)
        if flags & EPH and self._data.startswith(_EPH, self._at):
            self._at += 2
        self._at += size
        if self._at > len(self._data):
            raise Unreadable

    def _header(self, precinct: Precinct, layer: int) -> int:
        """Read a packet's header; the bytes of its body."""
        bits = self._bits()
        size = 0
        if next(bits):
            for band in precinct.bands():
                for block in range(band.count):
                    if _is_included(band, block, layer, bits):
                        size += _length(band, block, precinct.style.style, bits)
        if self._data[self._at - 1] & self._mask:
            raise Unreadable  # bits behind the last that is needed
        if self._data[self._at - 1] == 0xFF:
            if self._data[self._at]:
                raise Unreadable
            self._at += 1
        return size

    def _bits(self) -> Iterator[int]:
        """Bits from here on; behind a byte of ones the first is none (B.10.1)."""
        count = 8
        while self._at < len(self._data):
            byte = self._data[self._at]
            self._at += 1
            if count == 7 and byte > 0x7F:
                raise Unreadable
            for shift in range(count - 1, -1, -1):
                self._mask = (1 << shift) - 1
                yield byte >> shift & 1
            count = 7 if byte == 0xFF else 8
        raise Unreadable


def _is_included(band: Band, block: int, layer: int, bits: Iterator[int]) -> bool:
    """Whether a code-block has something in this packet (B.10.4)."""
    if band.length_bits[block]:
        return bool(next(bits))
    return band.included.is_below(block, layer + 1, bits)


def _length(band: Band, block: int, style: int, bits: Iterator[int]) -> int:
    """The bytes that a code-block has in this packet (B.10.5 to B.10.7)."""
    if not band.length_bits[block]:
        planes = 1
        while not band.planes.is_below(block, planes, bits):
            planes += 1
            if planes > 80:
                raise Unreadable
        band.length_bits[block] = _LENGTH_BITS
    new = _passes(bits)
    while next(bits):
        band.length_bits[block] += 1
    size = 0
    for weight in _segments(band.passes[block], new, style):
        size += _number(bits, band.length_bits[block] + weight.bit_length() - 1)
    band.passes[block] += new
    return size


def _passes(bits: Iterator[int]) -> int:
    """How many coding passes are new (Table B.4)."""
    if not next(bits):
        return 1
    if not next(bits):
        return 2
    for width, base in ((2, 3), (5, 6), (7, 37)):
        number = _number(bits, width)
        if width == 7 or number != (1 << width) - 1:
            return base + number
    raise Unreadable


def _segments(before: int, new: int, style: int) -> Iterator[int]:
    """The passes of each piece that has a length of its own."""
    if style & HIGH_THROUGHPUT:
        yield from _sets(new)
        return
    end = before + new
    while before < end:
        stop = min(end, _termination(before, style))
        yield stop - before
        before = stop


def _termination(before: int, style: int) -> int:
    """The pass behind which the coder ends that codes the pass ``before`` (Table D.9)."""
    if style & TERMINATION:
        return before + 1
    if not style & BYPASS:
        return before + 1000
    if before < _BEFORE_BYPASS:
        return _BEFORE_BYPASS
    return before + (2, 1, 1)[(before - _BEFORE_BYPASS) % 3]


def _sets(new: int) -> Iterator[int]:
    """A clean-up pass with the placeholders before it, and what refines it (T.814 annex B)."""
    placeholders = (new - 1) // 3
    yield placeholders + 1
    if new - 3 * placeholders > 1:
        yield new - 3 * placeholders - 1


def _number(bits: Iterator[int], width: int) -> int:
    number = 0
    for _ in range(width):
        number = number << 1 | next(bits)
    return number
