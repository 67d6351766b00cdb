"""One batch of the spool on disk: an append-only file in which every committed record is durable."""

import hashlib
import os
from pathlib import Path

from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.domain import records
from services.dicom_ingest.domain.records import Arrival, Opening

_CHUNK = 1024 * 1024
Bytes = bytes | bytearray | memoryview


def sync_directory(path: Path) -> None:
    """Make names created or removed in ``path`` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class BatchFile:
    """The writing end. One recording at a time; ``end`` is where the next one begins."""

    def __init__(self, path: Path, opening: Opening, crash: CrashPoints) -> None:
        """Create ``path`` with its opening; OSError when the disk refuses."""
        self.path = path
        self.opening = opening
        self.crash = crash
        self.count = 0
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        head = records.encode_opening(opening)
        self.write_at(0, head)
        self.end = len(head)
        sync_directory(path.parent)

    def write_at(self, offset: int, *pieces: Bytes) -> int:
        """Write all of ``pieces`` at ``offset`` and return where they end."""
        left = [memoryview(piece) for piece in pieces if len(piece)]
        while left:
            written = os.pwritev(self._handle, left, offset)
            offset += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left:
                left[0] = left[0][written:]
        return offset

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes at ``offset``, fewer at the end."""
        return os.pread(self._handle, count, offset)

    def sync(self) -> None:
        """Return when everything written is durable."""
        os.fdatasync(self._handle)

    def cut(self) -> None:
        """Forget what was written behind the last committed record."""
        os.ftruncate(self._handle, self.end)

    def close(self) -> None:
        """Fix the membership, durably; nothing is added after this."""
        self.crash.passed("batch.closing")
        self.write_at(self.end, records.encode_closing(self.count))
        self.sync()
        os.close(self._handle)
        self.crash.passed("batch.closed")

    def discard(self) -> None:
        """Remove a batch that holds no record."""
        os.close(self._handle)
        self.path.unlink(missing_ok=True)


class FileRecording:
    """An instance on its way into a batch file; nobody can read it before ``commit`` returned."""

    def __init__(self, batch: BatchFile, arrival: Arrival, file_header: bytes) -> None:
        self._batch = batch
        self._arrival = records.encode_arrival(arrival)
        self._digest = hashlib.sha256()
        self._start = batch.end
        self._file_at = self._start + records.HEAD_SIZE + len(self._arrival)
        self._at = batch.write_at(self._start, bytes(records.HEAD_SIZE), self._arrival, file_header)

    @property
    def size(self) -> int:
        """Bytes of the record so far."""
        return self._at - self._start

    def write(self, *chunks: Bytes) -> None:
        """Append bytes of the data set."""
        for chunk in chunks:
            self._digest.update(chunk)
        self._at = self._batch.write_at(self._at, *chunks)

    def move(self, batch: BatchFile) -> None:
        """Go on in ``batch``, which is empty, taking along what was written."""
        target = batch.end
        for at in range(self._start, self._at, _CHUNK):
            chunk = self._batch.read_at(at, min(_CHUNK, self._at - at))
            batch.write_at(target + at - self._start, chunk)
        self._batch.cut()
        shift = target - self._start
        self._batch, self._start = batch, target
        self._file_at += shift
        self._at += shift

    def commit(self) -> None:
        """Return when the record is durable; OSError when the disk refuses, and then it is not there."""
        length = self._at - self._file_at
        end = self._batch.write_at(self._at, records.encode_trailer(length, self._digest.digest()))
        self._batch.write_at(self._start, records.encode_head(self._arrival, length))
        self._batch.crash.passed("record.written")
        self._batch.sync()
        self._batch.crash.passed("record.synced")
        self._batch.end = end
        self._batch.count += 1

    def abandon(self) -> None:
        """Leave nothing of the record."""
        self._batch.cut()
