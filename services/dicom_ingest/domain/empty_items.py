"""Runs of empty items, passed over as bytes: somebody may send a million of them, and others wait meanwhile."""

import struct

#: So many of them are compared at once, at most.
_MOST = 8192
_SIZE = 8


class EmptyItems:
    """The items of a sequence that hold nothing, in one byte order (PS3.5 section 7.5)."""

    def __init__(self, order: str) -> None:
        """``order`` is ``<`` or ``>``."""
        self._run = struct.pack(order + "HHI", 0xFFFE, 0xE000, 0) * _MOST

    def count(self, data: bytes | bytearray | memoryview, at: int, most: int) -> int:
        """How many follow each other from ``at`` on, ``most`` at most."""
        found, together, grows = 0, 1, True
        while together:
            start, size = at + found * _SIZE, together * _SIZE
            if found + together <= most and bytes(data[start : start + size]) == self._run[:size]:
                found += together
                together = min(2 * together, _MOST) if grows else together
            else:
                together, grows = together // 2, False
        return found


EMPTY_ITEMS = {order: EmptyItems(order) for order in "<>"}
