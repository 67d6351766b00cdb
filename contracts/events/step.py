"""Facts about performed procedure steps: what a modality reported of what it does (MPPS, PS3.4 annex F)."""

from typing import Annotated, ClassVar, Literal

from contracts.events.base import Event
from contracts.events.common import Blob
from contracts.phi import Count, Moment, Opaque, Uid, phi


class StepReported(Event):
    """A modality reported on a step, and was told that the report is safe.

    ``number`` counts the reports of a step from 1. ``state`` is that after this report, ``unknown`` where no report
    said; the studies are those that its first report named. ``report`` is the report as a DICOM file. ``references``
    is a JSON document of the instances that the step made, and ``instances`` their number: those of this report, else
    of the last one that told any; None where none did.
    """

    subject: ClassVar[str] = "imaging.step.reported.v1"

    step_ref: Opaque
    number: Count
    kind: Annotated[Literal["created", "set"], phi("none")]
    state: Annotated[Literal["in-progress", "completed", "discontinued", "unknown"], phi("none")]
    study_uids: tuple[Uid, ...]
    study_refs: tuple[Opaque, ...]
    instances: Count
    report: Blob
    references: Blob | None = None
    received: Moment
