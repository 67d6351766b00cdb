"""Facts about orders and patients: references and match tokens only, never a value from the message."""

from typing import ClassVar

from contracts.events.base import Event
from contracts.phi import Opaque, Routing, Technical, Uid


class Order(Event):
    """An order as it now stands. ``order_ref`` is the id of the FHIR ServiceRequest, ``patient_ref`` of the Patient.

    ``accession_token`` and ``patient_token`` are HMACs over (issuer, id) that equal those of the instances' manifest.
    """

    order_ref: Opaque
    patient_ref: Opaque
    patient_token: Opaque | None = None
    accession_token: Opaque | None = None
    study_uid: Uid | None = None
    priority: Routing | None = None
    modality: Routing | None = None


class OrderPlaced(Order):
    """A new order arrived."""

    subject: ClassVar[str] = "clinical.order.placed.v1"


class OrderChanged(Order):
    """A known order changed."""

    subject: ClassVar[str] = "clinical.order.changed.v1"


class OrderCancelled(Order):
    """A known order was cancelled or discontinued."""

    subject: ClassVar[str] = "clinical.order.cancelled.v1"


class Patient(Event):
    """A patient as now known. ``patient_ref`` is the id of the FHIR Patient."""

    patient_ref: Opaque
    patient_token: Opaque | None = None


class PatientRegistered(Patient):
    """A patient was admitted or registered."""

    subject: ClassVar[str] = "clinical.patient.registered.v1"


class PatientUpdated(Patient):
    """A known patient's record changed."""

    subject: ClassVar[str] = "clinical.patient.updated.v1"


class PatientMerged(Patient):
    """Two records are of one patient: ``merged_ref`` goes on in ``patient_ref``, and so does all that belonged to it.

    ``merged_token`` is the HMAC over the (issuer, id) of the record that is no more.
    """

    subject: ClassVar[str] = "clinical.patient.merged.v1"

    merged_ref: Opaque
    merged_token: Opaque | None = None


class StudyMatched(Event):
    """What a study is tied to from now on: instead of what was said before, and nothing where nothing is certain.

    ``study_ref`` is the id of the FHIR ImagingStudy, ``order_refs`` of ServiceRequests, ``patient_ref`` of the Patient.
    ``basis`` is what ties them: ``study-uid-and-accession``, ``study-uid``, ``accession``, ``decision`` or ``none``.
    ``reasons`` are why a person has to look at it, such as ``order-missing``.
    """

    subject: ClassVar[str] = "clinical.study.matched.v1"

    study_uid: Uid
    study_ref: Opaque
    patient_ref: Opaque | None = None
    order_refs: tuple[Opaque, ...] = ()
    basis: Technical
    reasons: tuple[Technical, ...] = ()


#: All of them, which one service publishes.
CLINICAL: tuple[type[Event], ...] = (
    OrderPlaced,
    OrderChanged,
    OrderCancelled,
    PatientRegistered,
    PatientUpdated,
    PatientMerged,
    StudyMatched,
)
