"""Where the batch of a dead process stood: in which line, and behind what."""

import os
from dataclasses import dataclass
from pathlib import Path

from services.dicom_ingest.adapters.batch_file import CLOSED
from services.dicom_ingest.domain import records
from services.dicom_ingest.domain.lines import Line, line_of
from services.dicom_ingest.domain.records import Read
from services.dicom_ingest.domain.study_scan import StudyKey

#: Behind every closed batch, nanoseconds since 1970.
_OPEN = 1 << 63
#: An opening and a first record, each read in two steps: its head and its payload.
_READS = 4


@dataclass(frozen=True)
class Place:
    """``closed`` (nanoseconds since 1970) and ``opened`` (seconds) put the batches of a spool in order."""

    line: Line
    closed: int = 0
    opened: float = 0.0

    @property
    def order(self) -> tuple[int, float]:
        """What was closed is in the order of closing; what was open is behind it, in the order of opening."""
        return self.closed, self.opened


def place_of(path: Path) -> Place:
    """The place of a batch file; the first of a line of its own for one whose journal cannot be read."""
    told = path.with_suffix(CLOSED)
    try:
        if told.exists():
            return _place(path, told, 0, told.stat().st_mtime_ns)
        return _place(path, path, records.JOURNAL_AT, _OPEN)
    except Exception:  # whatever is wrong with it is told when it is landed
        return Place(path.name)


def _place(path: Path, journal: Path, at: int, closed: int) -> Place:
    handle = os.open(journal, os.O_RDONLY)
    try:
        begun = records.decode_journal(_beginning(lambda offset, count: os.pread(handle, count, offset)), at)
    finally:
        os.close(handle)
    opening, arrival = begun.opening, begun.records[0].arrival if begun.records else None
    source = (arrival.calling_ae, arrival.called_ae) if arrival else ("", "")
    line = line_of(StudyKey(opening.study_uid, known=opening.shared), source, path.name)
    return Place(line, closed, opening.opened.timestamp())


def _beginning(read: Read) -> Read:
    """A journal that seems to end behind its first record: there may be many, of many batches."""
    left = _READS

    def read_at_first(offset: int, count: int) -> bytes:
        nonlocal left
        left -= 1
        return read(offset, count) if left >= 0 else b""

    return read_at_first
