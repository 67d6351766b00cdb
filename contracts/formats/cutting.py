"""Pieces of given sizes, cut out of a stream of chunks without copying where a chunk holds the whole piece."""

from collections.abc import Iterable, Iterator

from contracts.formats.errors import SealBroken

_END = -1


class Cutter:
    """Cuts chunks into pieces of ``sizes`` bytes; holds back less than one piece.

    ``short`` and ``long`` are the reasons of the SealBroken for a stream that ends too early or too late. A piece may
    be a view into the chunk that was fed: use it before the next feed.
    """

    def __init__(self, sizes: Iterable[int], *, short: str, long: str) -> None:
        self._sizes = iter(sizes)
        self._short, self._long = short, long
        self._wanted = next(self._sizes, _END)
        self._held = bytearray()

    def _take(self, view: memoryview) -> tuple[bytearray | memoryview, memoryview]:
        """The wanted piece, and what remains of ``view``."""
        missing = self._wanted - len(self._held)
        if not self._held:
            return view[:missing], view[missing:]
        self._held += view[:missing]
        piece, self._held = self._held, bytearray()
        return piece, view[missing:]

    def feed(self, chunk: bytes | bytearray | memoryview) -> Iterator[bytearray | memoryview]:
        """The pieces that ``chunk`` completes."""
        view = memoryview(chunk)
        while self._wanted != _END and len(self._held) + len(view) >= self._wanted:
            piece, view = self._take(view)
            self._wanted = next(self._sizes, _END)
            yield piece
        if view and self._wanted == _END:
            raise SealBroken(self._long)
        self._held += view

    def finish(self) -> None:
        """State that nothing follows; SealBroken when a piece is missing."""
        if self._wanted != _END:
            raise SealBroken(self._short)

    def cut(self, chunks: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytearray | memoryview]:
        """The pieces of all ``chunks``, checked to the end; a piece of no bytes needs no chunk."""
        yield from self.feed(b"")
        for chunk in chunks:
            yield from self.feed(chunk)
        self.finish()
