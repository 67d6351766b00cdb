"""Taking in a batch: who owns its instances, what contradicts what was known, which pack it goes into."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select

from contracts.events import BatchStored
from contracts.formats.manifest import Manifest
from services.tier_routing.adapters import commitment, desk, packs, settling, tables
from services.tier_routing.adapters.commitment_tables import brought
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain import identity
from services.tier_routing.domain.identity import Arrived, Claim, Known
from services.tier_routing.domain.policy import Decision, covers


def take_in(connection: Connection, at: Desk, arrived: Arrived) -> bool:
    """Enter a batch into the ledger; False when it is there already: its recorded plan stays."""
    event, manifest = arrived.event, arrived.manifest
    if connection.execute(_batch(event.batch.batch_id)).first():
        return False
    patient = _lock_study(connection, event, manifest)
    accessions = identity.accession_tokens(manifest)
    arrival = identity.arrival_of(manifest, event.closed, priorities(connection, event.study_ref, accessions))
    decision = at.policy.decide(arrival)
    number = _enter(connection, arrived, decision, desk.arrival_text(arrival, accessions))
    claims = identity.claims_of(manifest.instances)
    known = _claim(connection, number, claims, _known_series(connection, event.study_ref, manifest), patient)
    _tell_conflicts(connection, at, arrived, known)
    row = connection.execute(_batch(event.batch.batch_id)).one()
    owners = _owners(connection, known) if identity.is_duplicate(claims, known) else ()
    if owners and _covered(connection, owners, decision):
        _mark_duplicate(connection, at, row, owners, arrived.now)
    else:
        packs.put(connection, at, row, decision, arrived.now)
    connection.execute(delete(tables.announced).where(tables.announced.c.batch_id == event.batch.batch_id))
    commitment.arrived(connection, (each.name for each in claims), arrived.now)
    return True


def priorities(connection: Connection, study_ref: str, accessions: Sequence[str]) -> tuple[str, ...]:
    """The priorities of the orders for this study, by its UID or its accession tokens."""
    table = tables.orders
    mine = or_(table.c.study_ref == study_ref, table.c.accession_token.in_(accessions))
    found = select(table.c.priority).where(mine, table.c.priority.is_not(None)).distinct()
    return tuple(connection.execute(found).scalars())


def _batch(batch_id: str) -> Any:
    return select(tables.batches).where(tables.batches.c.batch_id == batch_id)


def _lock_study(connection: Connection, event: BatchStored, manifest: Manifest) -> str | None:
    """Hold the study's row, so that two of its batches are taken in one after the other; its patient token."""
    token = next(iter(identity.patient_tokens(manifest)), None) if event.study_uid else None
    desk.insert_new(connection, tables.studies, [{"study_ref": event.study_ref, "patient_token": None}])
    mine = tables.studies.c.study_ref == event.study_ref
    patient: str | None = connection.execute(
        desk.locked(select(tables.studies.c.patient_token).where(mine))
    ).scalar_one()
    if patient is None and token is not None:
        connection.execute(tables.studies.update().where(mine).values(patient_token=token))
    return patient


def _enter(connection: Connection, arrived: Arrived, decision: Decision, arrival: str) -> int:
    event = arrived.event
    row = {
        "batch_id": event.batch.batch_id,
        "study_ref": event.study_ref,
        "study_uid": event.study_uid,
        "batch": event.batch.model_dump_json(),
        "arrival": arrival,
        "commit_after": json.dumps(decision.commit_after),
        "stored": arrived.now,
        "traceparent": arrived.traceparent,
    }
    inserted = connection.execute(tables.batches.insert().values(row).returning(tables.batches.c.number))
    return int(inserted.scalar_one())


def _claim(
    connection: Connection, number: int, claims: Sequence[Claim], series: dict[bytes, str], patient: str | None
) -> Known:
    """Claim what nobody has claimed, and tell what was known of the rest and of the names."""
    table = tables.claims
    rows = [
        {"identity": each.identity, "name": each.name, "batch": number, "sop_class": each.sop_class} for each in claims
    ]
    desk.insert_new(connection, table, rows)
    identities, names = [each.identity for each in claims], [each.name for each in claims]
    held = table.join(tables.batches, tables.batches.c.number == table.c.batch)
    others = select(table.c.identity, table.c.name, tables.batches.c.batch_id).select_from(held)
    foreign = others.where(table.c.batch != number).order_by(table.c.batch.desc())
    owned = connection.execute(foreign.where(table.c.identity.in_(identities))).all()
    desk.insert_new(connection, brought, [{"identity": row.identity, "batch": number} for row in owned])
    versions = connection.execute(foreign.where(table.c.name.in_(names), table.c.identity.not_in(identities))).all()
    return Known(
        owners={row.identity: row.batch_id for row in owned},
        versions={row.name: row.batch_id for row in (*versions, *owned)},
        patient=patient,
        series=series,
    )


def _known_series(connection: Connection, study_ref: str, manifest: Manifest) -> dict[bytes, str]:
    """The study of each series of a batch, as first seen."""
    if manifest.study_uid is None:
        return {}
    hashes = sorted({identity.uid_hash(each.series_uid) for each in manifest.instances if each.series_uid})
    table = tables.series
    desk.insert_new(connection, table, [{"series": each, "study_ref": study_ref} for each in hashes])
    return {row.series: row.study_ref for row in connection.execute(select(table).where(table.c.series.in_(hashes)))}


def _tell_conflicts(connection: Connection, at: Desk, arrived: Arrived, known: Known) -> None:
    event = arrived.event
    for conflict in identity.conflicts(arrived.manifest, event.study_ref, known):
        told = identity.conflicted(conflict, event.batch.batch_id, event.study_ref, at.site_key)
        at.tell(connection, told, told.conflict_id)


def _owners(connection: Connection, known: Known) -> Sequence[Row[Any]]:
    """The batches that own a duplicate's instances."""
    mine = tables.batches.c.batch_id.in_(sorted(set(known.owners.values())))
    return connection.execute(select(tables.batches).where(mine).order_by(tables.batches.c.number)).all()


def _covered(connection: Connection, owners: Iterable[Row[Any]], decision: Decision) -> bool:
    """Whether the plan of every owner has all the copies that this batch would get."""
    return all(
        owner.pack is not None and covers(packs.planned_copies(connection, owner.pack), decision.copies)
        for owner in owners
    )


def _mark_duplicate(connection: Connection, at: Desk, row: Row[Any], owners: Iterable[Row[Any]], now: datetime) -> None:
    rows = [{"duplicate": row.number, "owner": owner.number} for owner in owners]
    desk.insert_new(connection, tables.owners, rows)
    settling.settle_duplicate(connection, at, row, now)
