"""Taking in a batch: who owns its instances, what contradicts what was known, which pack what is new goes into."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select

from contracts.events import BatchStored
from contracts.formats.left_out import write_numbers
from contracts.formats.manifest import Manifest
from services.tier_routing.adapters import commitment, desk, holding, packs, settling, tables
from services.tier_routing.adapters.commitment_tables import brought
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain import identity
from services.tier_routing.domain.identity import Arrived, Claim, Known
from services.tier_routing.domain.policy import Decision


def take_in(connection: Connection, at: Desk, arrived: Arrived) -> bool:
    """Enter a batch into the ledger; False when it is there already: its recorded plan stays."""
    event, manifest = arrived.event, arrived.manifest
    if connection.execute(_batch(event.batch.batch_id)).first():
        return False
    patient = _hold_study(connection, event, manifest)
    accessions = identity.accession_tokens(manifest)
    arrival = identity.arrival_of(manifest, event.closed, priorities(connection, event.study_ref, accessions))
    decision = at.policy.decide(arrival)
    number = _enter(connection, arrived, decision, desk.arrival_text(arrival, accessions))
    claims = identity.claims_of(manifest.instances)
    entries = identity.entries_of(manifest)
    known = _claim(connection, number, claims, entries, _known_series(connection, event.study_ref, manifest), patient)
    _tell_conflicts(connection, at, arrived, known)
    row = connection.execute(_batch(event.batch.batch_id)).one()
    _put(connection, at, row, decision, entries, len(manifest.instances), arrived.now)
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


def _put(
    connection: Connection,
    at: Desk,
    batch: Row[Any],
    decision: Decision,
    entries: Mapping[bytes, int],
    instances: int,
    now: datetime,
) -> None:
    """Put what is new of a batch into a pack; ``entries`` are those that its own others do not repeat."""
    again = holding.brought_again(connection, batch.number)
    standing = holding.standing(connection, batch, {each.keeper for each in again}, decision)
    held = [each for each in again if each.keeper in standing]
    stored = set(entries.values()) - {each.entry for each in held}
    if stored:
        left_out = write_numbers(number for number in range(1, instances + 1) if number not in stored)
        packs.put(connection, at, batch, decision, now, left_out)
    holding.keep(connection, batch.number, [each for each in again if each.keeper not in standing])
    holding.rely(connection, batch.number, {each.keeper for each in held})
    if not stored:
        settling.tell_batches(connection, at, [batch], now)


def _hold_study(connection: Connection, event: BatchStored, manifest: Manifest) -> str | None:
    """Hold the study, so that two of its batches are taken in one after the other; its patient token."""
    held = desk.hold_study(connection, event.study_ref, event.study_uid)
    token = next(iter(identity.patient_tokens(manifest)), None) if event.study_uid else None
    patient: str | None = held.patient_token
    if patient is None and token is not None:
        mine = tables.studies.c.study_ref == event.study_ref
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
    connection: Connection,
    number: int,
    claims: Sequence[Claim],
    entries: Mapping[bytes, int],
    series: dict[bytes, str],
    patient: str | None,
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
    again = [
        {"identity": row.identity, "batch": number, "entry": entries[row.identity], "stored": False} for row in owned
    ]
    desk.insert_new(connection, brought, again)
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
