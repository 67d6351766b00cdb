"""Fakes of what dicom_ingest needs from outside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from zlib import crc32

from contracts.events import AssociationEnded, Event
from contracts.formats.manifest import write_manifest
from services.dicom_ingest.domain.description import describe_batch
from services.dicom_ingest.domain.instance import Issuers
from services.dicom_ingest.domain.part10 import file_header
from services.dicom_ingest.domain.records import ENTRY_HEADER, Arrival, Opening, Record
from services.dicom_ingest.domain.study_scan import StudyKey
from services.dicom_ingest.ports import Description, SpooledBatch, SpoolRefused
from shared.identity import SiteKey


@dataclass
class FakeRecording:
    """An instance in memory."""

    spool: "FakeSpool"
    key: StudyKey
    arrival: Arrival
    data: bytes = b""
    batch_id: str = "ab" * 16

    def write(self, *chunks: bytes | memoryview) -> None:
        if len(self.data) > self.spool.capacity:
            raise SpoolRefused("spool-enospc")
        self.data += b"".join(map(bytes, chunks))

    def commit(self) -> None:
        self.spool.committed.append(self)

    def abandon(self) -> None:
        self.spool.abandoned.append(self)


@dataclass
class FakeSpool:
    """Remembers what was committed and abandoned."""

    capacity: int = 1 << 40
    committed: list[FakeRecording] = field(default_factory=list)
    abandoned: list[FakeRecording] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def record(self, key: StudyKey, arrival: Arrival, visitor: str, trace: Callable[[], str | None]) -> FakeRecording:
        return FakeRecording(self, key, arrival)

    def visitor_left(self, visitor: str) -> None:
        self.left.append(visitor)


@dataclass
class FakeRoom:
    """A disk that a test fills."""

    is_low: bool = False
    brakes: int = 0

    def check(self) -> None:
        if self.is_low:
            raise SpoolRefused("disk-low")

    def brake(self) -> None:
        self.brakes += 1


@dataclass
class FakeFarewells:
    """Remembers ended associations."""

    kept: list[AssociationEnded] = field(default_factory=list)

    def keep(self, event: AssociationEnded, traceparent: str | None) -> None:
        self.kept.append(event)


@dataclass
class FakeBus:
    """Remembers what was published, by id."""

    published: list[tuple[str, Event]] = field(default_factory=list)

    async def publish(self, event: Event, *, id: str, traceparent: str | None = None) -> int:  # noqa: A002
        self.published.append((id, event))
        return len(self.published)


@dataclass
class HereDescriber:
    """Describes in this process."""

    site_key: SiteKey
    issuers: Issuers = Issuers("", "")  # noqa: RUF009 - it is frozen

    async def describe(self, batch: SpooledBatch, headers: IO[bytes]) -> Description:
        manifest = describe_batch(
            batch.opening, batch.records, batch.read, headers.write, site_key=self.site_key, issuers=self.issuers
        )
        return Description(write_manifest(manifest), manifest.study_uid, manifest.study_ref or "")


class FakeSpooledBatch:
    """A closed batch of these data sets, in memory: no file that is an archive."""

    archive = None
    path = Path("nowhere")
    left_out = ()

    def __init__(self, *datasets: bytes, transfer_syntax: str = "1.2.840.10008.1.2.1", study_uid: str | None) -> None:
        self.opening = Opening("cd" * 16, datetime(2026, 1, 1, tzinfo=UTC), study_uid, True, None)
        self._content = b""
        self.records = tuple(self._record(number, data, transfer_syntax) for number, data in enumerate(datasets))

    def _record(self, number: int, data: bytes, transfer_syntax: str) -> Record:
        header = file_header("1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{number}", transfer_syntax)
        received = datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC)
        arrival = Arrival(
            "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{number}", transfer_syntax, len(header), received, "CT1", "CW", "::1"
        )
        file, offset = header + data, len(self._content) + ENTRY_HEADER
        self._content += bytes(ENTRY_HEADER) + file
        return Record(arrival, offset, len(file), crc32(file))

    def read(self, offset: int, count: int) -> bytes:
        return self._content[offset : offset + count]
