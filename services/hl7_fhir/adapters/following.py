"""Who else changes something when a patient or an order has changed, in the same transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from services.hl7_fhir.domain.clinical.record import Fields
from services.hl7_fhir.domain.mapping.identity import Identity


@dataclass(frozen=True)
class PatientNow:
    """A patient as a message left it; ``fields`` are the present values by names such as ``PID-5``."""

    id: str
    identity: Identity | None = field(repr=False)
    fields: Fields = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    message_ref: str
    now: datetime


@dataclass(frozen=True)
class OrderNow:
    """An order as a message left it; ``fields`` are the present values by names such as ``OBR-4``.

    ``status`` is that of the ServiceRequest, ``patient`` the id of its Patient.
    """

    id: str
    patient: str
    status: str
    placer: Identity | None = field(repr=False)
    filler: Identity | None = field(repr=False)
    accession: Identity | None = field(repr=False)
    study_uid: str | None
    fields: Fields = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    message_ref: str
    now: datetime
    #: The present values of its Patient, where who tells has them.
    patient_fields: Fields | None = field(default=None, repr=False)


class Follower(Protocol):
    """Hears of every patient and order that a message changed, within the transaction that changes them."""

    def patient_changed(self, connection: Connection, patient: PatientNow) -> None:
        """The patient has a new version."""

    def patients_merged(self, connection: Connection, survivor: PatientNow, merged: str) -> None:
        """The patient with the id ``merged`` is another record of ``survivor`` (A40, A34, A47 and their like)."""

    def order_changed(self, connection: Connection, order: OrderNow) -> None:
        """The order has a new version."""
