"""instances.zip: Part 10 files in a stored ZIP, a pure function of the manifest (docs/formats.md section 4).

Whoever has the manifest needs no ZIP code: every instance lies at its ``offset`` for ``length`` bytes. Whoever has
only the archive opens it with any unzip.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from contracts.formats.errors import ArchiveMismatch
from contracts.formats.manifest import Instance
from contracts.formats.zip_records import (
    central_record,
    central_record_size,
    end_records,
    end_records_size,
    local_header,
    local_header_size,
)

#: Gives the Part 10 file of an instance in chunks of any size.
OpenFile = Callable[[Instance], Iterable[bytes | bytearray | memoryview]]


@dataclass(frozen=True)
class Layout:
    """Where the parts of an archive lie, in bytes: each file, the central directory, and the whole."""

    offsets: tuple[int, ...]
    directory: int
    total: int


def layout(instances: Sequence[Instance]) -> Layout:
    """The layout of an archive of these instances; it depends on their order and lengths alone."""
    offsets, end, directory_size = [], 0, 0
    for instance in instances:
        directory_size += central_record_size(instance.length, end)
        offsets.append(end + local_header_size(instance.length))
        end = offsets[-1] + instance.length
    total = end + directory_size + end_records_size(len(offsets), directory_size, end)
    return Layout(offsets=tuple(offsets), directory=end, total=total)


def _file(instance: Instance, open_file: OpenFile) -> Iterator[bytes | bytearray | memoryview]:
    """The file's chunks; ArchiveMismatch when they are more or fewer bytes than the manifest says."""
    left = instance.length
    for chunk in open_file(instance):
        left -= len(chunk)
        if left < 0:
            raise ArchiveMismatch("file-too-long")
        yield chunk
    if left:
        raise ArchiveMismatch("file-too-short")


def iterate(instances: Sequence[Instance], open_file: OpenFile) -> Iterator[bytes | bytearray | memoryview]:
    """The archive in chunks, as they come from ``open_file``; ``instances`` are placed (see ``manifest.place``).

    Lengths are checked, digests are not: whoever reads the input knows them already. ArchiveMismatch on a wrong length
    or an instance that is not where it belongs.
    """
    end, directory = 0, bytearray()
    for instance in instances:
        header = local_header(instance.entry, instance.length, instance.crc32)
        if instance.offset != end + len(header):
            raise ArchiveMismatch("instance-misplaced")
        directory += central_record(instance.entry, instance.length, instance.crc32, end)
        yield header
        yield from _file(instance, open_file)
        end = instance.offset + instance.length
    yield bytes(directory)
    yield end_records(len(instances), len(directory), end)
