"""Everything the manifest and headers.jsonl say of an instance that is read from its data set."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from contracts.formats.headers import UNREADABLE
from contracts.formats.manifest import FRAGMENT_LIMIT, INDEX_OMITTED, OPAQUE_HEADER, Fragments, Frames, NativeFrames
from services.dicom_ingest.domain.abridging import abridge
from services.dicom_ingest.domain.bounds import USUAL, Bounds
from services.dicom_ingest.domain.elements import Encoding, PixelData, Walk, is_deflated
from services.dicom_ingest.domain.foreign import FOREIGN_MAGIC, is_foreign
from services.dicom_ingest.domain.inflating import inflate
from services.dicom_ingest.domain.json_model import Memory, Renderer
from services.dicom_ingest.domain.lenient import LENIENT_LIMIT, read_leniently
from services.dicom_ingest.domain.vrs import UNDEFINED
from services.dicom_ingest.domain.window import CutShort, Malformed, Window

#: A header of so many bytes fits into a line whatever is in it.
_SURELY_SHORT = 32 * 1024
#: Bytes of a sequence delimitation item.
_DELIMITER = 8

#: A declared length reaches beyond the end of the data set: the sender sent less than it says there is.
CUT_SHORT = "cut-short"
#: The header breaks the standard; pydicom could read it.
IRREGULAR_HEADER = "irregular-header"
#: Sequences or other values are left out of the header, because it would be too long.
ABRIDGED_HEADER = "abridged-header"
#: What is deflated is a bomb, or at least beyond our bounds.
TOO_LARGE_INFLATED, INFLATES_TOO_FAR = "too-large-inflated", "inflates-too-far"
#: Text that is not written in the character sets that are told, or one of them is unknown.
CHARACTER_SET = "character-set"
#: Native pixels are not as long as the attributes say.
PIXEL_LENGTH = "pixel-length"

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

    @property
    def is_doubtful(self) -> bool:
        """Whether the header could not be read, or not as the standard says."""
        return self.header is None or IRREGULAR_HEADER in self.flags


def read_header(
    load: Load, size: int, transfer_syntax: str, memory: Memory | None = None, bounds: Bounds = USUAL
) -> Reading:
    """Read a data set of ``size`` bytes; never raises for what is in it. ``memory`` is that of a whole batch."""
    memory = memory or Memory()
    try:
        if is_deflated(transfer_syntax):
            return _deflated(load, size, transfer_syntax, memory, bounds)
        reading = _read(Window(load, size), transfer_syntax, memory, bounds)
    except (Malformed, LookupError, ValueError, RecursionError) as error:
        reading = _irregular(load, size, transfer_syntax, error)
    if is_foreign(bytes(load(0, min(size, 8)))):
        return replace(reading, flags=(*reading.flags, FOREIGN_MAGIC))
    return reading


def _deflated(load: Load, size: int, transfer_syntax: str, memory: Memory, bounds: Bounds) -> Reading:
    """Of what inflates too far only the beginning is read; where that is the whole header, it is told."""
    inflated = inflate(load, size, bounds)
    try:
        plain = _read(inflated.window, transfer_syntax, memory, bounds)
    except CutShort:
        is_cut = inflated.is_whole and inflated.is_kept
        raise Malformed("data-set-cut-short" if is_cut else TOO_LARGE_INFLATED) from None
    if inflated.is_whole:
        return Reading(plain.header, plain.reason, size, flags=plain.flags)
    if plain.pixel_offset is None:
        raise Malformed(TOO_LARGE_INFLATED)
    flags = tuple(flag for flag in plain.flags if flag != CUT_SHORT)
    return Reading(plain.header, None, size, flags=(*flags, INFLATES_TOO_FAR))


def _irregular(load: Load, size: int, transfer_syntax: str, error: Exception) -> Reading:
    """What a lenient reader makes of it; the pixels of such a data set are not told from its header."""
    reason = error.reason if isinstance(error, Malformed) else UNREADABLE
    try:
        if is_deflated(transfer_syntax) or reason.startswith("too-"):
            raise Malformed(reason)
        header = read_leniently(load(0, min(size, LENIENT_LIMIT)), transfer_syntax)
    except Malformed:
        return Reading(None, reason, size, flags=(OPAQUE_HEADER,))
    header, is_shorter = abridge(header)
    return Reading(header, None, size, flags=(IRREGULAR_HEADER, *((ABRIDGED_HEADER,) if is_shorter else ())))


def _read(window: Window, transfer_syntax: str, memory: Memory, bounds: Bounds) -> Reading:
    walk = Walk(window, Encoding.of(transfer_syntax), bounds)
    renderer = Renderer(window, walk, memory)
    header = renderer.header()
    reading = _with_pixels(walk, window, header)
    if renderer.undecoded:
        reading = replace(reading, flags=(*reading.flags, CHARACTER_SET))
    header, is_shorter = abridge(header) if reading.header_length > _SURELY_SHORT else (header, False)
    if not (is_shorter or walk.has_left_out):
        return reading
    return replace(reading, header=header, flags=(*reading.flags, ABRIDGED_HEADER))


def _with_pixels(walk: Walk, window: Window, header: Header) -> Reading:
    found = walk.pixel_data
    if found is None:
        return Reading(header, None, window.size)
    if found.length == UNDEFINED:
        return _encapsulated(walk, window, header, found)
    length = min(found.length, window.size - found.offset)
    if length < found.length:
        return Reading(header, None, found.at, found.offset, length, None, (CUT_SHORT,))
    frames, is_told = _native(header, found, length)
    return Reading(header, None, found.at, found.offset, length, frames, () if is_told else (PIXEL_LENGTH,))


def _encapsulated(walk: Walk, window: Window, header: Header, found: PixelData) -> Reading:
    """The pixels' bytes are all items with their tags, and not the delimiter (PS3.5 section A.4)."""
    items = walk.fragments(found.offset)
    try:
        # The offset table, as many fragments as are told of, the delimiter; and one more that shows whether there is.
        first = list(islice(items, FRAGMENT_LIMIT + 3))
        ((end, _nothing),) = deque(items, maxlen=1) or first[-1:]
    except CutShort:
        return Reading(header, None, found.at, found.offset, window.size - found.offset, None, (CUT_SHORT,))
    length = end - _DELIMITER - found.offset
    if len(first) > FRAGMENT_LIMIT + 2:
        return Reading(header, None, found.at, found.offset, length, None, (INDEX_OMITTED,))
    return Reading(header, None, found.at, found.offset, length, Fragments(fragments=tuple(first[1:-1])))


def _native(header: Header, found: PixelData, length: int) -> tuple[NativeFrames | None, bool]:
    """Frames of whole bytes, and whether the attributes and the length agree (PS3.3 section C.7.6.3)."""
    rows, columns, bits = (_count(header, tag) for tag in ("00280010", "00280011", "00280100"))
    samples, count = _count(header, "00280002") or 1, _count(header, "00280008") or 1
    if _subsampled(header):
        samples = 2
    frame_bits = rows * columns * bits * samples
    # Frames of bits follow each other without a gap (PS3.5 section 8.1.1), and the whole is padded to an even length.
    is_told = frame_bits > 0 and 0 <= length - (frame_bits * count + 7) // 8 <= 1
    if not is_told or frame_bits % 8:
        return None, is_told
    return NativeFrames(offset=found.offset, size=frame_bits // 8, count=count), True


def _subsampled(header: Header) -> bool:
    return header.get("00280004", {}).get("Value") in (["YBR_FULL_422"], ["YBR_PARTIAL_422"])


def _count(header: Header, tag: str) -> int:
    value = header.get(tag, {}).get("Value") or [0]
    return value[0] if isinstance(value[0], int) and math.isfinite(value[0]) and value[0] > 0 else 0
