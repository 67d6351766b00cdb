"""The de-identification work area and the quarantine, in one store.

::

    packs/<hmac>/manifest|headers|archive   what encryption seals; archive and headers until the batch is archived
    links/<hmac>                            which original became which entry
    reports/<hmac>                          what was done to which attribute by which rule, and what was withheld
    quarantine/<hmac>                       a withheld original, until somebody decides

The names are HMACs under the project's key over the pack and what it holds, so that two runs never meet on one name
with different bytes.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from contracts.events import Blob
from contracts.formats.archive import layout
from services.deid.domain.candidate import entry_id_of
from services.deid.domain.facts import Outputs, Result
from services.deid.domain.looking.objects import opaque
from services.deid.domain.packing import CleanPack, Held, Opener
from services.deid.domain.part10 import Project
from services.deid.domain.workspace import Document, Workspace
from shared.messaging.threads import in_thread
from shared.storage import BlobMissing, BlobStore, delete_parts, put_parts, read_parts
from shared.storage.ahead import read_ahead
from shared.storage.parts import part_count, part_key
from shared.storage.port import digest

#: What is put in one piece, bytes.
SMALL = 8 * 1024 * 1024


def quarantine_key(project: Project, held: Held) -> str:
    """Where a withheld original lies: another place for every other content, be it only another head."""
    return project.key.storage_key("quarantine", held.sop_instance_uid, held.meta_sha256, held.dataset_sha256)


class StoredWorkArea:
    """The work area in ``store``; files at work in ``folder``, without a name."""

    def __init__(self, store: BlobStore, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder
        self._large = asyncio.Semaphore(1)

    def workspace(self) -> Workspace:
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Workspace.of(self._file)

    def _file(self) -> BinaryIO:
        return cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))

    async def keep(self, pack: CleanPack, project: Project) -> Outputs | None:
        for held in pack.held:
            await self._put(quarantine_key(project, held), pack.held_file(held), held.span.length)
        if not pack.released:
            return None
        base = project.key.storage_key("packs", pack.pack_id, pack.manifest_sha256)
        links = project.key.storage_key("links", pack.pack_id, pack.manifest_sha256)
        total = await in_thread(lambda: layout(pack.entries).total)
        return Outputs(
            manifest=await self._document(f"{base}/manifest", pack.manifest),
            headers=await self._document(f"{base}/headers", pack.headers),
            archive=await self._put(f"{base}/archive", pack.archive(), total),
            links=await self._document(links, pack.links),
            instances=len(pack.released),
        )

    async def keep_report(self, pack: CleanPack, project: Project, source_pack_id: str) -> Blob:
        entries = {entry_id_of(source_pack_id, held, project): held.reason.value for held in pack.held}
        report = await in_thread(pack.report, project, entries)
        place = project.key.storage_key("reports", pack.pack_id, await in_thread(digest, report))
        return await self._put(place, iter([report]), len(report))

    async def _document(self, key: str, document: Document) -> Blob:
        return await self._put(key, document.chunks(), document.size)

    async def _put(self, key: str, chunks: Iterator[bytes | bytearray | memoryview], size: int) -> Blob:
        """Small values go in one piece; of large ones, which take a buffer of a part, one at a time."""
        opaque(key)
        if size <= SMALL:
            data = await in_thread(b"".join, chunks)
            await self._store.put(part_key(key, 1), data)
            return Blob(store="deid", key=key, size=size, sha256=await in_thread(digest, data))
        taken = hashlib.sha256()
        async with self._large:
            await put_parts(self._store, key, _threaded(_told(chunks, taken.update)))
        return Blob(store="deid", key=key, size=size, sha256=taken.hexdigest())

    async def complete(self, outputs: Outputs) -> bool:
        try:
            for blob in (outputs.manifest, outputs.headers, outputs.archive, outputs.links):
                await self._store.head(part_key(blob.key, part_count(blob.size)))
        except BlobMissing:
            return False
        return True

    def held(self, key: str, size: int) -> Opener:
        loop = asyncio.get_running_loop()
        return lambda: read_ahead(read_parts(self._store, key, size), loop)

    async def report(self, result: Result) -> bytes | None:
        blob = result.kept_report
        return b"".join([chunk async for chunk in read_parts(self._store, blob.key, blob.size)]) if blob else None

    async def forget(self, key: str, size: int) -> None:
        await delete_parts(self._store, key, size)

    async def release(self, outputs: Outputs) -> None:
        for blob in (outputs.archive, outputs.headers):
            await delete_parts(self._store, blob.key, blob.size)


def _told(chunks: Iterable[bytes | bytearray | memoryview], tell: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        tell(bytes(chunk))
        yield bytes(chunk)


async def _threaded(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, each made on a worker thread."""
    while (chunk := await in_thread(next, chunks, None)) is not None:
        yield chunk
