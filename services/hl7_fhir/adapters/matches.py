"""The work list in SQL: studies that nothing ties for certain, what may be meant, and what people decided."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from services.hl7_fhir.adapters import study_keys
from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.resources import load
from services.hl7_fhir.adapters.studies import Studies
from services.hl7_fhir.adapters.study_decisions import decided_of, write_down
from services.hl7_fhir.adapters.study_tables import studies, study_decisions, study_orders
from services.hl7_fhir.domain.studies.deciding import Verdict, VerdictRefused
from services.hl7_fhir.domain.studies.matching import (
    ENDED,
    Order,
    Study,
    as_decided,
    confidence,
    evidence,
    objections,
    window,
)
from shared.identity import SiteKey
from shared.sql import Database

_KINDS = {"order": "ServiceRequest", "patient": "Patient"}


class SqlMatches:
    """The work list of a database: each call is one transaction."""

    def __init__(self, database: Database, studies_: Studies, site_key: SiteKey) -> None:
        self._database = database
        self._studies = studies_
        self._site_key = site_key

    async def listed(self, reason: str | None, limit: int, offset: int) -> tuple[int, list[dict[str, Any]]]:
        """How many wait (for ``reason``), and some of them, those that wait longest first."""
        return await self._database.read(lambda connection: _listed(connection, reason, limit, offset))

    async def shown(self, study: str) -> dict[str, Any] | None:
        """One study with its candidates, likeliest first, and the journal of its decisions."""
        return await self._database.read(lambda connection: _shown(connection, study))

    async def decide(self, study: str, verdict: Verdict, who: str, now: datetime) -> dict[str, Any] | None:
        """Write the decision down and tie the study by it; the same decision twice is one."""
        return await self._database.run(lambda connection: self._decide(connection, study, verdict, who, now))

    def _decide(
        self, connection: Connection, study: str, verdict: Verdict, who: str, now: datetime
    ) -> dict[str, Any] | None:
        lock_feed(connection)
        row = connection.execute(select(studies).where(studies.c.id == study)).one_or_none()
        if row is None:
            return None
        kind = _KINDS.get(verdict.kind)
        if kind and load(connection, kind, verdict.target) is None:
            raise VerdictRefused(f"{verdict.kind}-unknown")
        target = row.reasons if verdict.kind == "dismiss" else verdict.target
        journal = _decisions(connection, study)
        if not journal or (journal[-1]["kind"], journal[-1]["target"]) != (verdict.kind, target):
            write_down(connection, study, verdict.kind, target, who, now)
            ref = self._site_key.token("study-decision", study, len(journal) + 1)
            self._studies.tie(connection, study, ref, now)
        return _shown(connection, study)


def _listed(connection: Connection, reason: str | None, limit: int, offset: int) -> tuple[int, list[dict[str, Any]]]:
    wanted: list[ColumnElement[bool]] = [studies.c.waiting.is_(True)]
    if reason:
        wanted.append(studies.c.reasons.contains(reason, autoescape=True))
    total = connection.execute(select(func.count()).select_from(studies).where(*wanted)).scalar_one()
    rows = select(studies).where(*wanted).order_by(studies.c.since, studies.c.id).limit(limit).offset(offset)
    return total, [_row(row) for row in connection.execute(rows)]


def _row(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "study_uid": row.study_uid,
        "reasons": row.reasons.split(),
        "since": _text(row.since),
        "patient": row.patient,
        "modalities": row.modalities.split(),
        "instances": row.instances,
    }


def _shown(connection: Connection, study_id: str) -> dict[str, Any] | None:
    row = connection.execute(select(studies).where(studies.c.id == study_id)).one_or_none()
    if row is None:
        return None
    study = as_decided(study_keys.study_of(connection, row), decided_of(connection, study_id))
    tied = select(study_orders.c.order_id).where(study_orders.c.study == study_id).order_by(study_orders.c.order_id)
    return {
        **_row(row),
        "started": _text(study.started),
        "basis": row.basis,
        "orders": list(connection.execute(tied).scalars()),
        "candidates": _candidates(connection, study),
        "decisions": _decisions(connection, study_id),
    }


def _candidates(connection: Connection, study: Study) -> list[dict[str, Any]]:
    """Orders that the images name, whatever their state; and those that are like them and still to be done."""
    alike = [one for one in study_keys.orders_alike(connection, study, window(study)) if one.status not in ENDED]
    found = {order.id: order for order in (*alike, *study_keys.orders_named(connection, study))}
    shown = [_candidate(study, order, load(connection, "ServiceRequest", order.id)) for order in found.values()]
    return sorted(shown, key=lambda one: (-one["confidence"], one["order"]))


def _candidate(study: Study, order: Order, known: Any) -> dict[str, Any]:
    body: Mapping[str, Any] = known.body if known else {}
    return {
        "order": order.id,
        "confidence": confidence(study, order),
        "for": sorted(evidence(study, order)),
        "against": list(objections(study, order)),
        "patient": order.patient,
        "status": order.status,
        "modality": order.modality,
        "scheduled": _text(order.scheduled),
        "procedure": _procedure(body.get("code", {})),
    }


def _procedure(code: Mapping[str, Any]) -> str | None:
    named = [code.get("text"), *(coding.get("display") or coding.get("code") for coding in code.get("coding", ()))]
    return next((name for name in named if name), None)


def _decisions(connection: Connection, study_id: str) -> list[dict[str, Any]]:
    rows = select(study_decisions).where(study_decisions.c.study == study_id).order_by(study_decisions.c.number)
    return [
        {"kind": row.kind, "target": row.target, "who": row.who, "decided": _text(row.decided)}
        for row in connection.execute(rows)
    ]


def _text(moment: datetime | None) -> str | None:
    told = study_keys.utc(moment)
    return told.isoformat() if told else None
