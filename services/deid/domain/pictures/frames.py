"""Where the frames of Pixel Data lie (PS3.5 sections 8.1.1 and A.4)."""

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from services.deid.domain.codestream import RLE, starts_frame
from services.deid.domain.dataset import ITEM, SEQUENCE_END, Unreadable
from services.deid.domain.pictures.picture import FRAME_LIMIT, Picture
from services.deid.domain.pixels import NATIVE
from services.deid.domain.withholding import Reason, Withheld
from services.deid.domain.workspace import Span

#: More fragments than this are not followed.
FRAGMENT_LIMIT = 200_000


class Frames(NamedTuple):
    """The frames of one object in ``source``: the spans that each consists of."""

    source: BinaryIO
    spans: Sequence[Sequence[Span]]

    def frame(self, number: int) -> bytes:
        """One frame as it is stored, its fragments joined."""
        if sum(span.length for span in self.spans[number]) > FRAME_LIMIT:
            raise Withheld(Reason.TOO_LARGE)
        return b"".join(_read(self.source, span) for span in self.spans[number])

    def all(self) -> Iterator[bytes]:
        """One after the other."""
        return (self.frame(number) for number in range(len(self.spans)))


def _read(source: BinaryIO, span: Span) -> bytes:
    source.seek(span.offset)
    data = source.read(span.length)
    if len(data) != span.length:
        raise Unreadable
    return data


def frames_of(source: BinaryIO, value: Span, picture: Picture) -> Frames:
    """The frames of the pixel element whose value is ``value``."""
    if picture.syntax in NATIVE or picture.syntax == "1.2.840.10008.1.2.1.99":
        return Frames(source, _native(value, picture))
    table, fragments = _fragments(source, value)
    return Frames(source, _by_frame(source, picture.syntax, table, fragments, picture.frames))


def _native(value: Span, picture: Picture) -> Sequence[Sequence[Span]]:
    size = picture.frame_size
    if size * picture.frames > value.length:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    return [(Span(value.offset + number * size, size),) for number in range(picture.frames)]


def _fragments(source: BinaryIO, value: Span) -> tuple[tuple[int, ...], list[Span]]:
    """The Basic Offset Table and the fragments behind it."""
    found: list[Span] = []
    at = value.offset
    while True:
        group, number, length = struct.unpack("<HHI", _read(source, Span(at, 8)))
        tag = group << 16 | number
        if tag == SEQUENCE_END:
            break
        if tag != ITEM or at + 8 + length > value.offset + value.length or len(found) > FRAGMENT_LIMIT:
            raise Unreadable
        found.append(Span(at + 8, length))
        at += 8 + length
    if len(found) < 2:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    offsets = _read(source, found[0]) if found[0].length <= 4 * FRAGMENT_LIMIT else b""
    return struct.unpack(f"<{len(offsets) // 4}I", offsets[: len(offsets) // 4 * 4]), found[1:]


def _by_frame(
    source: BinaryIO, syntax: str, table: tuple[int, ...], fragments: list[Span], frames: int
) -> Sequence[Sequence[Span]]:
    """Fragments by frame: one each, by the offset table, or by where code streams begin."""
    if frames == 1:
        others = [_read(source, Span(each.offset, min(16, each.length))) for each in fragments[1:]]
        if any(map(starts_frame, others)) or (syntax == RLE and others):
            raise Withheld(Reason.PIXELS_UNREADABLE)  # more frames than the header tells of
        return [fragments]
    if len(fragments) == frames:
        return [(fragment,) for fragment in fragments]
    first = fragments[0].offset - 8
    firsts = {first + offset for offset in table}
    if len(firsts) != frames:
        heads = (_read(source, Span(each.offset, min(16, each.length))) for each in fragments)
        firsts = {each.offset - 8 for each, head in zip(fragments, heads, strict=True) if starts_frame(head)}
    found: list[list[Span]] = []
    for fragment in fragments:
        if fragment.offset - 8 in firsts:
            found.append([])
        if not found:
            raise Withheld(Reason.PIXELS_UNREADABLE)
        found[-1].append(fragment)
    if len(found) != frames:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    return found
