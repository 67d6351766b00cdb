"""The de-identification work area and the quarantine, in one store.

::

    packs/<hmac>/manifest|headers|archive   what encryption seals; archive and headers until the batch is archived
    links/<hmac>                            which original became which entry
    quarantine/<hmac>                       a withheld original, until somebody decides

The names are HMACs under the project's key over the pack and what it holds, so that two runs never meet on one name
with different bytes.
"""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from contracts.events import Blob
from services.deid.domain.facts import Outputs
from services.deid.domain.packing import CleanPack, Held, Workspace, read_span
from services.deid.domain.part10 import Project
from shared.messaging.threads import in_thread
from shared.storage import BlobMissing, BlobStore, delete_parts, put_parts
from shared.storage.parts import part_count, part_key


def quarantine_key(project: Project, held: Held) -> str:
    """Where a withheld original lies."""
    return project.key.storage_key("quarantine", held.original.sop_instance_uid, held.original.file_sha256)


class StoredWorkArea:
    """The work area in ``store``; files at work in ``folder``, without a name."""

    def __init__(self, store: BlobStore, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    def workspace(self) -> Workspace:
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Workspace(self._file(), self._file(), self._file())

    def _file(self) -> BinaryIO:
        return cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))

    async def keep(self, pack: CleanPack, project: Project, workspace: Workspace) -> Outputs | None:
        for held in pack.held:
            await put_parts(self._store, quarantine_key(project, held), _threaded(read_span(workspace.held, held.span)))
        if not pack.entries:
            return None
        base = project.key.storage_key("packs", pack.pack_id, pack.manifest_sha256)
        return Outputs(
            manifest=await self._put(f"{base}/manifest", iter([pack.manifest])),
            headers=await self._put(f"{base}/headers", iter([pack.headers])),
            archive=await self._put(f"{base}/archive", pack.archive(workspace)),
            links=await self._put(
                project.key.storage_key("links", pack.pack_id, pack.manifest_sha256), iter([pack.links])
            ),
            instances=len(pack.entries),
        )

    async def _put(self, key: str, chunks: Iterator[bytes | bytearray | memoryview]) -> Blob:
        digest = hashlib.sha256()

        def told() -> Iterator[bytes]:
            for chunk in chunks:
                digest.update(chunk)
                yield bytes(chunk)

        size = await put_parts(self._store, key, _threaded(told()))
        return Blob(store="deid", key=key, size=size, sha256=digest.hexdigest())

    async def complete(self, outputs: Outputs) -> bool:
        try:
            for blob in (outputs.manifest, outputs.headers, outputs.archive, outputs.links):
                await self._store.head(part_key(blob.key, part_count(blob.size)))
        except BlobMissing:
            return False
        return True

    async def release(self, outputs: Outputs) -> None:
        for blob in (outputs.archive, outputs.headers):
            await delete_parts(self._store, blob.key, blob.size)


async def _threaded(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, each made on a worker thread."""
    while (chunk := await in_thread(next, chunks, None)) is not None:
        yield chunk
