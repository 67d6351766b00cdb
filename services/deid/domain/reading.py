"""From bytes to data sets (PS3.5 chapter 7).

De-identification may let nothing out that it has not looked at. So this reader is strict where pydicom is forgiving:
every byte belongs to an element, lengths fit, no attribute comes twice.
"""

import struct

from services.deid.domain.dataset import (
    DEEPEST,
    ELEMENT_LIMIT,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG,
    SEQUENCE_END,
    SHORT,
    SHORT_VRS,
    UID_LENGTH,
    UNDEFINED,
    VENDOR_SEQUENCE_LIMIT,
    VRS,
    Element,
    Elements,
    Encoding,
    TooMuch,
    Unreadable,
)
from services.deid.domain.dictionary import known_vr

#: The group of items and delimiters; the bytes of the head of an element with a short VR.
DELIMITERS, HEAD = 0xFFFE, 8


def parse(data: bytes, encoding: Encoding) -> Elements:
    """All elements of ``data``. Raises Unreadable unless every byte is accounted for, or TooMuch."""
    return Reader(data, encoding, Shared()).elements(0, len(data), 0)[0]


def as_sequence(element: Element) -> Element | None:
    """A sequence in VR UN and of known length, which holds implicit VR (PS3.5 section 6.2.2), with its items.

    None when it is no sequence, or larger than one that is taken apart here.
    """
    if element.items is not None:
        return element
    if element.vr != "UN" or len(element.value) > VENDOR_SEQUENCE_LIMIT:
        return None
    reader = Reader(element.value, IMPLICIT_LITTLE, Shared())
    try:
        items, _ = reader.items(0, len(element.value), 1, delimited=False)
    except Unreadable:
        return None
    return Element(element.tag, "UN", items=items)


class Shared:
    """What the readers of one data set have in common: how many elements may follow, and one object for each tag."""

    def __init__(self) -> None:
        self.left = ELEMENT_LIMIT
        self.tags: dict[int, int] = {}

    def tag(self, tag: int) -> int:
        """The same number as the same object, each time it comes; and it counts."""
        self.count(1)
        return self.tags.setdefault(tag, tag)

    def count(self, number: int) -> None:
        """Take in that many things more; TooMuch for one too many."""
        self.left -= number
        if self.left < 0:
            raise TooMuch


class Reader:
    """Reads elements and sequences at given places of ``data``."""

    def __init__(self, data: bytes, encoding: Encoding, shared: Shared) -> None:
        self._data = data
        self._encoding = encoding
        self._shared = shared
        order = "<" if encoding.little else ">"
        self._tag = struct.Struct(order + "HH").unpack_from
        self._short = struct.Struct(order + "H").unpack_from
        self._long = struct.Struct(order + "I").unpack_from
        self._glance = struct.Struct(order + "HH2sH").unpack_from
        self._short_vrs = {} if encoding.implicit else SHORT_VRS

    def elements(self, at: int, end: int, depth: int, *, delimited: bool = False) -> tuple[Elements, int]:
        """Elements from ``at`` to ``end`` or, when ``delimited``, to the item's delimiter; and where they stop."""
        if depth > DEEPEST:
            raise Unreadable
        found: dict[int, Element] = {}
        while at < end:
            at = self._short_elements(at, end, found)
            if at >= end:
                break
            tag, vr, length, start = self.head(at, end)
            if delimited and tag == ITEM_END:
                return tuple(found.values()), start
            element, at = self.element(tag, vr, length, start, end, depth)
            if tag in found or tag >> 16 == 0xFFFE:
                raise Unreadable
            found[tag] = element
        if delimited:
            raise Unreadable
        return tuple(found.values()), at

    def _short_elements(self, at: int, end: int, found: dict[int, Element]) -> int:
        """Take in the elements from ``at`` on that are read at a glance, as nearly all are; where they stop.

        Those are short ones of explicit VR, whatever else needs care apart: ``elements`` goes on with what is not.
        """
        data, vrs, tags, glance, new = self._data, self._short_vrs, self._shared.tags, self._glance, tuple.__new__
        first, last = len(found), end - HEAD
        most = first + self._shared.left
        while at <= last and len(found) < most:
            group, number, code, length = glance(data, at)
            vr = vrs.get(code)
            start = at + HEAD
            stop = start + length
            tag = group << 16 | number
            if vr is None or stop > end or group == DELIMITERS or length > UID_LENGTH or tag in found:
                break
            tag = tags.setdefault(tag, tag)
            found[tag] = new(Element, (tag, vr, data[start:stop], None))
            at = stop
        self._shared.left -= len(found) - first
        return at

    def head(self, at: int, end: int) -> tuple[int, str, int, int]:
        """Tag, VR, length and where the value starts."""
        if at + 8 > end:
            raise Unreadable
        group, number = self._tag(self._data, at)
        tag = self._shared.tag(group << 16 | number)
        if self._encoding.implicit or group == 0xFFFE:
            return tag, known_vr(tag) or "UN", self._long(self._data, at + 4)[0], at + 8
        vr = VRS.get(self._data[at + 4 : at + 6], "")
        if vr in SHORT:
            return tag, vr, self._short(self._data, at + 6)[0], at + 8
        if vr not in LONG or at + 12 > end:
            raise Unreadable
        return tag, vr, self._long(self._data, at + 8)[0], at + 12

    def element(self, tag: int, vr: str, length: int, start: int, end: int, depth: int) -> tuple[Element, int]:
        """The element with that head, whose value begins at ``start``, and where it stops."""
        stop = end if length == UNDEFINED else start + length
        if stop > end:
            raise Unreadable
        if length == UNDEFINED and vr in ("OB", "OW"):
            return Element(tag, vr), self._skip_fragments(start, end)
        if vr == "SQ" or length == UNDEFINED or (vr == "UN" and known_vr(tag) == "SQ"):
            reader = self if vr == "SQ" else Reader(self._data, IMPLICIT_LITTLE, self._shared)
            items, at = reader.items(start, stop, depth + 1, delimited=length == UNDEFINED)
            return Element(tag, vr, items=items), at
        if length > UID_LENGTH and "UI" in (vr, known_vr(tag)):
            self._shared.count(self._data.count(b"\\", start, stop))
        return Element(tag, vr, self._data[start:stop]), stop

    def items(self, at: int, end: int, depth: int, *, delimited: bool) -> tuple[tuple[Elements, ...], int]:
        """The items of a sequence (PS3.5 section 7.5); UN of unknown length holds implicit VR (section 6.2.2)."""
        items: list[Elements] = []
        while at < end:
            tag, length, start = self._item_head(at, end)
            if tag == SEQUENCE_END and delimited:
                return tuple(items), start
            if tag != ITEM or (length != UNDEFINED and start + length > end):
                raise Unreadable
            stop = end if length == UNDEFINED else start + length
            elements, at = self.elements(start, stop, depth, delimited=length == UNDEFINED)
            items.append(elements)
        if delimited:
            raise Unreadable
        return tuple(items), at

    def _item_head(self, at: int, end: int) -> tuple[int, int, int]:
        if at + 8 > end:
            raise Unreadable
        group, number = self._tag(self._data, at)
        return self._shared.tag(group << 16 | number), self._long(self._data, at + 4)[0], at + 8

    def _skip_fragments(self, at: int, end: int) -> int:
        """Past an encapsulated value (PS3.5 annex A.4), which only a nested image has in a header."""
        while at < end:
            tag, length, at = self._item_head(at, end)
            if tag == SEQUENCE_END:
                return at
            if tag != ITEM or at + length > end:
                raise Unreadable
            at += length
        raise Unreadable
