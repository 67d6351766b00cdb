"""JPEG 2000 and HTJ2K frames without comments and boxes (ITU-T T.800 annexes A and I, T.814).

A comment in a tile-part's header shortens the tile-part, so its length (SOT, TLM) changes with it; packet headers and
packet lengths (PPM, PPT, PLM, PLT) do not.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from services.deid.domain.content.encoders import is_encoder
from services.deid.domain.dataset import Unreadable

SOC, JP2 = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
_SOT, _SOD, _EOC, _COM, _TLM = 0xFF90, 0xFF93, 0xFFD9, 0xFF64, 0xFF55
#: Segments of Table A.2 beside these: SIZ, CAP, COD, COC, PRF, PLM, PLT, CPF, QCD, QCC, RGN, POC, PPM, PPT, CRG.
_NEEDED = frozenset(
    {0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF56, 0xFF57, 0xFF58, 0xFF59, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61}
) | {0xFF63, _TLM}
#: Boxes of a JP2 header that say what the code stream and the data set say as well.
_REPEATED_BOXES = frozenset([b"ihdr", b"bpcc", b"colr", b"res "])


class _Header(NamedTuple):
    """Segments that stay, and where the header ended."""

    segments: list[bytes]
    end: int


def clean_jpeg2000(frame: bytes) -> bytes:
    """The code stream without text; itself when it has none. Raises Unreadable where it can't be followed."""
    main = _header(frame, 2, _SOT)
    pieces = list(_tile_parts(frame, main.end))
    lengths = iter([sum(map(len, part)) for part in pieces[:-1]])
    if any(len(part[0]) != 12 for part in pieces[:-1]):
        raise Unreadable
    segments = [_tile_part_lengths(each, lengths) if each[:2] == b"\xff\x55" else each for each in main.segments]
    cleaned = b"".join([frame[:2], *segments, *(piece for part in pieces for piece in part)])
    return frame if len(cleaned) == len(frame) else cleaned


def _header(frame: bytes, at: int, last: int) -> _Header:
    """The segments from ``at`` to the marker ``last``, without comments."""
    segments: list[bytes] = []
    while True:
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker == last:
            return _Header(segments, at)
        (length,) = struct.unpack_from(">H", frame, at + 2)
        segment = frame[at : at + 2 + length]
        if length < 2 or len(segment) != 2 + length or marker not in _NEEDED | {_COM}:
            raise Unreadable
        if marker != _COM or is_encoder(segment[6:]):
            segments.append(segment)
        at += 2 + length


def _tile_parts(frame: bytes, at: int) -> Iterator[list[bytes | memoryview]]:
    """Each tile-part: SOT with its new length, the segments of its header, its data; last of all the end."""
    view = memoryview(frame)
    while at < len(frame):
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker == _EOC:
            padding = view[at + 2 :]
            yield [view[at : at + 2], view[:0] if any(padding) and len(padding) > 1 else padding]
            return
        if marker != _SOT or frame[at + 2 : at + 4] != b"\0\x0a":
            raise Unreadable
        (length,) = struct.unpack_from(">I", frame, at + 6)
        header = _header(frame, at + 12, _SOD)
        stop = at + length if length else _last_stop(frame, header.end)
        if stop < header.end + 2:
            raise Unreadable
        data = view[header.end : stop]
        removed = header.end - at - 12 - sum(map(len, header.segments))
        size = length - removed if length else 0
        yield [frame[at : at + 6] + struct.pack(">I", size) + frame[at + 10 : at + 12], *header.segments, data]
        at = stop
    yield []  # cut short: no end marker


def _last_stop(frame: bytes, start: int) -> int:
    """Where the last tile-part ends when it does not say so (Psot = 0): at the end marker."""
    end = frame.rfind(b"\xff\xd9", start)
    return end if end >= 0 else len(frame)


def _tile_part_lengths(segment: bytes, lengths: Iterator[int]) -> bytes:
    """TLM (T.800 A.7.1) with the lengths that the tile-parts have now."""
    sizes = segment[5]
    index, form = sizes >> 4 & 3, ">I" if sizes >> 6 & 1 else ">H"
    step = index + struct.calcsize(form)
    rebuilt = bytearray(segment)
    for at in range(6 + index, len(segment), step):
        length = next(lengths, None)
        if length is not None:
            struct.pack_into(form, rebuilt, at, length)
    return bytes(rebuilt)


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
