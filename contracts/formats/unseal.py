"""The one way to read a sealed pack that lies in parts: its sections, or single instances, by range.

It only reads. Where the bytes come from and where the keys are is told by two functions, so that it serves the
sealing buffer, the on-site store and every cloud alike. Decryption runs on worker threads.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal

from contracts.formats.errors import KeyRefused, SealBroken
from contracts.formats.headers import Header, parse_line
from contracts.formats.keys import KeyEncryptionKeys, StudyKeyRecord
from contracts.formats.lines import LineSplitter
from contracts.formats.manifest import Instance, Manifest, assemble, parse_head, parse_instance
from contracts.formats.ranges import open_window, windows
from contracts.formats.sealed import ENVELOPE_LIMIT, Envelope, SealedHeader, Unsealing, read_envelope
from contracts.formats.streaming import SegmentCipher

Section = Literal["manifest", "headers", "archive"]

#: ``await read_range(part number, start, length)``: exactly these bytes of a part.
ReadRange = Callable[[int, int, int], Awaitable[bytes]]
FindStudyKey = Callable[[str], Awaitable[StudyKeyRecord]]


class PackReader:
    """A sealed pack in numbered parts, ``(number, size in bytes)`` in their order.

    Every method raises SealBroken for bytes that are not as sealed, KeyProblem where a key is missing or wrong, and
    whatever ``read_range`` and ``find_study_key`` raise. The envelope is read and the key unwrapped once.
    """

    def __init__(
        self,
        read_range: ReadRange,
        parts: Sequence[tuple[int, int]],
        find_study_key: FindStudyKey,
        keys: KeyEncryptionKeys,
    ) -> None:
        self._read_range = read_range
        self._parts = tuple(parts)
        self._find_study_key = find_study_key
        self._keys = keys
        self._envelope: Envelope | None = None
        self._cipher: SegmentCipher | None = None

    @property
    def size(self) -> int:
        """The bytes of all parts together."""
        return sum(size for _, size in self._parts)

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes of the sealed pack, across parts; SealBroken when a part gives fewer than asked."""
        found, base = [], 0
        for number, size in self._parts:
            start, end = max(offset - base, 0), min(offset + length - base, size)
            if start < end:
                found.append(await self._read_range(number, start, end - start))
            base += size
        data = found[0] if len(found) == 1 else b"".join(found)
        if len(data) != length:
            raise SealBroken("sealed-truncated")
        return data

    async def envelope(self) -> Envelope:
        """The envelope; SealBroken when the parts are not as long as it says."""
        if self._envelope is None:
            envelope = read_envelope(await self.read(0, min(ENVELOPE_LIMIT, self.size)))
            if envelope.sealed_size != self.size:
                raise SealBroken("sealed-truncated" if self.size < envelope.sealed_size else "sealed-overlong")
            self._envelope = envelope
        return self._envelope

    async def header(self) -> SealedHeader:
        """The header, which needs no key."""
        return (await self.envelope()).header

    async def _unlocked(self) -> SegmentCipher:
        if self._cipher is None:
            envelope = await self.envelope()
            record = await self._find_study_key(envelope.header.study_key_id)
            if (record.id, record.domain) != (envelope.header.study_key_id, envelope.header.key_domain):
                raise KeyRefused("study-key-record")
            self._cipher = await asyncio.to_thread(lambda: envelope.unlock(record.open(self._keys)))
        return self._cipher

    async def unsealing(self) -> Unsealing:
        """An opener, for whoever streams the whole pack anyhow to take its digest on the same way.

        Feed it the pack's bytes from ``(await envelope()).body_offset`` on.
        """
        return Unsealing(await self._unlocked())

    async def plaintext(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Plaintext bytes [start, start + length), by at most 256 KiB; ValueError outside the plaintext."""
        envelope, cipher = await self.envelope(), await self._unlocked()
        for window in windows(envelope, start, length):
            data = await self.read(window.offset, window.size)
            for piece in await asyncio.to_thread(open_window, cipher, window, data, start, length):
                yield piece

    async def section(self, name: Section) -> AsyncIterator[bytes]:
        """A whole section in chunks."""
        sections = (await self.header()).sections
        start = {"manifest": 0, "headers": sections.manifest, "archive": sections.manifest + sections.headers}[name]
        async for piece in self.plaintext(start, getattr(sections, name)):
            yield piece

    async def lines(self, name: Section) -> AsyncIterator[bytes]:
        """The lines of the manifest or of the headers, one at a time."""
        splitter = LineSplitter()
        async for piece in self.section(name):
            for line in splitter.feed(piece):
                yield line
        splitter.finish()

    async def manifest(self) -> Manifest:
        """The whole manifest; ManifestBroken when it is none."""
        lines = self.lines("manifest")
        head = parse_head(await anext(lines, b""))
        return assemble(head, [parse_instance(line) async for line in lines])

    async def instances(self) -> AsyncIterator[Instance]:
        """The manifest's instances, one in memory at a time."""
        lines = self.lines("manifest")
        parse_head(await anext(lines, b""))
        async for line in lines:
            yield parse_instance(line)

    async def headers(self) -> AsyncIterator[Header]:
        """The headers, one in memory at a time."""
        async for line in self.lines("headers"):
            yield parse_line(line)

    async def instance(self, instance: Instance) -> AsyncIterator[bytes]:
        """The Part 10 file of one instance in chunks; its digests are for the caller to check."""
        sections = (await self.header()).sections
        start = sections.manifest + sections.headers + instance.offset
        async for piece in self.plaintext(start, instance.length):
            yield piece
