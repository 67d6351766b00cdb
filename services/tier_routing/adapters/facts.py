"""What is heard of packs and copies: stored first, whatever its order, then looked at together with the rest."""

from dataclasses import asdict
from datetime import datetime
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Row, select

from contracts.events import (
    AssociationEnded,
    CopyDamaged,
    CopyFailed,
    CopyVerified,
    InstancesQuarantined,
    OrderCancelled,
    PackDeidentified,
    PackSealed,
)
from contracts.events.clinical import Order
from services.tier_routing.adapters import desk, settling, tables, views
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain.given_up import GivenUp
from services.tier_routing.domain.observed import CopyEvent, observe


def hear_copy(connection: Connection, at: Desk, event: CopyEvent, event_id: str, told: datetime) -> None:
    """Fold an event about a copy into what is known of it."""
    key = event.copy_key
    pack = views.pack_of(connection, key.pack_id)
    _seal(connection, key.pack_id, key.key_domain, key.sealed_id)
    views.save(connection, observe(views.observed(connection, key), event, told))
    _remember(connection, event, event_id, told, pack)
    if pack:
        settling.settle(connection, at, pack, told)


def hear_deidentified(connection: Connection, at: Desk, event: PackDeidentified, told: datetime) -> None:
    """Note which pack fulfils the de-identified part of a plan; of two for one project the later told one counts.

    A further part does not replace the first.
    """
    values = {
        "pack_id": event.pack_id,
        "source_pack_id": event.source_pack_id,
        "project": event.project,
        "told": told,
        "part": event.part,
    }
    desk.upsert(connection, tables.deidentified, values)
    _settle(connection, at, event.source_pack_id, told)


def hear_quarantined(connection: Connection, at: Desk, event: InstancesQuarantined, told: datetime) -> None:
    """Note how much of a pack was withheld; the latest word counts."""
    values = {
        "pack_id": event.pack_id,
        "project": event.project,
        "withheld": len(event.withheld),
        "released": event.released,
        "told": told,
    }
    desk.upsert(connection, tables.quarantines, values, where=tables.quarantines.c.told <= told)
    _settle(connection, at, event.pack_id, told)


def hear_sealed(connection: Connection, at: Desk, event: PackSealed, told: datetime) -> None:
    """Note what a pack is called when sealed, so that its buffer can be released even without a copy."""
    _seal(connection, event.sealed.pack_id, event.sealed.key_domain, event.sealed.sealed_id)
    _settle(connection, at, event.sealed.pack_id, told)


def hear_order(connection: Connection, at: Desk, event: Order, told: datetime) -> None:
    """Note the priority of an order, or that a cancelled one has none any more; the latest word counts."""
    values = {
        "order_ref": event.order_ref,
        "accession_token": event.accession_token,
        "study_ref": at.site_key.study_ref(event.study_uid) if event.study_uid else None,
        "priority": None if isinstance(event, OrderCancelled) else event.priority,
        "told": told,
    }
    desk.upsert(connection, tables.orders, values, where=tables.orders.c.told <= told)


def hear_association(connection: Connection, at: Desk, event: AssociationEnded, told: datetime) -> None:
    """Note the batches of an association that are not here yet: one that never comes is overdue."""
    here = select(tables.batches.c.batch_id).where(tables.batches.c.batch_id.in_(event.batches))
    known = set(connection.execute(here).scalars())
    only = event.study_refs[0] if len(event.study_refs) == 1 else None
    rows = [
        {"batch_id": batch_id, "study_ref": study_ref, "ended": event.ended, "told": False}
        for batch_id, study_ref in zip_longest(event.batches, event.batch_study_refs, fillvalue=only)
        if batch_id not in known
    ]
    desk.insert_new(connection, tables.announced, rows)


def hear_dead_letter(connection: Connection, letter: GivenUp) -> None:
    """Note a dead letter, with the batch or the pack that it is about."""
    desk.insert_new(connection, tables.dead_letters, [asdict(letter)])


def _settle(connection: Connection, at: Desk, pack_id: str, now: datetime) -> None:
    pack = views.pack_of(connection, pack_id)
    if pack:
        settling.settle(connection, at, pack, now)


def _seal(connection: Connection, pack_id: str, key_domain: str, sealed_id: str) -> None:
    values = {"pack_id": pack_id, "key_domain": key_domain, "sealed_id": sealed_id}
    desk.insert_new(connection, tables.seals, [values])


def _remember(connection: Connection, event: CopyEvent, event_id: str, told: datetime, pack: Row[Any] | None) -> None:
    """Keep the event for good: a copy that was damaged after it was archived stays on record."""
    key = event.copy_key
    values = {
        "event_id": event_id,
        "pack_id": key.pack_id,
        "sealed_id": key.sealed_id,
        "target": key.target,
        "generation": key.generation,
        "fact": event.subject.split(".")[2],
        "detail": _detail(event),
        "told": told,
        "after_archived": bool(pack and views.is_archived(connection, pack)),
    }
    desk.insert_new(connection, tables.history, [values])


def _detail(event: CopyEvent) -> str | None:
    if isinstance(event, CopyDamaged | CopyFailed):
        return event.reason
    return event.level if isinstance(event, CopyVerified) else None
