"""Everything the manifest and headers.jsonl say of an instance that is read from its data set."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.formats.headers import UNREADABLE
from contracts.formats.manifest import FRAGMENT_LIMIT, INDEX_OMITTED, OPAQUE_HEADER, Fragments, Frames, NativeFrames
from services.dicom_ingest.domain.elements import UNDEFINED, Bounds, Encoding, PixelData, Walk, is_deflated
from services.dicom_ingest.domain.json_model import Memory, Renderer
from services.dicom_ingest.domain.lenient import LENIENT_LIMIT, read_leniently
from services.dicom_ingest.domain.window import CutShort, Malformed, Window

#: What a deflated data set may grow to, bytes, and how many times its size.
MAX_INFLATED = 64 * 1024 * 1024
MAX_RATIO = 200

#: Bytes of a sequence delimitation item.
_DELIMITER = 8

#: A declared length reaches beyond the end of the data set: the sender sent less than it says there is.
CUT_SHORT = "cut-short"
#: The header breaks the standard; pydicom could read it.
IRREGULAR_HEADER = "irregular-header"
#: It begins like a program or a document and not like a data set.
FOREIGN_MAGIC = "foreign-magic"
_MAGICS = (b"MZ", b"\x7fELF", b"%PDF", b"%!")

Header = dict[str, dict[str, Any]]
#: ``load(offset, count)`` gives bytes of the data set, fewer at its end.
Load = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Reading:
    """``header`` is DICOM JSON or None with a ``reason``; lengths and offsets are bytes within the data set."""

    header: Header | None
    reason: str | None
    header_length: int
    pixel_offset: int | None = None
    pixel_length: int | None = None
    pixels: Frames | None = None
    flags: tuple[str, ...] = ()


def read_header(load: Load, size: int, transfer_syntax: str, memory: Memory | None = None) -> Reading:
    """Read a data set of ``size`` bytes; never raises for what is in it. ``memory`` is that of a whole batch."""
    memory = memory or Memory()
    try:
        if is_deflated(transfer_syntax):
            inflated = _inflated(load(0, min(size, MAX_INFLATED)), size)
            plain = _read(Window.over(inflated), transfer_syntax, memory)
            return Reading(plain.header, plain.reason, size, flags=plain.flags)
        return _read(Window(load, size), transfer_syntax, memory)
    except (Malformed, LookupError, ValueError, RecursionError) as error:
        return _irregular(load, size, transfer_syntax, error)


def _irregular(load: Load, size: int, transfer_syntax: str, error: Exception) -> Reading:
    """What a lenient reader makes of it; the pixels of such a data set are not told from its header."""
    reason = error.reason if isinstance(error, Malformed) else UNREADABLE
    magic = (FOREIGN_MAGIC,) if bytes(load(0, min(size, 4))).startswith(_MAGICS) else ()
    try:
        if is_deflated(transfer_syntax) or reason.startswith("too-"):
            raise Malformed(reason)
        header = read_leniently(load(0, min(size, LENIENT_LIMIT)), transfer_syntax)
    except Malformed:
        return Reading(None, reason, size, flags=(OPAQUE_HEADER, *magic))
    return Reading(header, None, size, flags=(IRREGULAR_HEADER, *magic))


def _inflated(deflated: bytes, size: int) -> bytes:
    """PS3.5 section A.5: RFC 1951 without a wrapper. Malformed when it is broken or a bomb."""
    limit = min(MAX_INFLATED, MAX_RATIO * size + 4096)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(deflated, limit)
    except zlib.error:
        raise Malformed("bad-deflate") from None
    if not inflate.eof:
        raise Malformed("too-large-inflated" if len(plain) >= limit else "data-set-cut-short")
    return plain


def _read(window: Window, transfer_syntax: str, memory: Memory) -> Reading:
    walk = Walk(window, Encoding.of(transfer_syntax), Bounds())
    header = Renderer(window, transfer_syntax, walk.enter, memory).render(walk.header())
    found = walk.pixel_data
    if found is None:
        return Reading(header, None, window.size)
    if found.length == UNDEFINED:
        return _encapsulated(walk, window, header, found)
    length = min(found.length, window.size - found.offset)
    flags = (CUT_SHORT,) if length < found.length else ()
    frames = None if flags else _native(header, found, length)
    return Reading(header, None, found.at, found.offset, length, frames, flags)


def _encapsulated(walk: Walk, window: Window, header: Header, found: PixelData) -> Reading:
    """The pixels' bytes are all items with their tags, and not the delimiter (PS3.5 section A.4)."""
    try:
        *fragments, (end, _nothing) = walk.fragments(found.offset)
    except CutShort:
        return Reading(header, None, found.at, found.offset, window.size - found.offset, None, (CUT_SHORT,))
    frames = fragments[1:]
    length = end - _DELIMITER - found.offset
    if len(frames) > FRAGMENT_LIMIT:
        return Reading(header, None, found.at, found.offset, length, None, (INDEX_OMITTED,))
    return Reading(header, None, found.at, found.offset, length, Fragments(fragments=tuple(frames)))


def _native(header: Header, found: PixelData, length: int) -> NativeFrames | None:
    """Frames of whole bytes that the attributes and the length agree on (PS3.3 section C.7.6.3)."""
    rows, columns, bits = (_count(header, tag) for tag in ("00280010", "00280011", "00280100"))
    samples, count = _count(header, "00280002") or 1, _count(header, "00280008") or 1
    if _subsampled(header):
        samples = 2
    frame_bits = rows * columns * bits * samples
    size = frame_bits // 8
    if not size or frame_bits % 8 or not 0 <= length - size * count <= 1:
        return None
    return NativeFrames(offset=found.offset, size=size, count=count)


def _subsampled(header: Header) -> bool:
    return header.get("00280004", {}).get("Value") in (["YBR_FULL_422"], ["YBR_PARTIAL_422"])


def _count(header: Header, tag: str) -> int:
    value = header.get(tag, {}).get("Value") or [0]
    return value[0] if isinstance(value[0], int) and math.isfinite(value[0]) and value[0] > 0 else 0
