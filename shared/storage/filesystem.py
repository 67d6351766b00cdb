"""Blobs as files: durable when ``put`` returns, whole or not there at all after any crash.

A value is written to ``.staging`` and fsynced, then hard-linked to its name, which fails when the name is taken
(link(2)), then the folder is fsynced. The digest given with a value is kept in the extended attribute ``user.sha256``:
it needs no second file and no second fsync; where the file system has none, ``head`` says None.
"""

import asyncio
import contextlib
import errno
import functools
import itertools
import os
import stat
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from shared.storage.errors import BlobExists, BlobMissing, BlobTooLarge, StoreFull, StoreRefused, StoreUnavailable
from shared.storage.files import StagedFile, kept_digest, pread, sync_folder
from shared.storage.port import (
    CHUNK,
    MAX_BLOB,
    BlobStat,
    Bytes,
    check_key,
    check_prefix,
    check_range,
    check_value,
    digest,
    digest_of_file,
)

_READ = 4 * CHUNK  # one hop to a thread moves this much of a stream
_PAGE = 512  # names listed in one hop
_LEFTOVER_AGE = 3600.0  # seconds: no put of 64 MiB takes that long
_TRIES = 64  # of a put whose folder others keep removing
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

P = ParamSpec("P")
T = TypeVar("T")


class FilesystemStore:
    """A folder of blobs. Several processes may use the same folder, on one machine or over a shared file system."""

    def __init__(self, root: Path, *, threads: int = 4) -> None:
        self._root = root
        self._staging = root / ".staging"
        self._durable: set[Path] = set()
        self._swept = False
        # Threads of its own: a reader that blocks one of the loop's threads waits for these.
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="blobs")

    async def put(self, key: str, data: Bytes, *, sha256: str | None = None) -> None:
        await self._in_thread(self._put, check_key(key), data, sha256)

    async def link(self, key: str, path: Path) -> bool:
        """Create ``key`` as a second name of the synced file ``path``, without copying: nobody may write to it again.

        False, and nothing is done, when it lies on another file system; errors as ``put``.
        """
        return await self._in_thread(self._link_file, check_key(key), path)

    async def put_pieces(self, key: str, pieces: AsyncIterator[Bytes]) -> int:
        """``put`` of a value that is never in memory as a whole, and its size in bytes; errors as ``put``."""
        check_key(key)
        staged = await self._in_thread(self._stage)
        try:
            async for piece in pieces:
                if staged.size + len(piece) > MAX_BLOB:
                    raise BlobTooLarge(key)
                await self._in_thread(staged.append, piece)
            return await self._in_thread(self._name, key, staged)
        finally:
            await self._in_thread(staged.discard)

    async def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        return await self._in_thread(self._get, check_key(key), start, length)

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        check_range(start, length)
        handle = await self._in_thread(self._open, check_key(key))
        try:
            end = start + length if length is not None else None
            while piece := await self._in_thread(
                pread, handle, start, _READ if end is None else min(_READ, end - start)
            ):
                start += len(piece)
                for chunk in range(0, len(piece), CHUNK):
                    yield piece[chunk : chunk + CHUNK]
        finally:
            os.close(handle)

    async def head(self, key: str) -> BlobStat:
        return await self._in_thread(self._head, check_key(key))

    async def delete(self, key: str) -> None:
        await self._in_thread(self._delete, check_key(key))

    async def list(self, prefix: str = "") -> AsyncIterator[BlobStat]:
        folder = check_prefix(prefix)
        found = self._walk(self._root / folder)
        while page := await self._in_thread(lambda: list(itertools.islice(found, _PAGE))):
            for blob in page:
                yield blob

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(work, *args, **kwargs)
        with _translated():
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def _put(self, key: str, data: Bytes, sha256: str | None) -> None:
        check_value(key, data, sha256)
        path = self._root / key
        if os.path.lexists(path):
            self._compare(key, digest(data), len(data))
            return
        staged = self._stage()
        try:
            staged.append(data)
            if sha256 is not None:
                staged.keep_digest(sha256)
            staged.sync()
            self._link(staged.path, path)
        except (FileExistsError, NotADirectoryError):
            self._compare(key, digest(data), len(data))
        finally:
            staged.discard()

    def _stage(self) -> StagedFile:
        self._ensure(self._staging)
        self._sweep()
        return StagedFile(self._staging / uuid.uuid4().hex)

    def _name(self, key: str, staged: StagedFile) -> int:
        staged.sync()
        try:
            self._link(staged.path, self._root / key)
        except (FileExistsError, NotADirectoryError):
            self._compare(key, digest_of_file(staged.path), staged.size)
        return staged.size

    def _link_file(self, key: str, path: Path) -> bool:
        if path.stat().st_size > MAX_BLOB:
            raise BlobTooLarge(key)
        try:
            self._link(path, self._root / key)
        except FileExistsError:
            self._compare(key, digest_of_file(path), path.stat().st_size)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
        return True

    def _link(self, staged: Path, path: Path) -> None:
        """Give the value its name; a folder that ``delete`` emptied and removed meanwhile is made again."""
        for _ in range(_TRIES):
            try:
                self._ensure(path.parent)
                os.link(staged, path)
            except FileNotFoundError:
                self._durable.clear()
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted again already, and its folder with it
                sync_folder(path.parent)
            return
        raise StoreUnavailable("folder-vanishes")

    def _ensure(self, folder: Path) -> None:
        """Make ``folder`` and its ancestors, their names fsynced, unless this process has done so."""
        if folder in self._durable:
            return
        if not self._root.exists():
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        missing = itertools.takewhile(lambda step: step != self._root, (folder, *folder.parents))
        for step in reversed(list(missing)):
            if step not in self._durable:
                self._make(step)
                sync_folder(step.parent)
        if len(self._durable) > 4096:
            self._durable.clear()
        self._durable.add(folder)

    @staticmethod
    def _make(folder: Path) -> None:
        """FileExistsError when a value has the name; FileNotFoundError when the folder vanished while it was made."""
        try:
            folder.mkdir(exist_ok=True, mode=0o700)
        except FileExistsError:
            if folder.is_file():
                raise
            raise FileNotFoundError(folder) from None

    def _compare(self, key: str, sha256: str, size: int) -> None:
        """Quiet when the same bytes lie at ``key``; durable too, whoever wrote them and died before the last fsync."""
        path = self._root / key
        with contextlib.suppress(*_ABSENT):
            if path.stat().st_size == size and digest_of_file(path) == sha256:
                sync_folder(path.parent)
                return
        raise BlobExists(key)

    def _sweep(self) -> None:
        """Remove what crashed writers left in ``.staging``, once per process."""
        if self._swept:
            return
        self._swept = True
        oldest = time.time() - _LEFTOVER_AGE
        for leftover in self._staging.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if leftover.stat().st_mtime < oldest:
                    leftover.unlink()

    def _get(self, key: str, start: int, length: int | None) -> bytes:
        handle = self._open(key)
        try:
            rest = max(0, os.fstat(handle).st_size - start)
            return pread(handle, start, rest if length is None else min(length, rest))
        finally:
            os.close(handle)

    def _open(self, key: str) -> int:
        with _absent(key):
            handle = os.open(self._root / key, os.O_RDONLY | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        raise BlobMissing(key)

    def _head(self, key: str) -> BlobStat:
        with _absent(key):
            path = self._root / key
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise BlobMissing(key)
            return BlobStat(key, found.st_size, kept_digest(path))

    def _delete(self, key: str) -> None:
        path = self._root / key
        with contextlib.suppress(*_ABSENT):
            path.unlink()
            sync_folder(path.parent)
            self._prune(path.parent)

    def _prune(self, folder: Path) -> None:
        """Remove folders that the last delete left empty."""
        with contextlib.suppress(OSError):
            while folder != self._root:
                self._durable.discard(folder)
                folder.rmdir()
                folder = folder.parent

    def _walk(self, folder: Path) -> Iterator[BlobStat]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(Path(entry.path))
                    continue
                with contextlib.suppress(FileNotFoundError):
                    size = entry.stat(follow_symlinks=False).st_size
                    yield BlobStat(Path(entry.path).relative_to(self._root).as_posix(), size)


@contextlib.contextmanager
def _absent(key: str) -> Iterator[None]:
    try:
        yield
    except _ABSENT:
        raise BlobMissing(key) from None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """An error of the operating system names a path; what leaves the store does not."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull from None
        raise (StoreRefused() if error.errno in _NOT_ALLOWED else StoreUnavailable()) from None
