"""JPEG and JPEG-LS frames without comments and application segments (ITU-T T.81 annex B, T.87 annex C)."""

import re
import struct
from collections.abc import Iterator

from services.deid.domain.content.encoders import is_encoder
from services.deid.domain.dataset import Unreadable

SOI = b"\xff\xd8"
_END, _SCAN, _COMMENT = 0xD9, 0xDA, 0xFE
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
#: Segments that decoding needs: frame and table markers of T.81 Table B.1, JPEG-LS frame and parameters.
_NEEDED = frozenset({*range(0xC0, 0xD0), _SCAN, *range(0xDB, 0xE0), 0xF7, 0xF8}) - {0xC8}
#: Segments that decide how colours are read: JFIF, Adobe, and the transformation of JPEG-LS (HP). By marker: how they
#: begin, and how long they are without a thumbnail; what follows the name then is numbers.
_COLOURS = {0xE0: (b"JFIF\0", 16), 0xE8: (b"mrfx", 7), 0xEE: (b"Adobe", 14)}
#: A marker within or behind a scan: neither stuffing (JPEG: 00, JPEG-LS: below 80) nor a restart or a fill byte.
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")


def clean_jpeg(frame: bytes) -> bytes:
    """The frame without text; itself when it has none. Raises Unreadable where it can't be followed to its end."""
    pieces = list(_pieces(frame))
    cleaned = b"".join(pieces)
    return frame if len(cleaned) == len(frame) else cleaned


def _pieces(frame: bytes) -> Iterator[memoryview | bytes]:
    """What stays of the frame, in order."""
    view, at = memoryview(frame), 2
    yield view[:2]
    while at < len(frame):
        if frame[at] != 0xFF:
            raise Unreadable
        marker = frame[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            stop = at + (1 if marker == 0xFF else 2)
            yield view[at:stop]
        elif marker == _END:
            yield from _tail(view, at)
            return
        else:
            stop = _stop(frame, at)
            yield _segment(marker, view[at:stop])
            if marker == _SCAN:
                found = _MARKER.search(frame, stop)
                start, stop = stop, found.start() if found else len(frame)
                yield view[start:stop]
        at = stop


def _stop(frame: bytes, at: int) -> int:
    (length,) = struct.unpack_from(">H", frame, at + 2)
    if length < 2 or at + 2 + length > len(frame):
        raise Unreadable
    return int(at + 2 + length)


def _tail(view: memoryview, at: int) -> Iterator[memoryview]:
    """The end marker, and padding: one byte, or zeros; whatever else follows is no part of the image."""
    yield view[at : at + 2]
    rest = view[at + 2 :]
    if len(rest) == 1 or not any(rest):
        yield rest


def _segment(marker: int, segment: memoryview) -> memoryview | bytes:
    """The segment as it goes out, empty for one that does not."""
    if marker in _NEEDED:
        return segment
    if marker == _COMMENT:
        return segment if is_encoder(bytes(segment[4:])) else b""
    if marker in _COLOURS:
        return _colours(bytes(segment), *_COLOURS[marker])
    if 0xE0 <= marker <= 0xEF:
        return b""
    raise Unreadable


def _colours(segment: bytes, name: bytes, length: int) -> bytes:
    """The numbers that decide the colours; a JFIF thumbnail is another picture and stays behind."""
    if not segment.startswith(name, 4) or len(segment) < 2 + length:
        return b""
    numbers = segment[4 + len(name) : 2 + length]
    if name == b"JFIF\0":
        numbers = numbers[:-2] + b"\0\0"
    return segment[:2] + struct.pack(">H", length) + name + numbers
