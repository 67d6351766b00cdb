"""A value that is read where it is needed, and what may be wrong with it."""

from collections.abc import Callable

from shared.errors import Unprocessable

_WINDOW = 64 * 1024


class Malformed(Unprocessable):
    """The bytes are no data set in this transfer syntax, or one beyond our bounds; ``reason`` says which."""


class CutShort(Malformed):
    """A declared length reaches beyond the end: in the middle of arriving, wait for more."""

    def __init__(self) -> None:
        super().__init__("data-set-cut-short")


class Window:
    """A block of a value that is read as needed; ``load(offset, count)`` gives ``count`` bytes, fewer at the end.

    Bytes ``base`` to ``base + held`` of the value are in ``block``.
    """

    def __init__(self, load: Callable[[int, int], bytes], size: int) -> None:
        self._load = load
        self.size = size
        self.base = self.held = 0
        self.block: bytes | bytearray | memoryview = b""

    @classmethod
    def over(cls, value: bytes | bytearray | memoryview) -> "Window":
        """A window that holds all of ``value`` already."""
        window = cls(lambda offset, count: bytes(value[offset : offset + count]), len(value))
        window.block, window.held = value, len(value)
        return window

    def at(self, offset: int, count: int) -> int:
        """The index in ``block`` of ``count`` bytes at ``offset``; CutShort when there are not so many."""
        index = offset - self.base
        if index >= 0 and index + count <= self.held:
            return index
        if offset + count > self.size:
            raise CutShort
        self.block, self.base = self._load(offset, max(count, _WINDOW)), offset
        self.held = len(self.block)
        if self.held < count:
            raise CutShort
        return 0

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes at ``offset``; CutShort when there are not so many."""
        index = self.at(offset, count)
        return bytes(self.block[index : index + count])
