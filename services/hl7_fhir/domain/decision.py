"""What a message does: to which patient and which orders, and since when it was so."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from services.hl7_fhir.domain import datatypes, patient
from services.hl7_fhir.domain.checking import check
from services.hl7_fhir.domain.identity import Identity, patient_identity
from services.hl7_fhir.domain.message import Message, read
from services.hl7_fhir.domain.order import OrderSaid, orders_of
from services.hl7_fhir.domain.record import Fields, Site, fields_of
from shared.identity import SiteKey

#: A sender's clock may run ahead by this much; a later time would shut out every later message.
CLOCK_TOLERANCE = timedelta(hours=1)


class Occasion(Enum):
    """Why a message speaks of a patient."""

    REGISTRATION = "registration"
    UPDATE = "update"
    ORDER = "order"


@dataclass(frozen=True)
class PatientSaid:
    """What a message says of its patient. ``identity`` is None when nothing may match."""

    resource_id: str
    identity: Identity | None = field(repr=False)
    fields: Fields = field(repr=False)


@dataclass(frozen=True)
class Decision:
    """What to do with a readable message; nothing but keeping it when ``occasion`` is None (trigger not mapped)."""

    occasion: Occasion | None
    said: datetime
    patient: PatientSaid | None = None
    orders: tuple[OrderSaid, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """Reads messages as this site does; ``codec`` is that of messages whose MSH-18 is empty."""

    site: Site
    site_key: SiteKey
    codec: str = "utf-8"

    def decide(self, content: bytes, message_ref: str, received: datetime) -> Decision:
        """What ``content`` does; a Refused when it cannot be taken."""
        message = read(content, self.codec)
        check(message)
        decide = TRIGGERS.get((message.type, message.trigger))
        if decide is None:
            return Decision(None, received)
        said, flags = self._said(message, received)
        occasion, orders = decide(message, self.site)
        return Decision(occasion, said, self._patient(message, message_ref), orders, flags)

    def _said(self, message: Message, received: datetime) -> tuple[datetime, tuple[str, ...]]:
        """EVN-2, else MSH-7, else the time of receipt, which also replaces what lies in the future."""
        event = message.one("EVN")
        for sent in (event.text(2) if event else "", message.header.text(7)):
            when = datatypes.moment(sent, self.site.zone)
            if when is not None and when <= received + CLOCK_TOLERANCE:
                return when, ()
            if when is not None:
                return received, ("time-in-the-future",)
        return received, ("time-missing",)

    def _patient(self, message: Message, message_ref: str) -> PatientSaid:
        segment = message.required("PID")
        identity = patient_identity(segment.field(3), segment.field(2), self.site.patient_issuer)
        named = (identity.issuer, identity.value) if identity else ("", "", message_ref)
        return PatientSaid(
            resource_id=self.site_key.token("patient-resource", *named),
            identity=identity,
            fields=fields_of([segment], patient.wanted(self.site)),
        )


def _registration(_: Message, __: Site) -> tuple[Occasion, tuple[OrderSaid, ...]]:
    return Occasion.REGISTRATION, ()


def _update(_: Message, __: Site) -> tuple[Occasion, tuple[OrderSaid, ...]]:
    return Occasion.UPDATE, ()


def _order(message: Message, site: Site) -> tuple[Occasion, tuple[OrderSaid, ...]]:
    return Occasion.ORDER, orders_of(message, site)


#: The triggers that are mapped, by MSH-9; every other one is kept and acknowledged.
TRIGGERS: dict[tuple[str, str], Callable[[Message, Site], tuple[Occasion, tuple[OrderSaid, ...]]]] = {
    ("ADT", "A01"): _registration,
    ("ADT", "A04"): _registration,
    ("ADT", "A08"): _update,
    ("ORM", "O01"): _order,
    ("OMI", "O23"): _order,
}
