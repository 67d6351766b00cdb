"""Runs of exact length out of a stream of chunks, without holding more than one chunk."""

from collections.abc import Iterable, Iterator

from contracts.formats.errors import ArchiveMismatch


class Chunks:
    """Reads ``source`` once, from its beginning to its end; chunks may have any size."""

    def __init__(self, source: Iterable[bytes | bytearray | memoryview]) -> None:
        self._source = iter(source)
        self._rest = memoryview(b"")

    def take(self, length: int) -> Iterator[memoryview]:
        """The next ``length`` bytes as views into the chunks; ArchiveMismatch when it ends before, or is asked back."""
        if length < 0:
            raise ArchiveMismatch("stream-backwards")
        while length:
            if not self._rest:
                self._rest = self._next()
            piece, self._rest = self._rest[:length], self._rest[length:]
            length -= len(piece)
            yield piece

    def skip(self, length: int) -> None:
        """Pass over the next ``length`` bytes; ArchiveMismatch as ``take``."""
        for _ in self.take(length):
            pass

    def finish(self) -> None:
        """State that nothing follows; ArchiveMismatch when something does."""
        if self._rest or any(len(chunk) for chunk in self._source):
            raise ArchiveMismatch("stream-too-long")

    def _next(self) -> memoryview:
        for chunk in self._source:
            if chunk:
                return memoryview(chunk)
        raise ArchiveMismatch("stream-too-short")
