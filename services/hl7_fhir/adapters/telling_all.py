"""Tells a follower that is new of every patient and order that was here before it: it begins where the others are.

That goes on beside everything else, a few in each transaction, and rests for as long as it worked: whoever waits for an
answer goes first. What was told is found in what the follower keeps, so that the next start goes on where this one
ended.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, select

from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.following import OrderNow, PatientNow
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.clinical import order, record
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.mapping.identity import patient_identity
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.observability import logger
from shared.sql import Database

#: As many as messages are mapped in one transaction: it holds up all others who write.
_AT_ONCE = 16
_PAUSE = 1.0

T = TypeVar("T")

log = logger("causeway.studies")


class Newcomer(Protocol):
    """A follower that has yet to hear of some."""

    def strangers(self) -> Mapping[str, ColumnElement[bool]]:
        """Of Patients and of ServiceRequests, those that it does not know."""

    def patient_found(self, connection: Connection, patient: PatientNow) -> None:
        """A patient that was here, of whom orders and studies may be known already."""

    def order_changed(self, connection: Connection, order: OrderNow) -> None:
        """An order that was here, or is here by now."""


class TellingAll:
    """Every Patient, then every ServiceRequest that messages made, as they are at the moment of telling."""

    def __init__(self, database: Database, newcomer: Newcomer, site: Site, site_key: SiteKey) -> None:
        self._database = database
        self._newcomer = newcomer
        self._site = site
        self._site_key = site_key

    async def run(self, at_once: int = _AT_ONCE) -> None:
        """Tell until none is left: a Task."""
        for kind, unknown in self._newcomer.strangers().items():
            # A client's own resources have no record: followers never hear of them.
            wanted = select(resources.c.id).where(resources.c.type == kind, resources.c.record != "{}", unknown)
            wanted, last = wanted.order_by(resources.c.id).limit(at_once), ""
            while ids := await self._strangers(wanted.where(resources.c.id > last)):
                began = time.monotonic()
                await self._tell(kind, ids)
                last = ids[-1]
                await asyncio.sleep(time.monotonic() - began)

    async def _strangers(self, wanted: Any) -> Sequence[str]:
        return await _patiently(lambda: self._database.read(lambda c: c.execute(wanted).scalars().all()))

    async def _tell(self, kind: str, ids: Sequence[str]) -> None:
        """Tell of ``ids`` in one transaction; where one of them cannot be told of, of each for itself."""
        try:
            await _patiently(lambda: self._database.run(lambda connection: self._told(connection, kind, ids)))
        except Exception as error:  # whatever it is, it must not end the service at every start
            if len(ids) == 1:
                log.error("resource-not-told", resource=kind.lower(), ref=ids[0], error=type(error).__name__)
                return
            for each in ids:
                await self._tell(kind, (each,))

    def _told(self, connection: Connection, kind: str, ids: Sequence[str]) -> None:
        lock_feed(connection)
        now = datetime.now(UTC).replace(microsecond=0)
        chosen = select(resources).where(resources.c.type == kind, resources.c.id.in_(ids)).order_by(resources.c.id)
        for row in connection.execute(chosen).all():
            if kind == "Patient":
                self._newcomer.patient_found(connection, _patient(row, self._site, self._site_key, now))
            else:
                self._newcomer.order_changed(connection, _order(row, self._site, now))


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await work()
        except RetryLater:
            await asyncio.sleep(_PAUSE)


def _patient(row: Row[Any], site: Site, site_key: SiteKey, now: datetime) -> PatientNow:
    """The id of a Patient is made of its identity: a sender's own issuer that is not known here makes another."""
    fields = record.values(record.load(row.record))
    identity = patient_identity(fields.get("PID-3", ()), fields.get("PID-2", ()), site.patient_issuer)
    if identity and site_key.token("patient-resource", identity.issuer, identity.value) != row.id:
        identity = None
    return PatientNow(row.id, identity, fields, json.loads(row.body), row.message_ref, now)


def _order(row: Row[Any], site: Site, now: datetime) -> OrderNow:
    fields, body = record.values(record.load(row.record)), json.loads(row.body)
    return OrderNow(
        id=row.id,
        patient=row.patient,
        status=body["status"],
        placer=order.number(fields, order.PLACER, site),
        filler=order.number(fields, order.FILLER, site),
        accession=order.accession_of(fields, site),
        study_uid=order.study_uid(fields),
        fields=fields,
        body=body,
        message_ref=row.message_ref,
        now=now,
    )
