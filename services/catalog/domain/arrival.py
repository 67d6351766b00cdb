"""A landing batch as it goes into the index."""

from dataclasses import dataclass
from functools import cached_property

from contracts.formats.manifest import Instance
from services.catalog.domain.dicom_json import Attributes
from services.catalog.domain.identity import identity


@dataclass(frozen=True)
class Arrived:
    """One instance of a batch with its header (empty where there is none that can be read)."""

    instance: Instance
    header: Attributes

    @cached_property
    def identity(self) -> bytes:
        """Its 16 bytes."""
        one = self.instance
        return identity(one.sop_instance_uid, one.dataset_sha256, one.transfer_syntax)


@dataclass(frozen=True)
class Batch:
    """A batch as it goes into the index; ``closed`` is the event's time, ``quiet`` the source's pause, in seconds."""

    batch_id: str
    study_uid: str | None
    study_ref: str
    closed: float
    quiet: float
    arrived: tuple[Arrived, ...]
