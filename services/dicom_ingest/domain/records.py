"""The spool's own format (services/dicom_ingest/README.md).

A batch file is two things. From its beginning grow the entries of instances.zip (contracts/formats/archive.py), so that
the finished file is the archive and need not be written again. From JOURNAL_AT on, behind a hole, grows a journal: an
opening, then one commit for each instance; one sync makes an instance and its commit durable together. Closing copies
the journal into a file of its own, and the archive is finished in the place where it lies.
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json

from contracts.formats.zip_records import central_record, end_records, local_header, local_header_size
from shared.errors import Unprocessable

#: ``read(offset, count)`` gives ``count`` bytes of a file, fewer at its end.
Read = Callable[[int, int], bytes]

#: Where the journal of an open batch begins, in bytes: beyond any archive, within what file systems can address.
JOURNAL_AT = 1 << 40
#: Bytes before the Part 10 file in its entry.
ENTRY_HEADER = local_header_size(0)
#: Entries from this length on need a longer header than was left room for: such a file is no archive as it lies.
ENTRY_LIMIT = 0xFFFFFFFF

_BLOCK = struct.Struct("<4sII")
_OPENING, _COMMIT, _CLOSING = b"CWO2", b"CWR2", b"CWC2"
_MAX_PAYLOAD = 64 * 1024


class NoRecord(Unprocessable):
    """What stands here is not what a writer of this format commits."""

    def __init__(self) -> None:
        super().__init__("no-record")


@dataclass(frozen=True)
class Opening:
    """What is fixed when a batch is opened. ``shared`` is False for the one instance whose study is not known yet."""

    batch_id: str
    opened: datetime
    study_uid: str | None
    shared: bool
    traceparent: str | None


@dataclass(frozen=True)
class Arrival:
    """What is known of an instance beside its bytes."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    dataset_offset: int
    received: datetime
    calling_ae: str
    called_ae: str
    address: str
    #: Who issues ids where a header names nobody, if the sender is known for it.
    patient_issuer: str | None = None
    order_issuer: str | None = None
    #: How long the sender may pause within a study, seconds, if it is known.
    quiet: float | None = None
    #: Whether the file that brought it was a program or a document as well (foreign.py).
    is_foreign: bool | None = None


@dataclass(frozen=True)
class Record:
    """One committed instance: its Part 10 file lies at ``offset`` for ``length`` bytes of the batch file."""

    arrival: Arrival
    offset: int
    length: int
    crc32: int

    @property
    def dataset_at(self) -> int:
        """Where in the batch file the data set begins."""
        return self.offset + self.arrival.dataset_offset

    @property
    def dataset_length(self) -> int:
        """Bytes of data set."""
        return self.length - self.arrival.dataset_offset


@dataclass(frozen=True)
class Journal:
    """What a journal says; ``size`` is that of its blocks in bytes, without the closing."""

    opening: Opening
    records: tuple[Record, ...]
    size: int
    is_closed: bool


def _block(kind: bytes, told: dict[str, Any]) -> bytes:
    payload = to_json(told)
    return _BLOCK.pack(kind, len(payload), zlib.crc32(payload)) + payload


def encode_opening(opening: Opening) -> bytes:
    """The first block of a journal."""
    return _block(_OPENING, vars(opening))


def encode_commit(record: Record) -> bytes:
    """The block that makes an instance count: length, checksum, and what is known of it."""
    arrival = {name: value for name, value in vars(record.arrival).items() if value is not None}
    return _block(_COMMIT, {**vars(record), "arrival": arrival})


def encode_closing(count: int) -> bytes:
    """The last block of a closed journal: it fixes the membership."""
    return _block(_CLOSING, {"count": count})


def decode_journal(read: Read, at: int = 0) -> Journal:
    """The journal that begins at ``at``, up to what was cut by a crash; NoRecord when it has no opening."""
    kind, told, end = _decode(read, at)
    if kind != _OPENING:
        raise NoRecord
    opening = Opening(**{**told, "opened": datetime.fromisoformat(told["opened"])})
    records: list[Record] = []
    while True:
        try:
            kind, told, after = _decode(read, end)
        except NoRecord:
            return Journal(opening, tuple(records), end - at, is_closed=False)
        if kind != _COMMIT:
            return Journal(opening, tuple(records), end - at, kind == _CLOSING and told == {"count": len(records)})
        records.append(_record(told))
        end = after


def _decode(read: Read, at: int) -> tuple[bytes, dict[str, Any], int]:
    head = read(at, _BLOCK.size)
    if len(head) < _BLOCK.size:
        raise NoRecord
    kind, length, crc = _BLOCK.unpack(head)
    payload = read(at + _BLOCK.size, length) if length <= _MAX_PAYLOAD else b""
    if kind not in (_OPENING, _COMMIT, _CLOSING) or len(payload) != length or zlib.crc32(payload) != crc:
        raise NoRecord
    return kind, from_json(payload), at + _BLOCK.size + length


def _record(told: dict[str, Any]) -> Record:
    arrival = told["arrival"]
    return Record(
        arrival=Arrival(**{**arrival, "received": datetime.fromisoformat(arrival["received"])}),
        offset=told["offset"],
        length=told["length"],
        crc32=told["crc32"],
    )


def entry_name(number: int) -> str:
    """The name of the ``number``-th entry, counted from 1."""
    return f"{number:06d}.dcm"


def entry_header(number: int, length: int, crc32: int) -> bytes:
    """What stands in the ENTRY_HEADER bytes before a file; empty where they are too few for its length."""
    return b"" if length >= ENTRY_LIMIT else local_header(entry_name(number), length, crc32)


def archive_tail(records: Iterable[Record]) -> bytes:
    """What finishes the archive behind its last entry: the central directory and the end records."""
    directory, end, count = bytearray(), 0, 0
    for count, record in enumerate(records, start=1):
        directory += central_record(entry_name(count), record.length, record.crc32, record.offset - ENTRY_HEADER)
        end = record.offset + record.length
    return bytes(directory) + end_records(count, len(directory), end)


def is_archive(records: Iterable[Record]) -> bool:
    """Whether entries of these records, one behind the other from the beginning, make an archive where they lie."""
    end = 0
    for record in records:
        if record.offset != end + ENTRY_HEADER or record.length >= ENTRY_LIMIT:
            return False
        end = record.offset + record.length
    return True
