"""Files to work in: what a pack is made of lies there, so that memory does not grow with it."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, BinaryIO, NamedTuple

from services.deid.domain.pixels import CHUNK


class Span(NamedTuple):
    """Where something lies in a file: offset and length in bytes."""

    offset: int
    length: int


@dataclass(frozen=True)
class Workspace:
    """Files on site, gone when they are closed: the originals at hand and how they are described, cleaned files,
    withheld originals, what is told of each cleaned file, and the documents of the pack."""

    at_hand: BinaryIO
    described: BinaryIO
    cleaned: BinaryIO
    held: BinaryIO
    told: BinaryIO
    manifest: BinaryIO
    headers: BinaryIO
    links: BinaryIO

    @classmethod
    def of(cls, new: Callable[[], BinaryIO]) -> "Workspace":
        """A workspace of files that ``new`` makes."""
        return cls(*(new() for _ in fields(cls)))

    def close(self) -> None:
        """Drop the bytes."""
        for field in fields(self):
            getattr(self, field.name).close()


class Document(NamedTuple):
    """A file as far as it is written."""

    file: BinaryIO
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Its bytes."""
        return read_span(self.file, Span(0, self.size))


def part_of(file: BinaryIO, span: Span) -> BinaryIO:
    """A stretch of a file, to be read as a file of its own; moves the place where ``file`` stands."""
    return io.BufferedReader(_Part(file, span))


class _Part(io.RawIOBase):
    def __init__(self, file: BinaryIO, span: Span) -> None:
        self._file = file
        self._span = span
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._span.length}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._span.offset + self._at)
        data = self._file.read(max(min(len(buffer), self._span.length - self._at), 0))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def append(file: BinaryIO, chunks: Iterable[bytes]) -> Span:
    """Write ``chunks`` where ``file`` stands; where they lie then."""
    start = file.tell()
    for chunk in chunks:
        file.write(chunk)
    return Span(start, file.tell() - start)


def read_span(file: BinaryIO, span: Span) -> Iterator[bytes]:
    """The bytes of ``span`` in chunks."""
    for at in range(span.offset, span.offset + span.length, CHUNK):
        file.seek(at)
        yield file.read(min(CHUNK, span.offset + span.length - at))
