"""The events of version 1, and the names that are kept for later ones."""

from contracts.events.base import Event, Fact
from contracts.events.batch import AssociationEnded, BatchArchived, BatchOverdue, BatchSecured, BatchStored, Waiting
from contracts.events.clinical import (
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PatientMerged,
    PatientRegistered,
    PatientUpdated,
)
from contracts.events.commitment import CommitmentDecided, CommitmentRequested, Outcome, Referenced
from contracts.events.common import (
    PART_SIZE,
    Batch,
    Blob,
    CopyKey,
    Form,
    Part,
    PlannedCopy,
    ProvenCopy,
    Sealed,
    Sections,
)
from contracts.events.copy import CopyDamaged, CopyExpired, CopyFailed, CopyRemoved, CopyVerified, CopyWritten
from contracts.events.forward import ForwardDelivered, ForwardFailed, Undelivered
from contracts.events.pack import InstancesQuarantined, PackDeidentified, PackPlanned, PackSealed, Withheld
from contracts.events.step import StepReported
from contracts.events.study import (
    Evidence,
    InstanceConflicted,
    StudyArchived,
    StudyCompleted,
    StudyReceived,
    StudyRevised,
)

#: Every event that a service may publish today.
EVENTS: tuple[type[Event], ...] = (
    AssociationEnded,
    BatchStored,
    BatchSecured,
    BatchArchived,
    BatchOverdue,
    PackPlanned,
    PackDeidentified,
    PackSealed,
    InstancesQuarantined,
    CopyWritten,
    CopyFailed,
    CopyVerified,
    CopyDamaged,
    CopyExpired,
    CopyRemoved,
    CommitmentRequested,
    CommitmentDecided,
    ForwardDelivered,
    ForwardFailed,
    StepReported,
    InstanceConflicted,
    StudyReceived,
    StudyCompleted,
    StudyRevised,
    StudyArchived,
    OrderPlaced,
    OrderChanged,
    OrderCancelled,
    PatientRegistered,
    PatientUpdated,
    PatientMerged,
)

BY_SUBJECT: dict[str, type[Event]] = {event.subject: event for event in EVENTS}

#: Names that later events will have; nobody publishes them and nobody may use them for anything else.
RESERVED: tuple[str, ...] = (
    "imaging.instance.rejected.v1",
    "imaging.instance.restored.v1",
    "imaging.instance.erased.v1",
    "imaging.study.coerced.v1",
    "imaging.copy.moved.v1",
    "clinical.report.received.v1",
    "clinical.report.changed.v1",
)

__all__ = [
    "BY_SUBJECT",
    "EVENTS",
    "PART_SIZE",
    "RESERVED",
    "AssociationEnded",
    "Batch",
    "BatchArchived",
    "BatchOverdue",
    "BatchSecured",
    "BatchStored",
    "Blob",
    "CommitmentDecided",
    "CommitmentRequested",
    "CopyDamaged",
    "CopyExpired",
    "CopyFailed",
    "CopyKey",
    "CopyRemoved",
    "CopyVerified",
    "CopyWritten",
    "Event",
    "Evidence",
    "Fact",
    "Form",
    "ForwardDelivered",
    "ForwardFailed",
    "InstanceConflicted",
    "InstancesQuarantined",
    "OrderCancelled",
    "OrderChanged",
    "OrderPlaced",
    "Outcome",
    "PackDeidentified",
    "PackPlanned",
    "PackSealed",
    "Part",
    "PatientMerged",
    "PatientRegistered",
    "PatientUpdated",
    "PlannedCopy",
    "ProvenCopy",
    "Referenced",
    "Sealed",
    "Sections",
    "StepReported",
    "StudyArchived",
    "StudyCompleted",
    "StudyReceived",
    "StudyRevised",
    "Undelivered",
    "Waiting",
    "Withheld",
]
