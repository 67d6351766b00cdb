"""Files to work in: what a pack is made of lies there, so that memory does not grow with it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import BinaryIO, NamedTuple

from services.deid.domain.pixels import CHUNK


class Span(NamedTuple):
    """Where something lies in a file: offset and length in bytes."""

    offset: int
    length: int


@dataclass(frozen=True)
class Workspace:
    """Files on site, gone when they are closed: the original at hand, cleaned files, withheld originals, what is told
    of each cleaned file, and the documents of the pack."""

    at_hand: BinaryIO
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
