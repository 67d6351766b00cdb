"""JPEG and JPEG-LS frames of nothing but what decodes them (ITU-T T.81 annex B, T.87 annex C).

Comments and application segments go; so do tables that no scan uses, bytes that a segment does not need, and what
stands behind the last sample of a scan (jpeg_scan.py).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from services.deid.domain.content.encoders import is_encoder
from services.deid.domain.content.jpeg_frame import JPEG_LS, Frame, frame_of
from services.deid.domain.content.jpeg_ls import Presets, trimmed_jpeg_ls
from services.deid.domain.content.jpeg_scan import trimmed
from services.deid.domain.content.jpeg_tables import HUFFMAN, QUANTIZATION, Table, Tables, restart_interval
from services.deid.domain.dataset import Unreadable

SOI = b"\xff\xd8"
_END, _SCAN, _COMMENT, _FILL, _INTERVAL, _PRESET = 0xD9, 0xDA, 0xFE, 0xFF, 0xDD, 0xF8
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_HEADERS = frozenset({*range(0xC0, 0xD0), JPEG_LS}) - {HUFFMAN, 0xC8, 0xCC}
#: Arithmetic conditioning, number of lines, hierarchical progression, expansion: no frame that is followed needs them.
_NEEDLESS = frozenset({0xCC, 0xDC, 0xDE, 0xDF})
#: Preset coding parameters of JPEG-LS (T.87 C.2.4.1.1): their kind and five numbers.
_PARAMETERS, _PARAMETERS_LENGTH = 1, 11
#: A marker behind a scan: neither stuffing (JPEG: 00, JPEG-LS: below 80) nor a restart or a fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_MARKER_LS = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")


class _Part(NamedTuple):
    """A segment: its marker, its value, and the entropy-coded data behind a scan header."""

    marker: int
    value: bytes
    data: bytes = b""


class _Kept(NamedTuple):
    """A segment as it goes out: its value, or those of its tables that are used in the end."""

    marker: int
    value: bytes | list[Table]
    data: bytes = b""

    def encoded(self) -> Iterator[bytes]:
        """Marker and length, value, data; nothing when no table is left."""
        value = self.value
        if isinstance(value, list):
            value = b"".join(table.data for table in value if table.used)
            if not value:
                return
        yield struct.pack(">BBH", _FILL, self.marker, len(value) + 2)
        yield value
        yield self.data


def clean_jpeg(frame: bytes, *, decodes: bool = True) -> bytes:
    """The frame without text; itself when it has none. Raises Unreadable where it can't be followed to its end.

    Without ``decodes`` the data of JPEG-LS stay as they are: somebody else has to know where they end.
    """
    parts, end = _parts(frame)
    reader = _Reader(decodes)
    kept = [each for part in parts if (each := reader.kept(part)) is not None]
    cleaned = b"".join([SOI, *(piece for each in kept for piece in each.encoded()), end])
    return frame if cleaned == frame else cleaned


def _parts(frame: bytes) -> tuple[list[_Part], bytes]:
    """The segments, and the end marker with padding; b"" when the frame is cut short."""
    parts: list[_Part] = []
    at, marked = 2, _MARKER
    while at < len(frame):
        if frame[at] != _FILL:
            raise Unreadable
        marker = frame[at + 1]
        if marker == _FILL or marker in _STANDALONE:
            at += 1 if marker == _FILL else 2
            continue
        if marker == _END:
            return parts, frame[at : at + 2] + padding(frame[at + 2 :])
        start, stop = at + 4, _stop(frame, at)
        marked = _MARKER_LS if marker == JPEG_LS else marked
        at = stop
        if marker == _SCAN:
            found = marked.search(frame, stop)
            at = found.start() if found else len(frame)
        parts.append(_Part(marker, frame[start:stop], frame[stop:at]))
    return parts, b""


def _stop(frame: bytes, at: int) -> int:
    (length,) = struct.unpack_from(">H", frame, at + 2)
    if length < 2 or at + 2 + length > len(frame):
        raise Unreadable
    return int(at + 2 + length)


def padding(rest: bytes) -> bytes:
    """What stands behind an image, when it is zeros or a byte of ones; nothing for what else follows."""
    return b"" if any(rest) and rest != b"\xff" else rest


@dataclass
class _Reader:
    """What is known of the frame at a place of it."""

    decodes: bool
    frame: Frame | None = None
    presets: Presets = field(default_factory=Presets)
    interval: int = 0
    tables: Tables = field(default_factory=Tables)
    told: set[int] = field(default_factory=set)

    def kept(self, part: _Part) -> _Kept | None:
        """The segment as it goes out, None for one that does not."""
        marker, value, _ = part
        if marker in (QUANTIZATION, HUFFMAN):
            return _Kept(marker, self.tables.take(marker, value))
        if marker in _HEADERS:
            return self._frame(marker, value)
        if marker == _SCAN:
            return self._scan(part)
        if marker == _INTERVAL:
            self.interval = restart_interval(value)
            return _Kept(marker, value[:2])
        if marker == _PRESET and value[:1] == bytes((_PARAMETERS,)) and len(value) >= _PARAMETERS_LENGTH:
            self.presets = Presets(*struct.unpack_from(">5H", value, 1))
            return _Kept(marker, value[:_PARAMETERS_LENGTH])
        if marker == _COMMENT or 0xE0 <= marker <= 0xEF:
            return self._told(marker, value)
        if marker in _NEEDLESS:
            return None
        raise Unreadable

    def _frame(self, marker: int, value: bytes) -> _Kept:
        if self.frame is not None:
            raise Unreadable
        self.frame = frame_of(marker, value)
        return _Kept(marker, self.frame.value)

    def _scan(self, part: _Part) -> _Kept:
        if self.frame is None:
            raise Unreadable
        header, data = self.frame.scan_header(part.value), part.data
        if self.frame.marker != JPEG_LS:
            data = trimmed(data, self.frame.scan(header, self.tables, self.interval))
        elif self.decodes:
            data = trimmed_jpeg_ls(data, self.frame.scan_of_jpeg_ls(header, self.presets, self.interval))
        return _Kept(part.marker, header, data)

    def _told(self, marker: int, value: bytes) -> _Kept | None:
        """The first comment of an encoder, and the first segment of each kind that decides how colours are read."""
        found = b"".join(_numbers(marker, value)) if marker != _COMMENT else value if is_encoder(value) else b""
        if not found or marker in self.told:
            return None
        self.told.add(marker)
        return _Kept(marker, found)


def _numbers(marker: int, value: bytes) -> Iterator[bytes]:
    """What decides the colours (T.871; PS3.5 section 8.2.1): JFIF, Adobe, and the transformation of JPEG-LS (HP).

    A JFIF thumbnail is another picture; what its density is, and Adobe's flags, are the same for every frame here.
    """
    if marker == 0xE0 and value.startswith(b"JFIF\0") and len(value) >= 14:
        version, unit, across, down = struct.unpack_from(">HBHH", value, 5)
        is_plain = 0x0100 <= version <= 0x0102 and unit <= 2 and across == down <= 2400
        yield b"JFIF\0" + (value[5:12] if is_plain else b"\1\2\0\0\1\0\1") + b"\0\0"
    elif marker == 0xE8 and value.startswith(b"mrfx") and len(value) >= 5:
        yield value[:5]
    elif marker == 0xEE and value.startswith(b"Adobe") and len(value) >= 12:
        version = value[5:7] if value[5:7] in (b"\0\x64", b"\0\x65") else b"\0\x64"
        yield b"Adobe" + version + bytes(4) + value[11:12]
