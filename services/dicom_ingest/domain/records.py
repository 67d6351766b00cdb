"""The spool's own format: a batch file is an opening, then records, then a closing (services/dicom_ingest/README.md).

A record is head, JSON, Part 10 file and trailer. Its head is written last, with the trailer, so a record that was cut
by a crash has no head; the trailer's digest covers the data set, so a torn one is known when it is read again.
"""

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from shared.errors import Unprocessable

#: ``read(offset, count)`` gives ``count`` bytes of a batch file, fewer at its end.
Read = Callable[[int, int], bytes]

_OPENING = struct.Struct("<4sII")
_HEAD = struct.Struct("<4sIQI")
_TRAILER = struct.Struct("<4sQ32sI")
_CLOSING = struct.Struct("<4sII")
_MAGIC_OPENING, _MAGIC_HEAD, _MAGIC_TRAILER, _MAGIC_CLOSING = b"CWO1", b"CWR1", b"CWT1", b"CWC1"

OPENING_SIZE, HEAD_SIZE, TRAILER_SIZE, CLOSING_SIZE = (each.size for each in (_OPENING, _HEAD, _TRAILER, _CLOSING))
#: Bytes of JSON beyond which an opening or a head is no true one.
MAX_JSON = 64 * 1024


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


@dataclass(frozen=True)
class Record:
    """One committed instance: its Part 10 file lies at ``offset`` for ``length`` bytes of the batch file."""

    arrival: Arrival
    offset: int
    length: int
    dataset_sha256: bytes

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.offset + self.length + TRAILER_SIZE

    @property
    def dataset_at(self) -> int:
        """Where in the batch file the data set begins."""
        return self.offset + self.arrival.dataset_offset

    @property
    def dataset_length(self) -> int:
        """Bytes of data set."""
        return self.length - self.arrival.dataset_offset


def _json(value: Opening | Arrival) -> bytes:
    return json.dumps(asdict(value), default=datetime.isoformat, separators=(",", ":")).encode()


def encode_opening(opening: Opening) -> bytes:
    """The first bytes of a batch file."""
    text = _json(opening)
    return _OPENING.pack(_MAGIC_OPENING, len(text), zlib.crc32(text)) + text


def decode_opening(read: Read) -> tuple[Opening, int]:
    """The opening and where the first record begins; NoRecord when it was cut."""
    magic, length, crc = _unpack(_OPENING, read(0, OPENING_SIZE))
    if magic != _MAGIC_OPENING or length > MAX_JSON:
        raise NoRecord
    text = read(OPENING_SIZE, length)
    if zlib.crc32(text) != crc:
        raise NoRecord
    told = json.loads(text)
    return Opening(**{**told, "opened": datetime.fromisoformat(told["opened"])}), OPENING_SIZE + length


def encode_arrival(arrival: Arrival) -> bytes:
    """The JSON between a record's head and its file."""
    return _json(arrival)


def encode_head(arrival: bytes, length: int) -> bytes:
    """The head of a record whose file has ``length`` bytes."""
    return _HEAD.pack(_MAGIC_HEAD, len(arrival), length, zlib.crc32(arrival))


def encode_trailer(length: int, dataset_sha256: bytes) -> bytes:
    """The commit of a record."""
    checked = _MAGIC_TRAILER + length.to_bytes(8, "little") + dataset_sha256
    return _TRAILER.pack(_MAGIC_TRAILER, length, dataset_sha256, zlib.crc32(checked))


def encode_closing(count: int) -> bytes:
    """What fixes the membership: nothing is ever added behind it."""
    return _CLOSING.pack(_MAGIC_CLOSING, count, zlib.crc32(count.to_bytes(4, "little")))


def decode_record(read: Read, at: int) -> Record:
    """The record that begins at ``at``; NoRecord when none was committed there. Its digest is not checked here."""
    magic, size, length, crc = _unpack(_HEAD, read(at, HEAD_SIZE))
    if magic != _MAGIC_HEAD or size > MAX_JSON:
        raise NoRecord
    text = read(at + HEAD_SIZE, size)
    if zlib.crc32(text) != crc:
        raise NoRecord
    offset = at + HEAD_SIZE + size
    trailer = read(offset + length, TRAILER_SIZE)
    _magic, _length, digest, _crc = _unpack(_TRAILER, trailer)
    if trailer != encode_trailer(length, digest):
        raise NoRecord
    told = json.loads(text)
    arrival = Arrival(**{**told, "received": datetime.fromisoformat(told["received"])})
    return Record(arrival, offset, length, digest)


def is_closing(read: Read, at: int, count: int) -> bool:
    """Whether the batch was closed at ``at`` with so many records."""
    return read(at, CLOSING_SIZE) == encode_closing(count)


def _unpack(form: struct.Struct, value: bytes) -> tuple[Any, ...]:
    if len(value) < form.size:
        raise NoRecord
    return form.unpack(value)
