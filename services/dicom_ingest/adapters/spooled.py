"""The reading end of a batch: what was committed, and nothing of what was not."""

import os
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from itertools import compress
from pathlib import Path

from isal.isal_zlib import crc32

from services.dicom_ingest.adapters.batch_file import BATCH, CLOSED, DRAFT, write_all, write_closed
from services.dicom_ingest.domain import records
from services.dicom_ingest.domain.records import Journal, NoRecord, Read, Record

_CHUNK = 1024 * 1024
DAMAGED = ".damaged"
#: A data set that the standard receiver was still taking: nothing of it was acknowledged.
RECEIVING = ".dcm"


class SpooledBatch:
    """A closed batch in the spool; its file is finished as an archive where it lies."""

    def __init__(self, path: Path, *, verify: bool = False) -> None:
        """Open the batch file ``path``, which is closed; NoRecord when it is not.

        ``verify`` sets aside what the disk has damaged since: it was acknowledged, so the file is kept for a person,
        and the other instances go on.
        """
        journal = closed_journal(path)
        self.path = path
        self.opening = journal.opening
        self._handle = os.open(path, os.O_RDWR)
        try:
            self._take(journal, verify=verify)
        except BaseException:
            self.release()
            raise

    def _take(self, journal: Journal, *, verify: bool) -> None:
        intact = [not verify or is_intact(self.read, record) for record in journal.records]
        self.left_out = tuple(number for number, well in enumerate(intact) if not well)
        self.records = tuple(compress(journal.records, intact))
        self._finish(journal.records)

    @property
    def damaged(self) -> int:
        """How many instances the disk has damaged."""
        return len(self.left_out)

    def _finish(self, committed: tuple[Record, ...]) -> None:
        """Make the file end as an archive ends; nothing of the journal stays in it.

        What it leaves is the room for the archive's end. A finished file may be somebody's already: only its end is
        written again, as it is.
        """
        start, tail = committed[-1].offset + committed[-1].length, records.archive_tail(committed)
        self.size = start + len(tail)
        if os.fstat(self._handle).st_size > self.size:
            os.ftruncate(self._handle, start)
        write_all(self._handle, start, tail)
        os.fdatasync(self._handle)

    @property
    def archive(self) -> Path | None:
        """The file, where it is an archive of all its records."""
        return self.path if not self.damaged and records.is_archive(self.records) else None

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes at ``offset``, fewer at the end."""
        return os.pread(self._handle, count, offset)

    def release(self) -> None:
        """Close the file and leave it where it is."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def remove(self) -> None:
        """Take the batch out of the spool for good; one with damaged records stays under another name.

        Not synced: a batch that a power cut brings back is landed again, and finds itself there.
        """
        self.release()
        if self.damaged:
            self.path.rename(self.path.with_suffix(DAMAGED))
        else:
            self.path.unlink(missing_ok=True)
        self.path.with_suffix(CLOSED).unlink(missing_ok=True)


def is_intact(read: Read, record: Record) -> bool:
    """Whether a file is what was received."""
    checksum, at, end = 0, record.offset, record.offset + record.length
    while at < end and (chunk := read(at, min(_CHUNK, end - at))):
        checksum = crc32(chunk, checksum)
        at += len(chunk)
    return at == end and checksum == record.crc32


def closed_journal(path: Path) -> Journal:
    """What was fixed when the batch file ``path`` was closed; NoRecord when it was not."""
    try:
        told = path.with_suffix(CLOSED).read_bytes()
    except FileNotFoundError:
        raise NoRecord from None
    journal = records.decode_journal(lambda offset, count: told[offset : offset + count])
    if not journal.is_closed:
        raise NoRecord
    return journal


def _open_journal(path: Path) -> Journal:
    """The journal of a batch file that was not closed; NoRecord when there is none."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return records.decode_journal(lambda offset, count: os.pread(handle, count, offset), records.JOURNAL_AT)
    finally:
        os.close(handle)


def batch_files(root: Path) -> Iterator[Path]:
    """The batches on the disk below the spool ``root``, those of other processes and of dead ones included."""
    for directory in root.iterdir():
        # One that was adopted goes when it is empty.
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from [path for path in directory.iterdir() if path.suffix == BATCH]


def may_hold(path: Path, study_uid: str) -> bool:
    """Whether a batch file may hold instances of this study; one that is gone by now holds none."""
    return _may(path, lambda told: not told.opening.shared or told.opening.study_uid == study_uid)


def may_name(path: Path, sop_instances: Set[str]) -> bool:
    """Whether a batch file may hold one of these instances, acknowledged; one that is gone by now holds none."""
    return _may(path, lambda told: any(record.arrival.sop_instance in sop_instances for record in told.records))


def _may(path: Path, said: Callable[[Journal], bool]) -> bool:
    """What the journal of a batch file says; yes where it cannot be read, no where the file is gone."""
    with suppress(NoRecord):
        return said(closed_journal(path))
    try:
        open_says = said(_open_journal(path))
    except FileNotFoundError:
        return False
    except NoRecord:
        open_says = path.exists()
    # One that was closed meanwhile loses the journal in it, and what was read of that may not be all.
    with suppress(NoRecord):
        return said(closed_journal(path))
    return open_says


def tidy(directory: Path) -> None:
    """Remove what a process left that died while it received an instance, or closed or removed a batch."""
    for unfinished in (*directory.glob(f"*{DRAFT}"), *directory.glob(f"*{RECEIVING}")):
        unfinished.unlink(missing_ok=True)
    for closed in directory.glob(f"*{CLOSED}"):
        if not closed.with_suffix(BATCH).exists():
            closed.unlink(missing_ok=True)


def adopt(path: Path) -> SpooledBatch | None:
    """A dead process's batch, closed if it was open, and verified; None, and it has left, when it holds no instance.

    Nothing that may have been acknowledged is removed: what cannot be read any more is renamed to DAMAGED.
    """
    try:
        if not path.with_suffix(CLOSED).exists() and not _close(path):
            path.unlink(missing_ok=True)
            return None
        batch = SpooledBatch(path, verify=True)
    except NoRecord:
        _set_aside(path)
        return None
    if batch.records:
        return batch
    batch.remove()
    return None


def _set_aside(path: Path) -> None:
    """A file whose journal cannot be read may hold what was acknowledged: it stays for a person, unless it is empty."""
    if path.stat().st_blocks:
        path.rename(path.with_suffix(DAMAGED))
    else:
        path.unlink()
    path.with_suffix(CLOSED).unlink(missing_ok=True)


def _close(path: Path) -> bool:
    """Close the batch that a dead process left open; False when nothing was committed to it.

    A torn last record was never acknowledged: the disk had not taken it all when the process died.
    """
    journal = _open_journal(path)
    kept = journal.records
    handle = os.open(path, os.O_RDONLY)
    try:
        if kept and not is_intact(lambda offset, count: os.pread(handle, count, offset), kept[-1]):
            kept = kept[:-1]
    finally:
        os.close(handle)
    told = records.encode_opening(journal.opening) + b"".join(map(records.encode_commit, kept))
    if kept:
        write_closed(path, told, len(kept))
    return bool(kept)
