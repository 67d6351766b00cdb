"""Facts about studies, which is what integrators subscribe to, and about instances in conflict."""

from typing import Annotated, ClassVar, Literal

from contracts.events.base import Event, Fact
from contracts.events.common import Blob, ProvenCopy
from contracts.phi import Count, Digest, Fraction, Moment, Opaque, Technical, Uid, phi


class Evidence(Fact):
    """One reason to hold a study for complete: its kind, and how much it is worth alone."""

    kind: Annotated[Literal["quiet", "expected_count", "ordered"], phi("none")]
    confidence: Fraction


class Reason(Fact):
    """The same for every kind: ``steps_completed`` (all known procedure steps ended, what they made is held) too."""

    kind: Technical
    confidence: Fraction


class StudyReceived(Event):
    """The first instances of a study are here."""

    subject: ClassVar[str] = "imaging.study.received.v1"

    study_uid: Uid
    study_ref: Opaque
    received: Moment


class StudyCompleted(Event):
    """Nothing more of the study is expected. ``summary`` is a claim check to a JSON document.

    ``reasons`` are all reasons; ``evidence`` are those of them whose kinds the first revision of this event knew.
    """

    subject: ClassVar[str] = "imaging.study.completed.v1"

    study_uid: Uid
    study_ref: Opaque
    revision: Count
    series: Count
    instances: Count
    evidence: tuple[Evidence, ...]
    confidence: Fraction
    summary: Blob
    completed: Moment
    reasons: tuple[Reason, ...] = ()


class StudyRevised(Event):
    """Instances arrived after the study was completed; ``added`` of them since the last revision."""

    subject: ClassVar[str] = "imaging.study.revised.v1"

    study_uid: Uid
    study_ref: Opaque
    revision: Count
    series: Count
    instances: Count
    added: Count
    summary: Blob
    revised: Moment


class StudyArchived(Event):
    """Every batch of the study is archived."""

    subject: ClassVar[str] = "imaging.study.archived.v1"

    study_uid: Uid
    study_ref: Opaque
    revision: Count
    instances: Count
    copies: tuple[ProvenCopy, ...]
    withheld: Count
    summary: Blob
    archived: Moment


class InstanceConflicted(Event):
    """What arrived contradicts what was here; both are kept, a person decides."""

    subject: ClassVar[str] = "imaging.instance.conflicted.v1"

    conflict_id: Opaque
    kind: Annotated[Literal["instance_version", "study_patient", "series_study"], phi("none")]
    batch_id: Opaque
    study_ref: Opaque
    sop_instance_uid: Uid | None = None
    dataset_sha256: Digest | None = None
    other: Technical | None = None
