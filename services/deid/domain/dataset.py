"""Data sets as trees of elements whose values stay bytes (PS3.5 chapter 7).

De-identification may let nothing out that it has not looked at, and must leave alone what it keeps. So this reader is
strict where pydicom is forgiving (every byte belongs to an element, lengths fit, no attribute comes twice), and what
is kept is written as the very bytes that came.
"""

import struct
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from services.deid.domain.dictionary import known_vr
from shared.errors import Unprocessable

#: VRs whose length field has 32 bits in explicit VR (PS3.5 section 7.1.2).
LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
NUMERIC = frozenset(["AT", "FD", "FL", "SL", "SS", "UL", "US"])
SHORT = NUMERIC | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI"}
#: By their two bytes: one object for each, however many elements have it.
VRS = {vr.encode(): vr for vr in LONG | SHORT}
SHORT_VRS = {code: vr for code, vr in VRS.items() if vr in SHORT}
_CODES = {vr: code for code, vr in VRS.items()}
#: VRs padded with a space; the others with a zero byte (PS3.5 section 6.2).
SPACED = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"])

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
#: The group of items and delimiters; the bytes of the head of an element with a short VR.
_DELIMITERS, _HEAD = 0xFFFE, 8
UNDEFINED = 0xFFFFFFFF
DEEPEST = 32
#: A UID has at most so many characters (PS3.5 section 9.1).
UID_LENGTH = 64
#: More elements, items and UIDs than this are not taken apart: in memory each takes twenty times its least encoding.
ELEMENT_LIMIT = 250_000
#: A vendor's sequence in VR UN is taken apart up to this size, in bytes.
VENDOR_SEQUENCE_LIMIT = 64 * 1024


class Unreadable(Unprocessable):
    """The bytes are no data set that can be examined completely."""

    def __init__(self, reason: str = "unreadable-header") -> None:
        super().__init__(reason)


class TooMuch(Unreadable):
    """The data set holds more than is examined with bounded memory."""


class Encoding(NamedTuple):
    """How a data set is written: implicit VR or not, little endian or not."""

    implicit: bool
    little: bool


IMPLICIT_LITTLE = Encoding(implicit=True, little=True)

ENCODINGS = {
    "1.2.840.10008.1.2": IMPLICIT_LITTLE,
    "1.2.840.10008.1.2.2": Encoding(implicit=False, little=False),
}
EXPLICIT_LITTLE = Encoding(implicit=False, little=True)


def encoding_of(transfer_syntax: str) -> Encoding:
    """The encoding of a transfer syntax; every other than two is explicit VR little endian (PS3.5 annex A)."""
    return ENCODINGS.get(transfer_syntax, EXPLICIT_LITTLE)


class Element(NamedTuple):
    """One data element: ``items`` for sequences, else ``value`` as encoded.

    ``vr`` is the one in the data set (explicit VR) or the dictionary's; UN when neither says.
    """

    tag: int
    vr: str
    value: bytes = b""
    items: "tuple[tuple[Element, ...], ...] | None" = None


Elements = tuple[Element, ...]
_TAG = itemgetter(0)


def parse(data: bytes, encoding: Encoding) -> Elements:
    """All elements of ``data``. Raises Unreadable unless every byte is accounted for, or TooMuch."""
    return _Reader(data, encoding, _Shared()).elements(0, len(data), 0)[0]


def as_sequence(element: Element) -> Element | None:
    """A sequence in VR UN and of known length, which holds implicit VR (PS3.5 section 6.2.2), with its items.

    None when it is no sequence, or larger than one that is taken apart here.
    """
    if element.items is not None:
        return element
    if element.vr != "UN" or len(element.value) > VENDOR_SEQUENCE_LIMIT:
        return None
    reader = _Reader(element.value, IMPLICIT_LITTLE, _Shared())
    try:
        items, _ = reader.items(0, len(element.value), 1, delimited=False)
    except Unreadable:
        return None
    return Element(element.tag, "UN", items=items)


class _Shared:
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


class _Reader:
    def __init__(self, data: bytes, encoding: Encoding, shared: _Shared) -> None:
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
            tag, vr, length, start = self._head(at, end)
            if delimited and tag == ITEM_END:
                return tuple(found.values()), start
            element, at = self._element(tag, vr, length, start, end, depth)
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
        first, last = len(found), end - _HEAD
        most = first + self._shared.left
        while at <= last and len(found) < most:
            group, number, code, length = glance(data, at)
            vr = vrs.get(code)
            start = at + _HEAD
            stop = start + length
            tag = group << 16 | number
            if vr is None or stop > end or group == _DELIMITERS or length > UID_LENGTH or tag in found:
                break
            tag = tags.setdefault(tag, tag)
            found[tag] = new(Element, (tag, vr, data[start:stop], None))
            at = stop
        self._shared.left -= len(found) - first
        return at

    def _head(self, at: int, end: int) -> tuple[int, str, int, int]:
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

    def _element(self, tag: int, vr: str, length: int, start: int, end: int, depth: int) -> tuple[Element, int]:
        stop = end if length == UNDEFINED else start + length
        if stop > end:
            raise Unreadable
        if length == UNDEFINED and vr in ("OB", "OW"):
            return Element(tag, vr), self._skip_fragments(start, end)
        if vr == "SQ" or length == UNDEFINED or (vr == "UN" and known_vr(tag) == "SQ"):
            reader = self if vr == "SQ" else _Reader(self._data, IMPLICIT_LITTLE, self._shared)
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


def encode(elements: Iterable[Element], encoding: Encoding) -> bytes:
    """``elements`` in tag order; sequences and items with explicit lengths, values padded to even length."""
    encoded = bytearray()
    _encode(elements, encoding, encoded)
    return bytes(encoded)


def _encode(elements: Iterable[Element], encoding: Encoding, encoded: bytearray) -> None:
    """Into one buffer, lengths last: a sequence's bytes are never there twice."""
    order = "<" if encoding.little else ">"
    glance = struct.Struct(order + "HH2sH").pack
    for element in sorted(elements, key=_TAG):
        tag, vr, value, items = element
        if items is not None or encoding.implicit or vr in LONG:
            _encode_long(element, encoding, encoded)
            continue
        padding = len(value) & 1
        encoded += glance(tag >> 16, tag & 0xFFFF, _CODES[vr], len(value) + padding)
        encoded += value
        if padding:
            encoded += b" " if vr in SPACED else b"\0"


def _encode_long(element: Element, encoding: Encoding, encoded: bytearray) -> None:
    """An element whose length has four bytes, or that has items."""
    order = "<" if encoding.little else ">"
    length = struct.Struct(order + ("I" if encoding.implicit or element.vr in LONG else "H"))
    encoded += struct.pack(order + "HH", element.tag >> 16, element.tag & 0xFFFF)
    if not encoding.implicit:
        encoded += element.vr.encode() + (b"\0\0" if element.vr in LONG else b"")
    encoded += bytes(length.size)
    start = len(encoded)
    _encode_value(element, encoding, encoded)
    length.pack_into(encoded, start - length.size, len(encoded) - start)


def _encode_value(element: Element, encoding: Encoding, encoded: bytearray) -> None:
    if element.items is not None:
        _encode_items(element.items, IMPLICIT_LITTLE if element.vr == "UN" else encoding, encoded)
        return
    encoded += element.value
    if len(element.value) % 2:
        encoded += b" " if element.vr in SPACED else b"\0"


def _encode_items(items: tuple[Elements, ...], encoding: Encoding, encoded: bytearray) -> None:
    order = "<" if encoding.little else ">"
    for item in items:
        encoded += struct.pack(order + "HHI", 0xFFFE, 0xE000, 0)
        start = len(encoded)
        _encode(item, encoding, encoded)
        struct.pack_into(order + "I", encoded, start - 4, len(encoded) - start)
