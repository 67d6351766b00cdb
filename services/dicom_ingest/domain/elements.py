"""The elements of a data set, walked without being trusted: depth, count and lengths are bounded (PS3.5 section 7).

The walk yields where each value lies, and copies none but short ones. It reads through a window, so a value of many
gigabytes costs a seek, not memory.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.negotiation import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE
from services.dicom_ingest.domain.passing import Passing
from services.dicom_ingest.domain.short_elements import Short, short_elements
from services.dicom_ingest.domain.vrs import ITEM, ITEM_END, LONG_VRS, PIXEL_DATA, SEQUENCE_END, SHORT_VRS, vr_of
from services.dicom_ingest.domain.vrs import UNDEFINED as UNDEFINED
from services.dicom_ingest.domain.window import CutShort, Malformed, Window

#: Values that are longer are left out of headers like bulk data, bytes: one of them is not to crowd out all others.
LONGEST_TOLD = 16 * 1024
#: What an element costs beside its value, bytes; more than there ever is to tell.
_HEAD, _ANY = 8, 1 << 62
#: The head of an element in explicit VR, of one in implicit VR, and a length of four bytes, by byte order.
_FORMS = {order: tuple(struct.Struct(order + form) for form in ("HH2sH", "HHI", "I")) for order in "<>"}


class _TooLong(Exception):
    """A sequence has more to tell than what is told of one."""


class Element(NamedTuple):
    """Where one element lies: offset and length of its value in bytes; ``items`` of a sequence that was entered.

    ``end`` is where the next element begins; ``length`` is UNDEFINED for encapsulated pixels and such sequences, which
    have no ``items`` when they were passed over.
    """

    tag: int
    vr: str
    offset: int
    length: int
    end: int
    items: tuple[tuple["Element", ...], ...] | None = None


class PixelData(NamedTuple):
    """Where the element begins, where its value does, and the length it declares (UNDEFINED when encapsulated)."""

    at: int
    offset: int
    length: int


@dataclass(frozen=True)
class Encoding:
    """How elements are written (PS3.5 annex A)."""

    implicit: bool
    order: str

    @classmethod
    def of(cls, transfer_syntax: str) -> "Encoding":
        """The encoding that a transfer syntax demands; every one but two is explicit VR little endian."""
        return cls(transfer_syntax == IMPLICIT_LITTLE, ">" if transfer_syntax == EXPLICIT_BIG else "<")


def is_deflated(transfer_syntax: str) -> bool:
    """Whether the data set is one deflate stream (PS3.5 section A.5; the JPIP variants likewise)."""
    return transfer_syntax in (DEFLATED, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")


class Walk:
    """One pass over a data set."""

    def __init__(self, window: Window, encoding: Encoding, bounds: Bounds) -> None:
        self._window = window
        self.encoding = encoding
        self._bounds = bounds
        self._elements = self._items = self._fragments = 0
        self._left = _ANY
        self.pixel_data: PixelData | None = None
        self.has_left_out = False
        self._head, self._tag_length, self._long = _FORMS[encoding.order]

    def header(self, at: int = 0) -> Iterator[Element]:
        """The top-level elements from ``at`` up to Pixel Data or the end; Malformed where it is no data set.

        A sequence of defined length is not entered (``enter`` does). Afterwards ``pixel_data`` tells where the Pixel
        Data element begins, and its value and length, and ``has_left_out`` whether a sequence was too long to enter.
        """
        while (element := self.next(at)) is not None:
            yield element
            at = element.end

    def next(self, at: int) -> Element | None:
        """The top-level element at ``at``, as ``header`` tells it; None for Pixel Data and at the end."""
        if at >= self._window.size:
            return None
        tag, vr, offset, length = self._implicit(at) if self.encoding.implicit else self._explicit(at)
        if tag in PIXEL_DATA:
            self.pixel_data = PixelData(at, offset, length)
            return None
        if length == UNDEFINED:
            element = self._unmeasured(at, tag, vr, offset)
        else:
            element = Element(tag, vr, offset, length, offset + length)
        self._elements += 1
        if element.end > self._window.size:
            raise CutShort
        if self._elements > self._bounds.elements:
            raise Malformed("too-many-elements")
        return element

    def short(self, at: int) -> tuple[list[Short], int]:
        """The top-level elements from ``at`` on that are read at a glance, and where they end: ``next`` goes on there.

        None in implicit VR, where ``at`` is not in the window, and beyond our bounds.
        """
        window = self._window
        block, index = window.block, at - window.base
        if self.encoding.implicit or index < 0 or not isinstance(block, bytes):
            return [], at
        end, left = min(window.held, window.size - window.base), self._bounds.elements - self._elements
        found, index = short_elements(block, index, end, left, self._head)
        self._elements += len(found)
        return found, window.base + index

    def enter(self, element: Element) -> Element:
        """A top-level sequence with its items."""
        if element.items is not None:
            return element
        implicit = self.encoding.implicit or self._was_unknown(element.offset - 12)
        found = None
        if element.length != UNDEFINED:
            found = self._as_told(lambda: self._sequence(element.tag, element.offset, element.length, 0, implicit))
        self.has_left_out |= found is None
        return found or element

    def fragments(self, offset: int) -> Iterator[tuple[int, int]]:
        """Offset and length of each item value of encapsulated pixels whose value begins at ``offset``.

        The Basic Offset Table comes first. The last pair is the delimiter's end and zero (PS3.5 section A.4).
        """
        while True:
            group, element, length = self._tag_length.unpack_from(*self._look(offset, 8))
            tag = group << 16 | element
            offset += 8
            if tag == SEQUENCE_END:
                yield offset, 0
                return
            self._fragments += 1
            if self._fragments > self._bounds.passed:
                raise Malformed("too-many-items")
            if tag != ITEM or length == UNDEFINED:
                raise Malformed("bad-fragment")
            if offset + length > self._window.size:
                raise CutShort
            yield offset, length
            offset += length

    def _unmeasured(self, at: int, tag: int, vr: str, offset: int) -> Element:
        """An element of the top level without a length: read as far as it is told, else passed over."""
        found = self._as_told(lambda: self._undefined(at, tag, vr, offset, 0, self.encoding.implicit))
        if found is not None:
            return found
        implicit = self.encoding.implicit or self._was_unknown(at)
        end = Passing(self._window, self.encoding.order, self._bounds.passed).end(offset, implicit=implicit)
        return Element(tag, "SQ", offset, UNDEFINED, end)

    def _as_told(self, read: Callable[[], Element]) -> Element | None:
        """What is read, None when it has more to tell than is told of a sequence."""
        counted, self._left = (self._elements, self._items), self._bounds.told
        try:
            return read()
        except _TooLong:
            self._elements, self._items = counted
            return None
        finally:
            self._left = _ANY

    def _look(self, offset: int, count: int) -> tuple[bytes | bytearray | memoryview, int]:
        index = self._window.at(offset, count)
        return self._window.block, index

    def _element(self, at: int, depth: int, implicit: bool) -> Element:
        self._elements += 1
        if self._elements > self._bounds.elements:
            raise Malformed("too-many-elements")
        tag, vr, offset, length = self._implicit(at) if implicit else self._explicit(at)
        self._tell(_HEAD if length > LONGEST_TOLD or vr == "SQ" else _HEAD + length)
        if length == UNDEFINED:
            return self._undefined(at, tag, vr, offset, depth, implicit)
        if vr == "SQ":
            return self._sequence(tag, offset, length, depth, implicit or self._was_unknown(at))
        if offset + length > self._window.size:
            raise CutShort
        return Element(tag, vr, offset, length, offset + length)

    def _undefined(self, at: int, tag: int, vr: str, offset: int, depth: int, implicit: bool) -> Element:
        """An element that ends at a delimiter: a sequence, or encapsulated pixels."""
        if vr == "SQ" or implicit or vr == "UN":
            return self._sequence(tag, offset, UNDEFINED, depth, implicit or self._was_unknown(at))
        ((end, _length),) = deque(self.fragments(offset), maxlen=1)
        return Element(tag, vr, offset, UNDEFINED, end)

    def _explicit(self, at: int) -> tuple[int, str, int, int]:
        window = self._window
        index = at - window.base
        if index < 0 or index + 8 > window.held:
            index = window.at(at, 8)
        group, element, vr, length = self._head.unpack_from(window.block, index)
        name = SHORT_VRS.get(vr)
        if name is not None:
            return group << 16 | element, name, at + 8, length
        name = LONG_VRS.get(vr)
        if name is None or group == 0xFFFE:
            raise Malformed("unknown-vr")
        (length,) = self._long.unpack_from(*self._look(at + 8, 4))
        tag = group << 16 | element
        return tag, vr_of(tag) if name == "UN" else name, at + 12, length

    def _implicit(self, at: int) -> tuple[int, str, int, int]:
        group, element, length = self._tag_length.unpack_from(*self._look(at, 8))
        tag = group << 16 | element
        if group == 0xFFFE:
            raise Malformed("stray-item")
        return tag, vr_of(tag), at + 8, length

    def _was_unknown(self, at: int) -> bool:
        """Whether the sequence was written as UN: then its items are implicit (PS3.5 section 6.2.2 note 2)."""
        return self._window.read(at + 4, 2) == b"UN"

    def _sequence(self, tag: int, offset: int, length: int, depth: int, implicit: bool) -> Element:
        if depth >= self._bounds.depth:
            raise Malformed("too-deep")
        end = None if length == UNDEFINED else offset + length
        if end is not None and end > self._window.size:
            raise CutShort
        items = []
        at = offset
        while end is None or at < end:
            item, at = self._item(at, depth, implicit)
            if item is None:
                break
            items.append(item)
        return Element(tag, "SQ", offset, length, at if end is None else end, tuple(items))

    def _item(self, at: int, depth: int, implicit: bool) -> tuple[tuple[Element, ...] | None, int]:
        """The item at ``at`` and where it ends; None for the delimiter of the sequence."""
        group, element, length = self._tag_length.unpack_from(*self._look(at, 8))
        tag, at = group << 16 | element, at + 8
        if tag == SEQUENCE_END:
            return None, at
        self._tell(8)
        self._count_item()
        if tag != ITEM:
            raise Malformed("bad-item")
        end = None if length == UNDEFINED else at + length
        members = []
        while end is None or at < end:
            if end is None and self._is_item_end(at):
                at += 8
                break
            members.append(self._element(at, depth + 1, implicit))
            at = members[-1].end
            if end is not None and at > end:
                raise Malformed("bad-item")
        return tuple(members), at

    def _is_item_end(self, at: int) -> bool:
        group, element, _length = self._tag_length.unpack_from(*self._look(at, 8))
        return (group << 16 | element) == ITEM_END

    def _tell(self, size: int) -> None:
        """So many bytes more of what a sequence has to tell."""
        self._left -= size
        if self._left < 0:
            raise _TooLong

    def _count_item(self) -> None:
        self._items += 1
        if self._items > self._bounds.items:
            raise Malformed("too-many-items")
