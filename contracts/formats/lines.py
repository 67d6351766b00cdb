"""Lines of a section, cut out of a stream of chunks with bounded memory."""

from collections.abc import Iterable, Iterator

from contracts.formats.errors import ManifestBroken

#: No line of a manifest or of the headers is longer, in bytes with its line feed.
LINE_LIMIT = 256 * 1024


class LineSplitter:
    """Cuts chunks of any size into lines without their line feed; holds back at most one unfinished line."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, chunk: bytes | memoryview) -> list[bytes]:
        """The lines that ``chunk`` completes; ManifestBroken when a line is longer than the limit."""
        *lines, self._rest = (self._rest + bytes(chunk)).split(b"\n")
        if any(len(line) >= self._limit for line in (*lines, self._rest)):
            raise ManifestBroken("line-too-long")
        return lines

    def finish(self) -> None:
        """State that nothing follows; ManifestBroken when the last line has no line feed."""
        if self._rest:
            raise ManifestBroken("line-cut-short")


def split_lines(chunks: Iterable[bytes], limit: int = LINE_LIMIT) -> Iterator[bytes]:
    """The lines of ``chunks`` (any iterable of bytes, a binary file as well), without their line feeds."""
    splitter = LineSplitter(limit)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    splitter.finish()
