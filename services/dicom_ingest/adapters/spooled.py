"""The reading end of a batch file: what was committed, and nothing of what was not."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from services.dicom_ingest.domain import records
from services.dicom_ingest.domain.records import NoRecord, Record

_CHUNK = 1024 * 1024
DAMAGED = ".damaged"


class SpooledBatch:
    """A closed batch in the spool."""

    def __init__(self, path: Path) -> None:
        """Open ``path``; NoRecord when not even its opening was written."""
        self.path = path
        self.damaged = 0
        self._handle = os.open(path, os.O_RDWR)
        try:
            self.opening, self._end = records.decode_opening(self.read)
            self.records = tuple(self._walk())
        except NoRecord:
            os.close(self._handle)
            raise

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes at ``offset``, fewer at the end."""
        return os.pread(self._handle, count, offset)

    def _walk(self) -> Iterator[Record]:
        while True:
            try:
                record = records.decode_record(self.read, self._end)
            except NoRecord:
                return
            self._end = record.end
            yield record

    @property
    def size(self) -> int:
        """Bytes of the file that count."""
        return self._end

    @property
    def is_closed(self) -> bool:
        """Whether the membership is fixed."""
        return records.is_closing(self.read, self._end, len(self.records))

    def fix(self) -> None:
        """Fix the membership of a batch that a dead process left open: what was committed, and nothing behind it."""
        if self.is_closed:
            return
        os.ftruncate(self._handle, self._end)
        os.pwrite(self._handle, records.encode_closing(len(self.records)), self._end)
        os.fdatasync(self._handle)

    def verify(self) -> None:
        """Drop what a crash left torn, and set aside what the disk has damaged since.

        A torn last record was never acknowledged: the disk had not taken it all when the process died. Any other one
        that is not what its digest says was acknowledged and is damaged: the others go on, and the file is kept.
        """
        if self.records and not self.is_closed and not self._is_intact(self.records[-1]):
            self.records = self.records[:-1]
            self._end = self.records[-1].end if self.records else records.decode_opening(self.read)[1]
        self.fix()
        intact = tuple(record for record in self.records if self._is_intact(record))
        self.damaged = len(self.records) - len(intact)
        self.records = intact

    def _is_intact(self, record: Record) -> bool:
        digest, at, end = hashlib.sha256(), record.dataset_at, record.offset + record.length
        while at < end and (chunk := self.read(at, min(_CHUNK, end - at))):
            digest.update(chunk)
            at += len(chunk)
        return digest.digest() == record.dataset_sha256

    def release(self) -> None:
        """Close the file and leave it where it is."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def remove(self) -> None:
        """Take the batch out of the spool for good; one with damaged records stays under another name."""
        if self.damaged:
            self.path.rename(self.path.with_suffix(DAMAGED))
        else:
            # Not synced: a batch that a power cut brings back is landed again, and finds itself there.
            self.path.unlink(missing_ok=True)
        self.release()


def adopt(path: Path) -> SpooledBatch | None:
    """A dead process's batch, verified and closed; None, and the file is gone, when it holds no instance."""
    try:
        batch = SpooledBatch(path)
    except NoRecord:
        path.unlink(missing_ok=True)
        return None
    batch.verify()
    if batch.records:
        return batch
    batch.remove()
    return None
