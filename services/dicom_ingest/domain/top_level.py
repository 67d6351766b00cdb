"""The top level of a data set, followed while it arrives: where its study is, and whether its end is missing.

No byte is kept but the head of an element that two pieces share. Values, and all that has a length, are passed over;
only what has none (PS3.5 sections 7.5.2 and A.4) is walked to find where it ends.
"""

import struct

from services.dicom_ingest.domain.elements import Encoding
from services.dicom_ingest.domain.empty_items import EMPTY_ITEMS
from services.dicom_ingest.domain.vrs import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED,
)

#: So many sequences and items within each other, and elements in all: what has more is not followed to its end, and
#: counts as whole. Its study is not known then, so that each such instance has a batch of its own, which costs.
_DEPTH, _MOST = 1024, 2_500_000
#: A wanted value that is longer is not told, bytes.
_LONGEST = 1024

Bytes = bytes | bytearray | memoryview


class TopLevel:
    """Feed it the plain bytes of a data set; ``value`` is the wanted element's once that has come by.

    ``is_past`` tells that the pixels have begun, before which it would have come; ``is_lost`` that the bytes are no
    data set in this encoding, or one beyond bounds: then nothing more is known of them.
    """

    def __init__(self, encoding: Encoding, wanted: int) -> None:
        self._wanted = wanted
        self._implicit = encoding.implicit
        self._head = struct.Struct(encoding.order + "HH2sH")
        self._item_head = struct.Struct(encoding.order + "HHI")
        self._long = struct.Struct(encoding.order + "I")
        self._empty_items = EMPTY_ITEMS[encoding.order]
        self._missing = 0
        self._carry = b""
        #: Of each sequence and item of undefined length that we are in: is it a sequence, and is it implicit?
        self._open: list[tuple[bool, bool]] = []
        self._count = 0
        self.value: bytes | None = None
        self.is_past = self.is_lost = False

    @property
    def is_whole(self) -> bool:
        """Whether what has come ends where an element of the top level does."""
        return not (self._missing or self._carry or self._open or self.is_lost)

    @property
    def is_cut(self) -> bool:
        """Whether an element of the top level is longer than what has come of it."""
        return self._missing > 0 and not self._open and not self.is_lost

    def feed(self, chunk: Bytes) -> None:
        """Take the next bytes."""
        if self.is_lost:
            return
        if self._carry:
            chunk = self._carry + bytes(chunk)
            at = self._follow(chunk, 0)
        elif self._missing >= len(chunk):
            at = self._missing
        else:
            at = self._follow(chunk, self._missing)
        self._carry = bytes(chunk[at:])
        if not self._carry:
            self._missing = at - len(chunk)

    def _follow(self, data: Bytes, at: int) -> int:
        """Where the first element begins of whose head, or wanted value, something is missing."""
        self._missing = 0
        while at + 8 <= len(data) and not self.is_lost:
            if self._open and self._open[-1][0] and (end := self._past_items(data, at)) > at:
                at = end
                continue
            self._count += 1
            if (end := self._end(data, at)) < 0:
                return at
            at = end if self._count < _MOST else self._lose(at)
        return at

    def _past_items(self, data: Bytes, at: int) -> int:
        """Behind the items with lengths that begin at ``at``: a sequence may have a million, and others wait."""
        unpack, last, most, count = self._item_head.unpack_from, len(data) - 8, _MOST - self._count, 0
        while at <= last and count < most:
            group, number, length = unpack(data, at)
            if group != 0xFFFE or number != 0xE000 or length == UNDEFINED:
                break
            empty = 0 if length else self._empty_items.count(data, at, most - count)
            at += 8 * empty or 8 + length
            count += empty or 1
        self._count += count
        return at

    def _end(self, data: Bytes, at: int) -> int:
        """Where to go on after what begins at ``at``; -1 when more must come before that can be told."""
        is_sequence, implicit = self._open[-1] if self._open else (False, self._implicit)
        group, number, vr, length = self._head.unpack_from(data, at)
        if is_sequence or group == 0xFFFE:
            return self._delimited(data, at, is_sequence, implicit)
        start = at + 8
        if implicit:
            (length,) = self._long.unpack_from(data, at + 4)
        elif vr in LONG_VRS:
            start = at + 12
            if start > len(data):
                return -1
            (length,) = self._long.unpack_from(data, at + 8)
        elif vr not in SHORT_VRS:
            return self._lose(at)
        if not self._open and group >= 0x20:
            self._look(data, group << 16 | number, start, length)
        if length == UNDEFINED:
            return self._enter(start, is_sequence=True, implicit=implicit or vr == b"UN")
        return -1 if self._missing else start + length

    def _look(self, data: Bytes, tag: int, start: int, length: int) -> None:
        """At an element of the top level: is it what is wanted?"""
        if tag in PIXEL_DATA:
            self.is_past = True
        elif tag == self._wanted and length <= _LONGEST:
            self._missing = max(0, start + length - len(data))
            if not self._missing:
                self.value = bytes(data[start : start + length])

    def _delimited(self, data: Bytes, at: int, is_sequence: bool, implicit: bool) -> int:
        """An item of a sequence, or one of the two delimiters."""
        group, number, length = self._item_head.unpack_from(data, at)
        tag = group << 16 | number
        if tag == ITEM and is_sequence:
            return self._enter(at + 8, is_sequence=False, implicit=implicit) if length == UNDEFINED else at + 8 + length
        if tag != (SEQUENCE_END if is_sequence else ITEM_END) or not self._open:
            return self._lose(at)
        self._open.pop()
        return at + 8

    def _enter(self, at: int, *, is_sequence: bool, implicit: bool) -> int:
        self._open.append((is_sequence, implicit))
        return at if len(self._open) <= _DEPTH else self._lose(at)

    def _lose(self, at: int) -> int:
        self.is_lost = True
        return at
