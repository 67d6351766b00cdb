"""Taking in a batch: who owns its instances, what contradicts what was known, which pack what is new goes into."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select

from contracts.events import BatchStored
from contracts.formats.left_out import write_numbers
from contracts.formats.manifest import Manifest
from services.tier_routing.adapters import commitment, desk, packs, settling, tables
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
    patient = _lock_study(connection, event, manifest)
    accessions = identity.accession_tokens(manifest)
    arrival = identity.arrival_of(manifest, event.closed, priorities(connection, event.study_ref, accessions))
    decision = at.policy.decide(arrival)
    number = _enter(connection, arrived, decision, desk.arrival_text(arrival, accessions))
    claims = identity.claims_of(manifest.instances)
    known = _claim(connection, number, claims, _known_series(connection, event.study_ref, manifest), patient)
    _tell_conflicts(connection, at, arrived, known)
    row = connection.execute(_batch(event.batch.batch_id)).one()
    owners = [each for each in _owners(connection, known) if settling.covers_all(connection, [each.number], decision)]
    numbers, needed = identity.left_out(manifest, known, {each.batch_id for each in owners})
    is_new = len(numbers) < len(manifest.instances)
    if is_new:
        packs.put(connection, at, row, decision, arrived.now, write_numbers(numbers))
    _store_again(connection, number, manifest, numbers)
    _rely_on(connection, number, [each.number for each in owners if each.batch_id in needed])
    if not is_new:
        settling.settle_apart(connection, at, row, arrived.now)
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
    again = [{"identity": row.identity, "batch": number, "stored": False} for row in owned]
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


def _owners(connection: Connection, known: Known) -> Sequence[Row[Any]]:
    """The batches that own some of a batch's instances."""
    mine = tables.batches.c.batch_id.in_(sorted(set(known.owners.values())))
    return connection.execute(select(tables.batches).where(mine).order_by(tables.batches.c.number)).all()


def _store_again(connection: Connection, number: int, manifest: Manifest, left_out: frozenset[int]) -> None:
    """Note what another batch owns and this one's pack holds as well."""
    stored = [
        identity.claim_of(each).identity
        for entry, each in enumerate(manifest.instances, start=1)
        if entry not in left_out
    ]
    mine = (brought.c.batch == number, brought.c.identity.in_(stored))
    connection.execute(brought.update().where(*mine).values(stored=True))


def _rely_on(connection: Connection, number: int, owners: Iterable[int]) -> None:
    """Note which batches hold what this one brought again, but those in its own pack: they share its fate anyway."""
    mine = set(packs.of_batches(connection, [number]))
    rows = [
        {"duplicate": number, "owner": owner} for owner in owners if set(packs.of_batches(connection, [owner])) != mine
    ]
    desk.insert_new(connection, tables.owners, rows)
