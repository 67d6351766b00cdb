"""Tells a follower that is new of every patient and order that is known: it begins where the others are."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from services.hl7_fhir.adapters.following import Follower, OrderNow, PatientNow
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain import order, record
from services.hl7_fhir.domain.identity import patient_identity
from services.hl7_fhir.domain.record import Site
from shared.identity import SiteKey

_AT_ONCE = 500


def tell_all(connection: Connection, follower: Follower, site: Site, site_key: SiteKey) -> None:
    """Every Patient, then every ServiceRequest, as the messages left them; in the transaction of ``connection``."""
    for row in _every(connection, "Patient"):
        follower.patient_changed(connection, _patient(row, site, site_key))
    for row in _every(connection, "ServiceRequest"):
        follower.order_changed(connection, _order(row, site))


def _every(connection: Connection, kind: str) -> Iterator[Row[Any]]:
    """The resources of ``kind``, a bounded number of them in memory."""
    last = ""
    chosen = select(resources).where(resources.c.type == kind).order_by(resources.c.id).limit(_AT_ONCE)
    while rows := connection.execute(chosen.where(resources.c.id > last)).all():
        yield from rows
        last = rows[-1].id


def _patient(row: Row[Any], site: Site, site_key: SiteKey) -> PatientNow:
    """The id of a Patient is made of its identity: a sender's own issuer that is not known here makes another."""
    fields = record.values(record.load(row.record))
    identity = patient_identity(fields.get("PID-3", ()), fields.get("PID-2", ()), site.patient_issuer)
    if identity and site_key.token("patient-resource", identity.issuer, identity.value) != row.id:
        identity = None
    return PatientNow(row.id, identity, fields, json.loads(row.body), row.message_ref, row.updated)


def _order(row: Row[Any], site: Site) -> OrderNow:
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
        now=row.updated,
    )
