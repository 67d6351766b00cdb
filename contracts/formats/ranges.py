"""Any range of a sealed pack's plaintext, from reads of just the segments that hold it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contracts.formats.errors import SealBroken
from contracts.formats.sealed import Envelope
from contracts.formats.streaming import SegmentCipher, Segments

#: At most this many segments are read at once: 4 MiB, which bounds the memory of a reader.
WINDOW = 16


@dataclass(frozen=True)
class Window:
    """Neighbouring segments, and where they lie in the sealed pack (bytes)."""

    indices: range
    offset: int
    size: int


def windows(envelope: Envelope, start: int, length: int) -> Iterator[Window]:
    """The reads that give plaintext bytes [start, start + length), in order; ValueError outside the plaintext."""
    segments = Segments(envelope.header.plaintext_size)
    held = segments.holding(start, length)
    for first in range(held.start, held.stop, WINDOW):
        indices = range(first, min(first + WINDOW, held.stop))
        begin, last = segments.span(indices[0]), segments.span(indices[-1])
        size = last.offset + last.size - begin.offset
        yield Window(indices=indices, offset=envelope.ciphertext_offset + begin.offset, size=size)


def open_window(cipher: SegmentCipher, window: Window, data: bytes, start: int, length: int) -> list[bytes]:
    """The bytes of the range that lie in this window; SealBroken when ``data`` is not what was sealed there."""
    if len(data) != window.size:
        raise SealBroken("sealed-truncated")
    found, view = [], memoryview(data)
    base = cipher.segments.span(window.indices[0]).offset
    for index in window.indices:
        span = cipher.segments.span(index)
        plain = cipher.decrypt(index, view[span.offset - base : span.offset - base + span.size])
        cut = slice(max(start - span.plain_offset, 0), start + length - span.plain_offset)
        found.append(plain if cut.start == 0 and cut.stop >= len(plain) else plain[cut])
    return found


def decrypt_range(
    read: Callable[[int, int], bytes], envelope: Envelope, cipher: SegmentCipher, start: int, length: int
) -> Iterator[bytes]:
    """Plaintext bytes [start, start + length); ``read(offset, length)`` gives bytes of the sealed pack."""
    for window in windows(envelope, start, length):
        yield from open_window(cipher, window, read(window.offset, window.size), start, length)
