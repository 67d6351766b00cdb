"""Encapsulated pixels: frames in fragments, and the tables that say where they lie (PS3.5 section A.4).

Read twice: first to see how long each frame will be, because the tables that say so come before the frames.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from services.deid.domain.codestream import RLE, CleanFrame, starts_frame
from services.deid.domain.dataset import ITEM, SEQUENCE_END, Elements, TooMuch, Unreadable
from services.deid.domain.withholding import Reason, Withheld

#: A longer frame is not taken apart: it is in memory up to three times; bytes.
FRAME_LIMIT = 32 * 1024 * 1024
#: More fragments than this are not indexed.
FRAGMENT_LIMIT = 500_000
#: More bytes of a fragment than this are not needed to see whether it starts a frame.
_START = 16

EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH = 0x7FE00001, 0x7FE00002, 0x7FE00003
TABLES = frozenset({EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH})


@dataclass
class Fragments:
    """Where the fragments of a source lie, which begins each frame, and how long the frames will be.

    ``sizes`` has the length of a frame that changes, without padding, and 0 for one that stays as it is. Offsets are
    of values in the source, behind the heads of their items.
    """

    clean: CleanFrame
    offset_table: tuple[int, int]
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    lengths: "array[int]" = field(default_factory=lambda: array("Q"))
    firsts: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    #: Whether the Basic Offset Table tells anything but where the frames are.
    is_mistabled: bool = False

    @property
    def changed(self) -> bool:
        """True when any frame, or their offset table, does not stay as it is."""
        return self.is_mistabled or any(self.sizes)

    def frames(self) -> Iterator[tuple[range, int]]:
        """The fragments of each frame, and its size when it changes."""
        ends = [*self.firsts[1:], len(self.offsets)]
        for first, end, size in zip(self.firsts, ends, self.sizes, strict=True):
            yield range(first, end), size

    def read(self, source: BinaryIO, frame: range) -> bytes:
        """A whole frame. Raises TooMuch for a longer one than is taken apart."""
        if sum(self.lengths[one] for one in frame) > FRAME_LIMIT:
            raise TooMuch
        return b"".join(_read(source, self.offsets[one], self.lengths[one]) for one in frame)

    def places(self) -> tuple[list[int], list[int]]:
        """Offset of each frame's first item behind the offset table, and each frame's length, as they will be."""
        offsets, lengths, at = [], [], 0
        for frame, size in self.frames():
            offsets.append(at)
            lengths.append(size or sum(self.lengths[one] for one in frame))
            at += 8 + size + size % 2 if size else sum(8 + self.lengths[one] for one in frame)
        return offsets, lengths


def survey(source: BinaryIO, start: int, transfer_syntax: str, clean: CleanFrame, frames: int) -> Fragments:
    """Look into every frame from ``start``, where the offset table's item begins. Raises Withheld or Unreadable.

    ``clean`` is what cleans one, and more than ``frames`` of them are none that the header tells of.
    """
    items = _items(source, start)
    found = Fragments(clean, next(items, (0, 0)))
    for offset, length in items:
        if len(found.offsets) == FRAGMENT_LIMIT:
            raise TooMuch
        if transfer_syntax == RLE or starts_frame(_read(source, offset, min(length, _START))):
            found.firsts.append(len(found.offsets))
        elif not found.firsts:
            raise Withheld(Reason.CODE_STREAM_TEXT)
        found.offsets.append(offset)
        found.lengths.append(length)
    if len(found.firsts) > frames:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    found.sizes.extend(0 for _ in found.firsts)
    for number, (frame, _) in enumerate(found.frames()):
        found.sizes[number] = _size(found.read(source, frame), clean)
    table = _read(source, found.offset_table[0], min(found.offset_table[1], 4 * FRAGMENT_LIMIT))
    offsets = found.places()[0]
    told = struct.pack(f"<{len(offsets)}I", *offsets) if offsets[-1:] <= [0xFFFFFFFF] else b""
    found.is_mistabled = found.offset_table[1] > 0 and table != told
    return found


def _size(frame: bytes, clean: CleanFrame) -> int:
    cleaned = clean(frame)
    return 0 if cleaned is frame else len(cleaned)


def _items(source: BinaryIO, at: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each item's value up to the delimiter."""
    while True:
        group, number, length = struct.unpack("<HHI", _read(source, at, 8))
        tag = group << 16 | number
        if tag == SEQUENCE_END and not length:
            return
        if tag != ITEM:
            raise Unreadable
        yield at + 8, length
        at += 8 + length


def _read(source: BinaryIO, at: int, length: int) -> bytes:
    source.seek(at)
    data = source.read(length)
    if len(data) != length:
        raise Unreadable
    return data


def pieces(source: BinaryIO, found: Fragments) -> Iterator[bytes]:
    """The encapsulated value anew, from the offset table to the delimiter; a frame that changes is one fragment."""
    yield from _item(_offset_table(found))
    for frame, size in found.frames():
        if size:
            yield from _item(found.clean(found.read(source, frame)))
        else:
            for one in frame:
                yield from _item(_read(source, found.offsets[one], found.lengths[one]))
    yield struct.pack("<HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)


def _item(value: bytes) -> Iterator[bytes]:
    padding = len(value) % 2
    yield struct.pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, len(value) + padding)
    yield value
    yield b"\0" * padding


def _offset_table(found: Fragments) -> bytes:
    """The Basic Offset Table with the frames' new places; empty when it was, or when it told something else."""
    offsets, _ = found.places()
    if found.offset_table[1] != 4 * len(offsets) or offsets[-1:] > [0xFFFFFFFF]:
        return b""
    return struct.pack(f"<{len(offsets)}I", *offsets)


def fragment_places(found: Fragments, start: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each fragment's value as written, the offset table's item beginning at ``start``."""
    tabled = found.offset_table[1] == 4 * len(found.firsts)
    at = start + 8 + (found.offset_table[1] if tabled else 0)
    for frame, size in found.frames():
        lengths = [size + size % 2] if size else [found.lengths[one] for one in frame]
        for length in lengths:
            yield at + 8, length
            at += 8 + length


def with_tables(elements: Elements, found: Fragments | None) -> Elements:
    """The header with the frames' places in its Extended Offset Table (PS3.3 section C.7.6.3.1.8), or without one."""
    told = {each.tag: each.value for each in elements if each.tag in TABLES}
    if not told:
        return elements
    new = _tables(found, _numbers(told.get(EXTENDED_LENGTHS, b""))) if found else {}
    tables = {tag: struct.pack(f"<{len(numbers)}Q", *numbers) for tag, numbers in new.items()}
    return tuple(
        each._replace(value=tables[each.tag]) if each.tag in tables else each
        for each in elements
        if each.tag in tables or each.tag not in TABLES
    )


def _tables(found: Fragments, told: list[int]) -> dict[int, list[int]]:
    """Numbers of each table; the lengths are those without padding where it was told how long they are."""
    offsets, lengths = found.places()
    if len(told) == len(lengths):
        both = zip(found.sizes, lengths, told, strict=True)
        lengths = [size or (old if length - 1 <= old <= length else length) for size, length, old in both]
    return {EXTENDED_OFFSETS: offsets, EXTENDED_LENGTHS: lengths, TOTAL_LENGTH: [sum(lengths)]}


def _numbers(value: bytes) -> list[int]:
    return list(struct.unpack_from(f"<{len(value) // 8}Q", value))
