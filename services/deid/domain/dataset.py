"""Data sets as trees of elements whose values stay bytes (PS3.5 chapter 7).

De-identification must leave alone what it keeps: that is written as the very bytes that came.
"""

import struct
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from shared.errors import Unprocessable

#: VRs whose length field has 32 bits in explicit VR (PS3.5 section 7.1.2).
LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
NUMERIC = frozenset(["AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"])
SHORT = (NUMERIC - LONG) | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI"}
#: By their two bytes: one object for each, however many elements have it.
VRS = {vr.encode(): vr for vr in LONG | SHORT}
SHORT_VRS = {code: vr for code, vr in VRS.items() if vr in SHORT}
_CODES = {vr: code for code, vr in VRS.items()}
#: VRs padded with a space; the others with a zero byte (PS3.5 section 6.2).
SPACED = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"])

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
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
#: Writes the head of an element with a short VR, by whether its bytes are in little endian order.
_GLANCES = {True: struct.Struct("<HH2sH").pack, False: struct.Struct(">HH2sH").pack}


def encode(elements: Iterable[Element], encoding: Encoding) -> bytes:
    """``elements`` in tag order; sequences and items with explicit lengths, values padded to even length."""
    encoded = bytearray()
    _encode(elements, encoding, encoded)
    return bytes(encoded)


def _encode(elements: Iterable[Element], encoding: Encoding, encoded: bytearray) -> None:
    """Into one buffer, lengths last: a sequence's bytes are never there twice."""
    glance = _GLANCES[encoding.little]
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
