"""What landing needs: closed batches, and the bus."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from contracts.events import AssociationEnded, Event
from services.dicom_ingest.domain.records import Opening, Record


class SpooledBatch(Protocol):
    """A closed batch that still lies in the spool."""

    path: Path
    opening: Opening
    records: tuple[Record, ...]
    #: Which of those that were committed are not among ``records``, counted from 0: the disk has damaged them.
    left_out: tuple[int, ...]

    @property
    def archive(self) -> Path | None:
        """The batch file, when it is the archive of its records as it lies; None when one must be made of them."""
        ...

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes of the batch file at ``offset``, fewer at its end."""
        ...


@dataclass(frozen=True)
class Description:
    """A batch's manifest as it is stored, and what it says of the study."""

    manifest: bytes
    study_uid: str | None
    study_ref: str


class Describer(Protocol):
    """What reads the instances of a batch."""

    async def describe(self, batch: SpooledBatch, headers: IO[bytes]) -> Description:
        """Write headers.jsonl to ``headers``; RecordDamaged when the disk has changed a record."""
        ...


class Farewells(Protocol):
    """Where ended associations wait for the bus."""

    def keep(self, event: AssociationEnded, traceparent: str | None) -> None:
        """Tell of the end of an association as soon as the bus is there; does not wait for it."""
        ...


class Publisher(Protocol):
    """The bus."""

    async def publish(self, event: Event, *, id: str, traceparent: str | None = None) -> int:  # noqa: A002
        """Return when the stream has the event; RetryLater while the bus is away."""
        ...
