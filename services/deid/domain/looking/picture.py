"""One frame of native pixels as a small PNG, for people to look at: enough to see lettering, never for diagnosis."""

import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from services.deid.domain.looking.reader import Broken, Head, read_head, value_of

#: Larger frames are shown with every second, third … pixel left out.
LARGEST = 1600
_ROWS, _COLUMNS, _SAMPLES, _PLANAR = 0x00280010, 0x00280011, 0x00280002, 0x00280006
_ALLOCATED, _STORED, _SIGNED, _PHOTOMETRIC = 0x00280100, 0x00280101, 0x00280103, 0x00280004
_FRAMES, _SYNTAX = 0x00280008, 0x00020010
_NATIVE = {b"1.2.840.10008.1.2": "<", b"1.2.840.10008.1.2.1": "<", b"1.2.840.10008.1.2.2": ">"}
_MOST = 512 * 1024 * 1024


class _Layout(NamedTuple):
    rows: int
    columns: int
    samples: int
    bits: int
    stored: int
    signed: bool
    planar: bool
    photometric: str
    frames: int
    order: str


def png(file: BinaryIO, frame: int) -> bytes | None:
    """The frame (from 0) of the Part 10 file ``file``; None for what has no native pixels of a usual kind."""
    try:
        head = read_head(file)
        layout = _layout(head)
    except (Broken, ValueError, struct.error):
        return None
    if layout is None or not 0 <= frame < layout.frames:
        return None
    start = head.rest + (8 if value_of(head, _SYNTAX) == b"1.2.840.10008.1.2" else 12)
    size = layout.rows * layout.columns * layout.samples * layout.bits // 8
    file.seek(start + frame * size)
    data = file.read(size)
    if len(data) != size:
        return None
    step = max(1, -(-max(layout.rows, layout.columns) // LARGEST))
    width, height = -(-layout.columns // step), -(-layout.rows // step)
    return encode(width, height, layout.samples, _lines(layout, data, step))


def _layout(head: Head) -> _Layout | None:
    order = _NATIVE.get(value_of(head, _SYNTAX))
    if order is None:
        return None

    def number(tag: int, default: int = 0) -> int:
        value = _raw(head, tag)
        return int(struct.unpack(order + "H", value)[0]) if value else default

    layout = _Layout(
        rows=number(_ROWS),
        columns=number(_COLUMNS),
        samples=number(_SAMPLES, 1),
        bits=number(_ALLOCATED),
        stored=number(_STORED),
        signed=number(_SIGNED) == 1,
        planar=number(_PLANAR) == 1,
        photometric=value_of(head, _PHOTOMETRIC).decode("latin-1"),
        frames=int(value_of(head, _FRAMES) or b"1"),
        order=order,
    )
    usual = layout.bits in (8, 16) and (layout.samples == 1 or (layout.samples == 3 and layout.bits == 8))
    whole = (
        0 < layout.rows * layout.columns * layout.samples * layout.bits <= _MOST and 0 < layout.stored <= layout.bits
    )
    plain = "422" not in layout.photometric and "PALETTE" not in layout.photometric
    return layout if usual and whole and plain else None


def _raw(head: Head, tag: int) -> bytes:
    """The two bytes of a US, zeros and all."""
    return next(
        (head.data[one.start : one.stop][:2] for one in head.leaves if one.tag == tag and "/" not in one.path), b""
    )


def _lines(layout: _Layout, data: bytes, step: int) -> Iterator[bytes]:
    """The lines of the picture: one byte per pixel, or three."""
    if layout.samples == 3:
        yield from _coloured(layout, data, step)
        return
    values = array("H" if layout.bits == 16 else "B", data)
    if layout.bits == 16 and layout.order == ">":
        values.byteswap()
    table = _window(layout, values)
    for row in range(0, layout.rows, step):
        line = values[row * layout.columns : (row + 1) * layout.columns : step]
        yield bytes(table[value] for value in line) if layout.bits == 16 else bytes(line).translate(table)


def _window(layout: _Layout, values: "array[int]") -> bytes:
    """Stored values to greys: from the lowest to the highest that occur, the outermost two in a thousand cut off."""
    mask, half = (1 << layout.stored) - 1, 1 << (layout.stored - 1)
    counts: dict[int, int] = {}
    for value in values:
        real = value & mask
        real = real - (mask + 1) if layout.signed and real >= half else real
        counts[real] = counts.get(real, 0) + 1
    low, high = _bounds(counts, len(values) // 500)
    span = max(high - low, 1)
    inverted = layout.photometric == "MONOCHROME1"
    table = bytearray(1 << layout.bits)
    for value in range(1 << layout.bits):
        real = value & mask
        real = real - (mask + 1) if layout.signed and real >= half else real
        grey = min(max((real - low) * 255 // span, 0), 255)
        table[value] = 255 - grey if inverted else grey
    return bytes(table)


def _bounds(counts: dict[int, int], cut: int) -> tuple[int, int]:
    """The values below and above which ``cut`` pixels lie."""
    ordered = sorted(counts)
    return _passed(ordered, counts, cut), _passed(ordered[::-1], counts, cut)


def _passed(ordered: list[int], counts: dict[int, int], cut: int) -> int:
    seen = 0
    for value in ordered:
        seen += counts[value]
        if seen > cut:
            return value
    return ordered[-1]


def _coloured(layout: _Layout, data: bytes, step: int) -> Iterator[bytes]:
    plane = layout.rows * layout.columns
    for row in range(0, layout.rows, step):
        start = row * layout.columns
        if layout.planar:
            parts = [data[each * plane + start : each * plane + start + layout.columns : step] for each in range(3)]
        else:
            line = data[3 * start : 3 * (start + layout.columns)]
            parts = [line[each :: 3 * step] for each in range(3)]
        if layout.photometric.startswith("YBR"):
            parts = _rgb(parts)
        mixed = bytearray(3 * len(parts[0]))
        for each in range(3):
            mixed[each::3] = parts[each]
        yield bytes(mixed)


def _rgb(parts: list[bytes]) -> list[bytes]:
    """YBR_FULL to RGB (PS3.3 section C.7.6.3.1.2)."""
    found = [bytearray(), bytearray(), bytearray()]
    for luma, blue, red in zip(*parts, strict=True):
        real = (luma + 1.402 * (red - 128), luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128),
                luma + 1.772 * (blue - 128))  # fmt: skip
        for line, value in zip(found, real, strict=True):
            line.append(min(max(round(value), 0), 255))
    return [bytes(line) for line in found]


def encode(width: int, height: int, samples: int, lines: Iterable[bytes]) -> bytes:
    """A PNG of eight bits (RFC 2083): grey, or of three samples."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if samples == 3 else 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines), 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
