"""What the manifest says of one recorded instance: one pass over its bytes, whatever their number."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blake3 import blake3
from isal.isal_zlib import crc32

from contracts.formats.headers import UNREADABLE, header_line, opaque_line
from contracts.formats.manifest import OPAQUE_HEADER, Instance
from services.dicom_ingest.domain.bounds import USUAL, Bounds
from services.dicom_ingest.domain.foreign import FOREIGN_MAGIC
from services.dicom_ingest.domain.header import Header, Reading, read_header
from services.dicom_ingest.domain.json_model import Memory
from services.dicom_ingest.domain.negotiation import is_identifier, is_uid
from services.dicom_ingest.domain.records import Arrival, Read, Record
from services.dicom_ingest.domain.routing import routing, text
from services.dicom_ingest.domain.study_scan import uid_in
from shared.errors import Unprocessable
from shared.identity import SiteKey

_CHUNK = 1024 * 1024
STUDY, SERIES, SOP_INSTANCE = "0020000D", "0020000E", "00080018"
IRREGULAR_UID, OTHER_UID = "irregular-uid", "other-uid"


@dataclass(frozen=True)
class Issuers:
    """Who issues this site's ids where a header names nobody; part of the match tokens."""

    patient: str
    order: str


class RecordDamaged(Unprocessable):
    """The disk has changed a record since it was acknowledged."""

    def __init__(self) -> None:
        super().__init__("record-damaged")


def without_study(arrival: Arrival) -> str:
    """What stands for a study where there is none: all that one source sends in a day (UTC)."""
    return f"without-study/{arrival.calling_ae}/{arrival.received.date().isoformat()}"


@dataclass(frozen=True)
class Described:
    """An instance without its place in an archive, and its header or the reason why there is none."""

    instance: Instance
    header: Header | None
    reason: str | None

    def line(self, entry: str) -> bytes:
        """Its line of headers.jsonl."""
        return header_line(entry, self.header) if self.header else opaque_line(entry, self.reason or UNREADABLE)


def describe(
    record: Record,
    read: Read,
    site_key: SiteKey,
    issuers: Issuers,
    memory: Memory,
    *,
    unread: bool = False,
    bounds: Bounds = USUAL,
) -> Described:
    """Read a record of a batch file through ``read(offset, count)``; RecordDamaged when it is not what was received.

    ``unread`` leaves its header alone: there are only digests of it, and what the sender said.
    """
    syntax, size = record.arrival.transfer_syntax, record.dataset_length

    def load(offset: int, count: int) -> bytes:
        return read(record.dataset_at + offset, min(count, size - offset))

    reading = _unread(size) if unread else read_header(load, size, syntax, memory, bounds)
    header = reading.header or {}
    study, series = _identifier(header, STUDY), _identifier(header, SERIES)
    if reading.is_doubtful and not unread:
        study, series = (
            told or uid_in(load, size, syntax, int(tag, 16)) for told, tag in ((study, STUDY), (series, SERIES))
        )
    digests = _digests(record, read, reading)
    instance = Instance(
        length=record.length,
        sop_class_uid=record.arrival.sop_class,
        sop_instance_uid=record.arrival.sop_instance,
        study_uid=study,
        series_uid=series,
        transfer_syntax=syntax,
        dataset_offset=record.arrival.dataset_offset,
        dataset_sha256=digests.dataset,
        meta_sha256=digests.meta,
        crc32=record.crc32,
        header_sha256=digests.header,
        header_length=reading.header_length,
        pixel_blake3=digests.pixels,
        pixel_offset=reading.pixel_offset,
        pixel_length=reading.pixel_length,
        pixels=reading.pixels,
        routing=routing(
            header,
            site_key,
            patient_issuer=record.arrival.patient_issuer or issuers.patient,
            order_issuer=record.arrival.order_issuer or issuers.order,
        ),
        flags=_flags(reading, record.arrival) + _uid_flags(record.arrival.sop_instance, text(header, SOP_INSTANCE)),
    )
    return Described(instance, reading.header, reading.reason)


def _unread(size: int) -> Reading:
    return Reading(None, UNREADABLE, size, flags=(OPAQUE_HEADER,))


def _flags(reading: Reading, arrival: Arrival) -> tuple[str, ...]:
    is_new = arrival.is_foreign and FOREIGN_MAGIC not in reading.flags
    return (*reading.flags, FOREIGN_MAGIC) if is_new else reading.flags


def _uid_flags(told: str, written: str | None) -> tuple[str, ...]:
    """Flags of the UID that the sender told, which is the instance's, beside the one in its data set."""
    irregular = () if is_uid(told) else (IRREGULAR_UID,)
    return irregular if written in (None, told) else (*irregular, OTHER_UID)


def _identifier(header: Header, tag: str) -> str | None:
    value = text(header, tag)
    return value if value and is_identifier(value) else None


@dataclass(frozen=True)
class _Digests:
    meta: str
    dataset: str
    header: str
    pixels: str | None


def _digests(record: Record, read: Read, reading: Reading) -> _Digests:
    """Each byte is read once; RecordDamaged when they are not what was received."""
    meta, dataset, header, pixels, checksum = *(hashlib.sha256() for _ in range(3)), blake3(), 0
    start = record.arrival.dataset_offset
    ranges: list[tuple[int, int, Callable[[memoryview], object]]] = [
        (0, start, meta.update),
        (start, record.length, dataset.update),
        (start, start + reading.header_length, header.update),
    ]
    if reading.pixel_offset is not None:
        first = start + reading.pixel_offset
        ranges.append((first, first + (reading.pixel_length or 0), pixels.update))
    for at in range(0, record.length, _CHUNK):
        chunk = memoryview(read(record.offset + at, min(_CHUNK, record.length - at)))
        checksum = crc32(chunk, checksum)
        _feed(chunk, at, ranges)
    if checksum != record.crc32:
        raise RecordDamaged
    told = None if reading.pixel_offset is None else pixels.hexdigest()
    return _Digests(meta.hexdigest(), dataset.hexdigest(), header.hexdigest(), told)


def _feed(chunk: memoryview, at: int, ranges: Sequence[tuple[int, int, Callable[[memoryview], object]]]) -> None:
    for start, end, update in ranges:
        first, last = max(start - at, 0), min(end - at, len(chunk))
        if first < last:
            update(chunk[first:last])
