"""JPEG 2000 and HTJ2K frames of nothing but what decodes them (ITU-T T.800 annexes A and I, T.814).

Comments and boxes go; so do bytes that a segment does not need, and what stands behind a tile's last packet
(jpeg2000_packets.py). A tile-part that is shorter then says so (SOT, TLM).
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.deid.domain.content.jpeg import padding
from services.deid.domain.content.jpeg2000_coding import Coding
from services.deid.domain.content.jpeg2000_headers import PLT, TLM, Header, encoded, tells, tile_part_lengths
from services.deid.domain.content.jpeg2000_packets import Packets
from services.deid.domain.dataset import Unreadable

SOC, JP2 = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
_SOT, _SOD, _EOC = 0xFF90, 0xFF93, 0xFFD9
_HEAD, _MARK = 12, 2
#: Boxes of a JP2 header that say what the code stream and the data set say as well.
_REPEATED_BOXES = frozenset([b"ihdr", b"bpcc", b"colr", b"res "])


class _Part(NamedTuple):
    """A tile-part: its tile, its number there and how many there are (0: untold), its header and its data."""

    tile: int
    number: int
    parts: int
    header: Header
    data: bytes
    has_length: bool

    def encoded(self) -> bytes:
        """SOT with its length now, the segments of its header, its data."""
        rest = b"".join(encoded(*each) for each in self.header.segments) + struct.pack(">H", _SOD) + self.data
        length = _HEAD + len(rest) if self.has_length else 0
        return struct.pack(">HHHIBB", _SOT, 10, self.tile, length, self.number, self.parts) + rest


def clean_jpeg2000(frame: bytes) -> bytes:
    """The code stream without text; itself when it has none. Raises Unreadable where it can't be followed."""
    main = Header(None)
    at = main.read(frame, 2, _SOT)
    parts, end = _tile_parts(frame, at, main)
    parts = _trimmed(parts)
    pieces = [part.encoded() for part in parts]
    lengths = [(part.tile, len(piece)) for part, piece in zip(parts, pieces, strict=True)]
    segments = [
        encoded(marker, told) if (told := tile_part_lengths(value, lengths) if marker == TLM else value) else b""
        for marker, value in main.segments
    ]
    cleaned = b"".join([frame[:2], *segments, *pieces, end])
    return frame if cleaned == frame else cleaned


def _tile_parts(frame: bytes, at: int, main: Header) -> tuple[list[_Part], bytes]:
    """The tile-parts, and the end marker with padding; b"" when the frame is cut short."""
    parts: list[_Part] = []
    coding: dict[int, Coding | None] = {}
    while at < len(frame):
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker == _EOC:
            return parts, frame[at : at + _MARK] + padding(frame[at + _MARK :])
        if marker != _SOT:
            raise Unreadable
        size, tile, length, number, count = struct.unpack_from(">HHIBB", frame, at + 2)
        header = Header(coding.get(tile, main.coding))
        start = header.read(frame, at + _HEAD, _SOD) + _MARK
        coding[tile] = header.coding
        stop = at + length if length else _last_stop(frame, start)
        if size != 10 or not start <= stop <= len(frame):
            raise Unreadable
        parts.append(_Part(tile, number, count, header, frame[start:stop], bool(length)))
        at = stop
    return parts, b""


def _last_stop(frame: bytes, start: int) -> int:
    """Where the last tile-part ends when it does not say so (Psot = 0): at the end marker."""
    end = frame.rfind(b"\xff\xd9", start)
    return end if end >= 0 else len(frame)


def _trimmed(parts: Sequence[_Part]) -> list[_Part]:
    """The tile-parts without what no packet of their tile needs."""
    found: list[_Part] = list(parts)
    for tile in dict.fromkeys(part.tile for part in parts):
        places = [place for place, part in enumerate(parts) if part.tile == tile]
        own = [parts[place] for place in places]
        coding = own[-1].header.coding
        if coding is None or any(part.number != number for number, part in enumerate(own)):
            raise Unreadable
        packets = Packets(b"".join(part.data for part in own))
        left, lengths = packets.walk(coding, tile), iter(packets.lengths)
        for place, part in zip(places, own, strict=True):
            data = part.data[:left]
            left -= len(data)
            found[place] = part._replace(data=data, parts=len(own) if part.parts else 0)
            _keep_lengths(part.header, list(_within(lengths, len(data))))
    return found


def _within(lengths: Iterator[int], size: int) -> Iterator[int]:
    """The lengths of the next packets, up to ``size`` bytes. Raises Unreadable when a packet goes on beyond them."""
    while size > 0:
        length = next(lengths, 0)
        size -= length
        if size < 0 or not length:
            raise Unreadable
        yield length


def _keep_lengths(header: Header, lengths: list[int]) -> None:
    """The lengths of packets that a tile-part's header tells stay when they are those."""
    if header.packet_lengths and tells(header.packet_lengths, lengths):
        header.segments += [(PLT, value) for value in header.packet_lengths]


def clean_jp2(frame: bytes) -> bytes:
    """The code stream alone. Raises Unreadable when a box gives its numbers another meaning (palettes, channels)."""
    streams = [clean_jpeg2000(content) for kind, content in _boxes(frame) if _stays(kind, content)]
    if len(streams) != 1:
        raise Unreadable
    return streams[0]


def _stays(kind: bytes, content: bytes) -> bool:
    if kind == b"jp2h" and any(inner not in _REPEATED_BOXES for inner, _ in _boxes(content)):
        raise Unreadable
    return kind == b"jp2c"


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box (T.800 I.4)."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = at + length if length else len(data)
        if stop < start or stop > len(data):
            raise Unreadable
        yield kind, data[start:stop]
        at = stop
