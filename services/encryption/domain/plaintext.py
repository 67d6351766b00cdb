"""The plaintext of a pack: assembled from its batches, every byte checked against what ingest saw (docs/formats.md)."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from contracts.events import Sections
from contracts.formats import archive, headers
from contracts.formats.chunks import Chunks
from contracts.formats.digests import FileDigests
from contracts.formats.errors import FormatError
from contracts.formats.left_out import read_numbers, without
from contracts.formats.manifest import Instance, Manifest, merge, read_manifest, write_manifest
from shared.errors import RetryLater, Unprocessable

Buffer = bytes | bytearray | memoryview


class InputDamaged(Unprocessable):
    """The input is not what was received; ``reason`` says what of it: ``input-manifest``, ``input-instance`` …"""


class InputReleased(RetryLater):
    """The input went while it was read. The next attempt opens what is there then, or finds that nothing is."""

    def __init__(self) -> None:
        super().__init__("input-released")


@dataclass(frozen=True)
class Batch:
    """One batch, its manifest checked; ``headers`` and ``archive`` open its sections when they are wanted.

    ``manifest`` tells of the entries that go into the pack, and ``headers_size`` is that of their headers; the sections
    are whole, with the entries that are ``left_out``.
    """

    manifest: Manifest
    headers: Callable[[], Iterable[bytes]]
    headers_size: int
    headers_sha256: str | None
    archive: Callable[[], Iterable[bytes]]
    left_out: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Pack:
    """What is sealed: the manifest of all batches with its bytes and their digest, and how long each section is."""

    manifest: Manifest
    manifest_bytes: bytes
    manifest_sha256: str
    sections: Sections
    batches: tuple[Batch, ...]


def checked_manifest(data: bytes, sha256: str | None) -> Manifest:
    """The manifest in ``data``; InputDamaged unless it has the digest that the event tells."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputDamaged("input-manifest")
    try:
        return read_manifest([data])
    except FormatError as error:
        raise InputDamaged("input-manifest") from error


def kept_of(manifest: Manifest, left_out: str, instances: int) -> tuple[Manifest, frozenset[int]]:
    """The manifest of what goes into the pack, and the numbers of the entries that do not.

    InputDamaged for numbers that are none, and unless so many ``instances`` are left.
    """
    try:
        numbers = read_numbers(left_out)
        kept = without(manifest, numbers)
    except FormatError as error:
        raise InputDamaged("input-left-out") from error
    if len(kept.instances) != instances:
        raise InputDamaged("input-counts")
    return kept, numbers


def size_of_kept(chunks: Iterable[bytes], numbers: frozenset[int]) -> int:
    """How many bytes of headers go into the pack; InputDamaged when they are none."""
    try:
        return sum(map(len, headers.kept_lines(chunks, numbers)))
    except FormatError as error:
        raise InputDamaged("input-headers") from error


def assemble(pack_id: str, batches: Sequence[Batch]) -> Pack:
    """The pack of ``batches`` in their order; InputDamaged when they do not belong together."""
    try:
        manifest = merge([batch.manifest for batch in batches], pack_id)
    except ValueError as error:
        raise InputDamaged("input-manifest") from error
    data = write_manifest(manifest)
    sections = Sections(
        manifest=len(data),
        headers=sum(batch.headers_size for batch in batches),
        archive=archive.layout(manifest.instances).total,
    )
    return Pack(manifest, data, hashlib.sha256(data).hexdigest(), sections, tuple(batches))


def plaintext(pack: Pack) -> Iterator[Buffer]:
    """Manifest, headers and archive in chunks. InputDamaged at the first byte sequence that is not as received.

    What was yielded before is not to be kept then: an instance's digest is known only behind its last byte.
    """
    files = _files(pack.batches)
    try:
        yield pack.manifest_bytes
        yield from headers.renumber(headers.kept_lines(_headers(batch), batch.left_out) for batch in pack.batches)
        yield from archive.iterate(pack.manifest.instances, lambda _: next(files))
    except FormatError as error:
        raise InputDamaged("input-archive" if error.reason.startswith("stream") else error.reason) from error


def _headers(batch: Batch) -> Iterator[bytes]:
    state = hashlib.sha256()
    for chunk in batch.headers():
        state.update(chunk)
        yield chunk
    if batch.headers_sha256 is not None and state.hexdigest() != batch.headers_sha256:
        raise InputDamaged("input-headers")


def _files(batches: Iterable[Batch]) -> Iterator[Iterator[memoryview]]:
    """The Part 10 files of all batches in order; each must be read to its end before the next is asked for."""
    for batch in batches:
        chunks, position = Chunks(batch.archive()), 0
        for instance in batch.manifest.instances:
            chunks.skip(instance.offset - position)
            yield _file(instance, chunks)
            position = instance.offset + instance.length


def _file(instance: Instance, chunks: Chunks) -> Iterator[memoryview]:
    """One file, checked by the digests of its head and its data set: together they cover every byte."""
    digests = FileDigests(instance)
    for piece in chunks.take(instance.length):
        digests.update(piece)
        yield piece
    if not digests.match():
        raise InputDamaged("input-instance")
