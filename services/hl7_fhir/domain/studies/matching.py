"""To which order and patient a study belongs: what is certain ties it, anything less is for people to look at.

The Study Instance UID and the accession number (with its issuer) are what an order and its images have in common
(IHE RAD TF-2, RAD-4 and RAD-8). An order is named by one of them or by both; what contradicts it (another UID, another
accession number, another patient) makes that the opposite of certain. Likeness never ties anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

#: ServiceRequest.status of an order that no image belongs to any more.
ENDED = frozenset(("revoked", "entered-in-error"))

#: Why a study is on the work list.
ORDER_MISSING = "order-missing"
ORDER_CANCELLED = "order-cancelled"
ORDERS_CONTRADICT = "orders-contradict"
ACCESSION_DIFFERS = "accession-differs"
STUDY_UID_DIFFERS = "study-uid-differs"
PATIENT_DIFFERS = "patient-differs"
PATIENT_NOT_IDENTIFIED = "patient-not-identified"
PATIENT_UNKNOWN = "patient-unknown"
SEVERAL_PATIENTS = "several-patients"
REASONS = (
    ORDER_MISSING,
    ORDER_CANCELLED,
    ORDERS_CONTRADICT,
    ACCESSION_DIFFERS,
    STUDY_UID_DIFFERS,
    PATIENT_DIFFERS,
    PATIENT_NOT_IDENTIFIED,
    PATIENT_UNKNOWN,
    SEVERAL_PATIENTS,
)


@dataclass(frozen=True)
class Study:
    """What identifies a study. ``accessions`` are the tokens of all its images.

    ``owners`` are the patients that its images name, ``strangers`` the tokens that no patient bears (yet). ``known`` is
    False as long as only its UID is known, because its images still arrive.
    """

    uid: str
    known: bool = True
    accessions: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    started: datetime | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Order:
    """What identifies an order. ``patient`` is the one that survives all merges.

    ``identified`` is False when that one has no id that anything could match.
    """

    id: str
    patient: str
    identified: bool = True
    accession: str | None = None
    study_uid: str | None = None
    status: str = "active"
    modality: str | None = None
    scheduled: datetime | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Decided:
    """What people decided of a study. ``dismissed`` are the reasons that they have seen and let be."""

    order: Order | None = None
    patient: str | None = None
    dismissed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Match:
    """What a study is tied to, by what (``basis``), and why somebody has to look at it (``reasons``, sorted)."""

    orders: tuple[str, ...] = ()
    patient: str | None = None
    basis: str = "none"
    reasons: tuple[str, ...] = ()


class Same(Enum):
    """Whether the images and the order are of one patient."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def person(study: Study, order: Order) -> Same:
    """Whether both name the same patient; unknown when one of them names nobody."""
    if not order.identified or not (study.owners or study.strangers):
        return Same.UNKNOWN
    return Same.YES if study.owners == {order.patient} and not study.strangers else Same.NO


def as_decided(study: Study, decided: Decided) -> Study:
    """``study`` with the patient that a person said it is of, whomever its images name."""
    if decided.patient is None:
        return study
    return replace(study, owners=frozenset((decided.patient,)), strangers=frozenset())


def match(study: Study, named: Iterable[Order], decided: Decided) -> Match:
    """What ``study`` is tied to. ``named`` are all orders with its UID or one of its accession numbers."""
    study = as_decided(study, decided)
    certain, basis, reasons = _orders(study, sorted(named, key=lambda order: order.id))
    owner, doubts = _owner(study)
    if decided.order:
        certain, basis, reasons = (decided.order,), "decision", frozenset()
    patient = decided.patient or _patient_of(certain, owner)
    if certain:
        doubts = frozenset()
    seen = (reasons | doubts) - decided.dismissed if study.known else frozenset()
    return Match(tuple(order.id for order in certain), patient, basis, tuple(sorted(seen)))


def _patient_of(certain: tuple[Order, ...], owner: str | None) -> str | None:
    """That of the order, but of an order for somebody unknown whom the images name."""
    ordered = next((order for order in certain if order.identified or not owner), None)
    return ordered.patient if ordered else owner


_Found = tuple[tuple[Order, ...], str, frozenset[str]]


def _orders(study: Study, named: Iterable[Order]) -> _Found:
    found = list(named)
    live = [order for order in found if order.status not in ENDED]
    by_uid = [order for order in live if order.study_uid == study.uid]
    by_accession = [order for order in live if order.accession in study.accessions]
    if not by_uid and not by_accession:
        return (), "none", frozenset((ORDER_CANCELLED if found else ORDER_MISSING,))
    if by_uid and by_accession and not any(order in by_accession for order in by_uid):
        return (), "none", frozenset((ORDERS_CONTRADICT,))
    certain, basis, reasons = _by_uid(study, by_uid) if by_uid else _by_accession(study, by_accession)
    if len({order.patient for order in certain}) > 1:
        return (), "none", reasons | {PATIENT_DIFFERS}
    return certain, basis if certain else "none", reasons


def _by_uid(study: Study, orders: Iterable[Order]) -> _Found:
    """The UID names an order unless the accession number or the patient says otherwise."""
    certain, reasons, both = [], set(), False
    for order in orders:
        against = set()
        if order.accession and study.accessions and order.accession not in study.accessions:
            against.add(ACCESSION_DIFFERS)
        if person(study, order) is Same.NO:
            against.add(PATIENT_DIFFERS)
        reasons |= against
        if not against:
            certain.append(order)
            both |= order.accession in study.accessions
    return tuple(certain), "study-uid-and-accession" if both else "study-uid", frozenset(reasons)


def _by_accession(study: Study, orders: Iterable[Order]) -> _Found:
    """The accession number, which people type, counts alone only for an order without a UID and the same patient."""
    certain, reasons = [], set()
    for order in orders:
        against = {STUDY_UID_DIFFERS} if order.study_uid else set()
        same = person(study, order)
        if same is not Same.YES:
            against.add(PATIENT_DIFFERS if same is Same.NO else PATIENT_NOT_IDENTIFIED)
        reasons |= against
        if not against:
            certain.append(order)
    # Of several orders under one number those that are for another study are no contradiction.
    return tuple(certain), "accession", frozenset(reasons - {STUDY_UID_DIFFERS} if certain else reasons)


def _owner(study: Study) -> tuple[str | None, frozenset[str]]:
    """The patient that the images name, and why there may be none."""
    named = len(study.owners) + len(study.strangers)
    if named == 0:
        return None, frozenset((PATIENT_NOT_IDENTIFIED,))
    if named > 1:
        return None, frozenset((SEVERAL_PATIENTS,))
    if study.strangers:
        return None, frozenset((PATIENT_UNKNOWN,))
    return next(iter(study.owners)), frozenset()


def evidence(study: Study, order: Order) -> dict[str, float]:
    """What speaks for ``order`` as that of ``study``, and what each is worth alone (0 to 1)."""
    found = {
        "study-uid": 0.9 if order.study_uid == study.uid else 0.0,
        "accession": 0.8 if order.accession in study.accessions else 0.0,
        "patient": 0.4 if person(study, order) is Same.YES else 0.0,
        "modality": 0.2 if order.modality in study.modalities else 0.0,
        "time": _near(study.started, order.scheduled),
    }
    return {name: worth for name, worth in found.items() if worth}


def objections(study: Study, order: Order) -> tuple[str, ...]:
    """What speaks against it."""
    found = {
        STUDY_UID_DIFFERS: bool(order.study_uid) and order.study_uid != study.uid,
        ACCESSION_DIFFERS: bool(order.accession and study.accessions) and order.accession not in study.accessions,
        PATIENT_DIFFERS: person(study, order) is Same.NO,
        ORDER_CANCELLED: order.status in ENDED,
    }
    return tuple(name for name, speaks in found.items() if speaks)


def confidence(study: Study, order: Order) -> float:
    """How likely ``order`` is that of ``study`` (0 to 0.95): for people to sort by, never to decide by."""
    doubt = 1.0
    for worth in evidence(study, order).values():
        doubt *= 1 - worth
    return round(min((1 - doubt) * 0.5 ** len(objections(study, order)), 0.95), 2)


def _near(started: datetime | None, scheduled: datetime | None) -> float:
    if started is None or scheduled is None:
        return 0.0
    apart = abs(started - scheduled)
    steps = ((timedelta(hours=2), 0.5), (timedelta(days=1), 0.3), (timedelta(days=7), 0.1))
    return next((worth for most, worth in steps if apart <= most), 0.0)


#: Orders for somebody unknown are looked for so long before and after the images.
AROUND = timedelta(days=1)


def window(study: Study) -> tuple[datetime, datetime] | None:
    """Between which times an order like ``study`` may be scheduled, UTC; None when the images have no time."""
    return (study.started - AROUND, study.started + AROUND) if study.started else None
