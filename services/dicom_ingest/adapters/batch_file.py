"""One open batch of the spool on disk: every committed record of it is durable."""

import os
from pathlib import Path

from isal.isal_zlib import crc32

from services.dicom_ingest.adapters.crash import CrashPoints
from services.dicom_ingest.adapters.holes import punch
from services.dicom_ingest.domain import records
from services.dicom_ingest.domain.records import Arrival, Opening, Record

_CHUNK = 1024 * 1024
BATCH, CLOSED, DRAFT = ".batch", ".closed", ".draft"
Bytes = bytes | bytearray | memoryview


def sync_directory(path: Path) -> None:
    """Make names created or removed in ``path`` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, offset: int, *pieces: Bytes) -> int:
    """Write all of ``pieces`` at ``offset`` of a file and return where they end."""
    left = [memoryview(piece) for piece in pieces if len(piece)]
    while left:
        written = os.pwritev(handle, left, offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]
    return offset


def write_closed(path: Path, journal: bytes, count: int) -> None:
    """Fix the membership of the batch file ``path`` durably: its journal, closed, in a file of its own beside it.

    OSError when the disk refuses: then it may be tried again.
    """
    draft = path.with_suffix(DRAFT)
    try:
        with draft.open("wb") as file:
            file.write(journal + records.encode_closing(count))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path.with_suffix(CLOSED))
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


class BatchFile:
    """The writing end. One recording at a time; ``end`` is where the next one begins."""

    def __init__(self, path: Path, opening: Opening, crash: CrashPoints) -> None:
        """Create ``path`` with its opening; OSError when the disk refuses, and then it is not there."""
        self.path = path
        self.opening = opening
        self.crash = crash
        self.records: list[Record] = []
        self.end = 0
        self._journal = bytearray(records.encode_opening(opening))
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self.write_at(records.JOURNAL_AT, self._journal)
            sync_directory(path.parent)
        except OSError:
            self.discard()
            raise

    @property
    def count(self) -> int:
        """How many instances are committed."""
        return len(self.records)

    def write_at(self, offset: int, *pieces: Bytes) -> int:
        """Write all of ``pieces`` at ``offset`` and return where they end."""
        return write_all(self._handle, offset, *pieces)

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes at ``offset``, fewer at the end."""
        return os.pread(self._handle, count, offset)

    def commit(self, record: Record) -> None:
        """Return when the record is durable; OSError when the disk refuses, and then it is not there."""
        commit = records.encode_commit(record)
        header = records.entry_header(self.count + 1, record.length, record.crc32)
        self.write_at(record.offset - records.ENTRY_HEADER, header)
        self.write_at(records.JOURNAL_AT + len(self._journal), commit)
        self.crash.passed("record.written")
        os.fdatasync(self._handle)
        self.crash.passed("record.synced")
        self._journal += commit
        self.records.append(record)
        self.end = record.offset + record.length

    def forget(self) -> None:
        """Take back what a failed commit may have left in the journal, and the room of what was not committed.

        On a full disk that room may be all there is to close this batch with.
        """
        os.ftruncate(self._handle, records.JOURNAL_AT + len(self._journal))
        punch(self._handle, self.end, records.JOURNAL_AT)

    def close(self) -> None:
        """Fix the membership, durably; nothing is added after this. OSError when the disk refuses; try again."""
        self.crash.passed("batch.closing")
        write_closed(self.path, bytes(self._journal), self.count)
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
        self._arrival = arrival
        self._crc32 = 0
        self._offset = self._at = batch.end + records.ENTRY_HEADER
        self._first = file_header

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._at - self._offset

    def write(self, *chunks: Bytes) -> None:
        """Append bytes of the data set."""
        pieces, self._first = (self._first, *chunks), b""
        for piece in pieces:
            self._crc32 = crc32(piece, self._crc32)
        self._at = self._batch.write_at(self._at, *pieces)

    def move(self, batch: BatchFile) -> None:
        """Go on in ``batch``, which is empty, taking along what was written."""
        target = batch.end + records.ENTRY_HEADER
        for at in range(0, self.size, _CHUNK):
            batch.write_at(target + at, self._batch.read_at(self._offset + at, min(_CHUNK, self.size - at)))
        self._batch, self._at, self._offset = batch, target + self.size, target

    def commit(self) -> None:
        """Return when the record is durable; OSError when the disk refuses, and then it is not there."""
        if self._first:
            self.write()
        self._batch.commit(Record(self._arrival, self._offset, self.size, self._crc32))
