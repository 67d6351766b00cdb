"""DICOM data sets as bytes, little endian, with explicit or implicit VR (PS3.5 section 7).

Small on purpose: what a worklist is asked and answers. Whatever comes in costs time and memory in proportion to its
length, and nesting and number of elements have bounds.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from services.hl7_fhir.domain.mapping.vocabulary import words

#: A value as text, several joined by a backslash; or the items of a sequence.
Value = str | list["DataSet"]
DataSet = Mapping[int, Value]

SPECIFIC_CHARACTER_SET = 0x00080005

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH, _MAX_ELEMENTS = 8, 2048
#: VRs whose length has four bytes in explicit VR (PS3.5 section 7.1.2).
_LONG = words("OB OD OF OL OV OW SQ SV UC UN UR UT UV")
_HEAD, _IMPLICIT = struct.Struct("<HH"), struct.Struct("<HHI")


class BadDataSet(ValueError):
    """The bytes are no data set, or a larger one than anybody needs."""


@dataclass(frozen=True)
class Asked:
    """An element of a request; ``items`` is None unless it is a sequence. ``vr`` is empty in implicit VR."""

    vr: str
    value: bytes
    items: tuple[Mapping[int, "Asked"], ...] | None = None


class Reader:
    """Reads one data set of at most ``most`` elements; ``sequences`` are sequences where the bytes do not tell."""

    def __init__(self, encoded: bytes, *, explicit: bool, sequences: frozenset[int], most: int = _MAX_ELEMENTS) -> None:
        self._most = most
        self._bytes = encoded
        self._explicit = explicit
        self._sequences = sequences
        self._elements = 0

    def read(self) -> dict[int, Asked]:
        """All elements by tag; BadDataSet."""
        found, at = self._elements_of(0, len(self._bytes), self._explicit, 0)
        if at != len(self._bytes):
            raise BadDataSet("trailing-bytes")
        return found

    def _elements_of(self, at: int, end: int, explicit: bool, depth: int) -> tuple[dict[int, Asked], int]:
        """The elements from ``at`` to ``end``, or to an item's end, and where that is."""
        found: dict[int, Asked] = {}
        while at < end:
            tag = self._tag(at, end)
            if tag == _ITEM_END:
                return found, at + 8
            self._elements += 1
            if self._elements > self._most or depth > _MAX_DEPTH:
                raise BadDataSet("too-much")
            found[tag], at = self._element(tag, at, end, explicit, depth)
        return found, at

    def _element(self, tag: int, at: int, end: int, explicit: bool, depth: int) -> tuple[Asked, int]:
        vr, length, at = self._header(at, end, explicit)
        if vr == "SQ" or (not vr and tag in self._sequences) or length == _UNDEFINED:
            # UN of undefined length holds implicit VR (PS3.5 section 6.2.2).
            items, at = self._items(at, end, length, explicit and vr != "UN", depth)
            return Asked(vr, b"", items), at
        if length > end - at:
            raise BadDataSet("element-cut")
        return Asked(vr, self._bytes[at : at + length]), at + length

    def _items(
        self, at: int, end: int, length: int, explicit: bool, depth: int
    ) -> tuple[tuple[dict[int, Asked], ...], int]:
        if length != _UNDEFINED:
            if length > end - at:
                raise BadDataSet("element-cut")
            end = at + length
        items: list[dict[int, Asked]] = []
        while at < end:
            tag, size = self._tag(at, end), struct.unpack_from("<I", self._bytes, at + 4)[0]
            at += 8
            if tag == _SEQUENCE_END:
                return tuple(items), at
            if tag != _ITEM or (size != _UNDEFINED and size > end - at):
                raise BadDataSet("no-item")
            self._elements += 1
            item, at = self._elements_of(at, end if size == _UNDEFINED else at + size, explicit, depth + 1)
            items.append(item)
        if length == _UNDEFINED:
            raise BadDataSet("sequence-cut")
        return tuple(items), at

    def _tag(self, at: int, end: int) -> int:
        if end - at < 8:
            raise BadDataSet("element-cut")
        group, element = _HEAD.unpack_from(self._bytes, at)
        return int(group << 16 | element)

    def _header(self, at: int, end: int, explicit: bool) -> tuple[str, int, int]:
        """VR, length, and where the value begins."""
        if not explicit:
            return "", _IMPLICIT.unpack_from(self._bytes, at)[2], at + 8
        vr = self._bytes[at + 4 : at + 6].decode("latin-1")
        if not (vr.isascii() and vr.isalpha() and vr.isupper()):
            raise BadDataSet("no-vr")
        if vr not in _LONG:
            return vr, struct.unpack_from("<H", self._bytes, at + 6)[0], at + 8
        if end - at < 12:
            raise BadDataSet("element-cut")
        return vr, struct.unpack_from("<I", self._bytes, at + 8)[0], at + 12


def element(tag: int, vr: str, value: bytes, explicit: bool) -> bytes:
    """One element, its value padded to even length (PS3.5 section 6.2)."""
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    group, number = tag >> 16, tag & 0xFFFF
    if not explicit:
        return _IMPLICIT.pack(group, number, len(value)) + value
    if vr in _LONG:
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def sequence(tag: int, items: Iterable[bytes], explicit: bool) -> bytes:
    """A sequence of encoded items, with defined lengths."""
    return element(
        tag, "SQ", b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items), explicit
    )


def texts(data_set: DataSet) -> Iterator[tuple[int, str]]:
    """Every text in ``data_set`` with its tag, those in sequences included."""
    for tag, value in data_set.items():
        if isinstance(value, str):
            yield tag, value
        else:
            for item in value:
                yield from texts(item)
