"""Passing over a sequence that does not say how long it is: only where it ends is of interest (PS3.5 section 7.5.2).

The per-frame groups of an enhanced multi-frame image (PS3.3 section C.7.6.16) have more than a million elements, and
nobody reads them one by one. Nothing is kept of them; time is bounded by a count.
"""

import struct

from services.dicom_ingest.domain.empty_items import EMPTY_ITEMS
from services.dicom_ingest.domain.vrs import ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, SHORT_VRS, UNDEFINED
from services.dicom_ingest.domain.window import CutShort, Malformed, Window

#: What is this deep is no image.
_DEPTH = 64
#: The longest head of an element, bytes.
_HEAD = 12


class Passing:
    """One pass over a sequence; ``order`` is that of bytes as ``struct`` writes it, ``most`` a number of elements."""

    def __init__(self, window: Window, order: str, most: int) -> None:
        self._window = window
        self._most = most
        self._head = struct.Struct(order + "HH2sH").unpack_from
        self._tag_length = struct.Struct(order + "HHI").unpack_from
        self._long = struct.Struct(order + "I").unpack_from
        self._empty_items = EMPTY_ITEMS[order]

    def end(self, at: int, *, implicit: bool) -> int:
        """Where the sequence ends whose first item begins at ``at``; CutShort, Malformed."""
        window, left = self._window, self._most
        # Of each sequence and item of undefined length that we are in: is it a sequence, and is it implicit?
        inside = [(True, implicit)]
        while inside:
            left -= 1
            if left < 0 or len(inside) > _DEPTH:
                raise Malformed("too-many-elements" if left < 0 else "too-deep")
            index = at - window.base
            if index < 0 or index + _HEAD > window.held:
                index = window.at(at, min(_HEAD, max(8, window.size - at)))
            if inside[-1][0] and (empty := self._empty_items.count(window.block, index, left + 1)):
                left -= empty - 1
                at += 8 * empty
            else:
                at = self._step(at, index, inside)
        return at

    def _step(self, at: int, index: int, inside: list[tuple[bool, bool]]) -> int:
        """Where to go on after what begins at ``at``, which is at ``index`` of the window's block."""
        is_sequence, implicit = inside[-1]
        block = self._window.block
        group, number, vr, length = self._head(block, index)
        if is_sequence or group == 0xFFFE:
            _group, _number, length = self._tag_length(block, index)
            return self._delimited(group << 16 | number, at + 8, length, inside)
        if implicit:
            at, (length,) = at + 8, self._long(block, index + 4)
        elif vr in SHORT_VRS:
            return self._within(at + 8 + length)
        elif vr in LONG_VRS:
            self._within(at + _HEAD)
            at, (length,) = at + _HEAD, self._long(block, index + 8)
        else:
            raise Malformed("unknown-vr")
        if length != UNDEFINED:
            return self._within(at + length)
        inside.append((True, implicit or vr == b"UN"))
        return at

    def _delimited(self, tag: int, at: int, length: int, inside: list[tuple[bool, bool]]) -> int:
        """After the head of an item of the sequence that we are in, or of a delimiter; ``at`` is behind it."""
        is_sequence, implicit = inside[-1]
        if tag == (SEQUENCE_END if is_sequence else ITEM_END):
            inside.pop()
            return at
        if not is_sequence or tag != ITEM:
            raise Malformed("bad-item")
        if length != UNDEFINED:
            return self._within(at + length)
        inside.append((False, implicit))
        return at

    def _within(self, at: int) -> int:
        if at > self._window.size:
            raise CutShort
        return at
