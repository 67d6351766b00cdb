"""What an operator may ask of the ledger."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, func, or_, select

from contracts.events import PlannedCopy, Waiting
from services.tier_routing.adapters import packs, settling, sweeping, tables, views
from services.tier_routing.domain.ledger import PackView, evaluate, is_settled, proof
from services.tier_routing.domain.observed import Observed
from services.tier_routing.domain.overdue import is_overdue
from services.tier_routing.domain.policy import OverdueLimits, demand

Document = dict[str, Any]


#: More packs than this are not listed at once; what is counted is all of them.
MOST_LISTED = 1000


def overdue(connection: Connection, limits: OverdueLimits, now: datetime) -> list[Document]:
    """The batches that are later than policy allows, longest first."""
    late = [
        *_late_packs(connection, limits, now),
        *_late_open(connection, limits, now),
        *_lost(connection, limits, now),
    ]
    return sorted(late, key=lambda each: (each["since"], each["batch_id"]))


def _late_packs(connection: Connection, limits: OverdueLimits, now: datetime) -> Iterable[Document]:
    table = tables.packs
    late = (table.c.waiting_since <= now - min(limits.secured, limits.archived), table.c.planned.is_not(None))
    found = select(table).where(*late).order_by(table.c.waiting_since).limit(MOST_LISTED)
    away = views.away(connection, connection.execute(select(tables.copies.c.target).distinct()).scalars())
    for pack in connection.execute(found).all():
        verdict = evaluate(views.view_of(connection, pack))
        if not verdict.due or not is_overdue(sweeping.standing_of(pack, verdict), limits, now):
            continue
        about = {
            "waiting_for": _waits(verdict.waiting),
            "since": pack.waiting_since.isoformat(),
            "run": pack.run,
            "failures": verdict.failures,
            "unreachable": sorted(away & {copy.target for copy in verdict.due}),
        }
        for batch in settling.waiting_batches(connection, pack.number):
            yield _named(batch) | about | {"dead_letters": _dead_letters(connection, batch.batch_id, pack.pack_id)}


def _late_open(connection: Connection, limits: OverdueLimits, now: datetime) -> Iterable[Document]:
    """Batches of packs that nobody closed."""
    late = (tables.packs.c.open_group.is_not(None), tables.batches.c.stored <= now - limits.secured)
    for batch in connection.execute(select(tables.batches).select_from(_with_packs()).where(*late).distinct()):
        yield (
            _named(batch)
            | _unplanned("pack.planned", batch.stored)
            | {"dead_letters": _dead_letters(connection, batch.batch_id, None)}
        )


def _lost(connection: Connection, limits: OverdueLimits, now: datetime) -> Iterable[Document]:
    """Batches that were announced, or became a dead letter, and are not here."""
    table, letters = tables.announced, tables.dead_letters
    for row in connection.execute(select(table).where(table.c.ended <= now - limits.secured)):
        named = {"batch_id": row.batch_id, "study_ref": row.study_ref or "", "study_uid": None}
        yield (
            named
            | _unplanned("batch.stored", row.ended)
            | {"dead_letters": _dead_letters(connection, row.batch_id, None)}
        )
    here = select(tables.batches.c.batch_id)
    unknown = select(letters.c.batch_id, func.min(letters.c.told).label("told")).where(
        letters.c.batch_id.is_not(None),
        letters.c.batch_id.not_in(here),
        letters.c.batch_id.not_in(select(table.c.batch_id)),
    )
    for row in connection.execute(unknown.group_by(letters.c.batch_id)):
        named = {"batch_id": row.batch_id, "study_ref": "", "study_uid": None}
        yield (
            named
            | _unplanned("pack.planned", row.told)
            | {"dead_letters": _dead_letters(connection, row.batch_id, None)}
        )


def _named(batch: Row[Any]) -> Document:
    return {"batch_id": batch.batch_id, "study_ref": batch.study_ref, "study_uid": batch.study_uid}


def _unplanned(step: str, since: datetime) -> Document:
    waits = [{"step": step, "target": None}]
    return {"waiting_for": waits, "since": since.isoformat(), "run": 0, "failures": {}, "unreachable": []}


def _waits(waiting: Iterable[Waiting]) -> list[Document]:
    return [each.model_dump() for each in waiting]


def _dead_letters(connection: Connection, batch_id: str, pack_id: str | None) -> list[Document]:
    table = tables.dead_letters
    about = [table.c.batch_id == batch_id, *([table.c.pack_id == pack_id] if pack_id else [])]
    rows = connection.execute(select(table).where(or_(*about)).order_by(table.c.number))
    return [
        {"number": row.number, "service": row.service, "subject": row.subject, "reason": row.reason} for row in rows
    ]


def ledger(connection: Connection, batch_id: str | None, study_ref: str | None) -> list[Document]:
    """The packs of a batch or a study, with every copy's state and history; nothing for one that is unknown."""
    return [_pack(connection, number) for number in settling.of_batch(connection, batch_id, study_ref)]


def _pack(connection: Connection, number: int) -> Document:
    pack = connection.execute(select(tables.packs).where(tables.packs.c.number == number)).one()
    own = {batch.number: batch.left_out for batch in packs.members(connection, number)}
    document = {
        "pack_id": pack.pack_id,
        "plan_id": pack.plan_id,
        "study_ref": pack.study_ref,
        "rule": pack.rule,
        "policy": pack.policy,
        "run": pack.run,
        "size": pack.size,
        "instances": pack.instances,
        "batches": [_batch(batch, own) for batch in settling.waiting_batches(connection, number)],
    }
    if pack.pack_id is None:
        return document | {"state": "open", "copies": [], "history": []}
    view = views.view_of(connection, pack)
    verdict = evaluate(view)
    return document | {
        "state": "archived" if verdict.archived else "secured" if verdict.secured else "planned",
        "waiting_for": _waits(verdict.waiting),
        "withheld": verdict.withheld,
        "copies": _copies(view),
        "history": _history(connection, verdict.pack_ids),
    }


def _batch(batch: Row[Any], own: Mapping[int, str]) -> Document:
    """A batch that is in a pack, but for what is ``left_out``, or that only relies on it."""
    return {
        "batch_id": batch.batch_id,
        "stored": batch.stored.isoformat(),
        "duplicate": batch.number not in own,
        "left_out": own.get(batch.number, ""),
        "secured": batch.secured and batch.secured.isoformat(),
        "archived": batch.archived and batch.archived.isoformat(),
    }


def _copies(view: PackView) -> list[Document]:
    return [
        {
            **demand(each.copy),
            "state": _state(view, each.copy) if each.state == "wanted" else each.state,
            "proven": _proof_document(proof(view, each.copy)),
        }
        for each in view.wanted
    ]


def _state(view: PackView, copy: PlannedCopy) -> str:
    if not is_settled(view, copy):
        return "waiting"
    return "proven" if proof(view, copy) else "withheld"


def _proof_document(one: Observed | None) -> Document | None:
    if one is None or one.proven is None:
        return None
    return {
        "sealed_id": one.key.sealed_id,
        "generation": one.key.generation,
        "level": one.level,
        "at": one.proven.isoformat(),
    }


def _history(connection: Connection, pack_ids: Iterable[str]) -> list[Document]:
    table = tables.history
    rows = connection.execute(select(table).where(table.c.pack_id.in_(list(pack_ids))).order_by(table.c.told))
    return [
        {
            "fact": row.fact,
            "target": row.target,
            "generation": row.generation,
            "detail": row.detail,
            "at": row.told.isoformat(),
            "after_archived": row.after_archived,
        }
        for row in rows
    ]


def summary(connection: Connection, limits: OverdueLimits, now: datetime) -> Document:
    """The counts of ``causeway status``."""
    batches, copies, packed = tables.batches, tables.copies, tables.packs
    return {
        "batches": _count(connection, batches),
        "batches_secured": _count(connection, batches, batches.c.secured.is_not(None)),
        "batches_archived": _count(connection, batches, batches.c.archived.is_not(None)),
        "batches_duplicate": _count(connection, batches, batches.c.number.not_in(select(tables.members.c.batch))),
        "batches_overdue": _late_batches(connection, _is_late(limits, now)),
        "packs": _count(connection, packed),
        "packs_open": _count(connection, packed, packed.c.open_group.is_not(None)),
        "copies_proven": _count(connection, copies, _is_proven()),
        "copies_unproven": _count(connection, copies, ~_is_proven(), copies.c.expired.is_(None)),
        "copies_expired": _count(connection, copies, copies.c.expired.is_not(None)),
        "instances": _count(connection, tables.claims),
        "copies": _by_place(connection),
    }


def _by_place(connection: Connection) -> list[Document]:
    """Packs and their instances by target and form: how many copies are planned, and how many are proven."""
    packed, wanted, copies, cleaned = tables.packs, tables.wanted, tables.copies, tables.deidentified
    counted = (func.count(), func.coalesce(func.sum(packed.c.instances), 0))
    planned = (
        select(wanted.c.target, wanted.c.form, *counted)
        .join_from(wanted, packed, packed.c.number == wanted.c.pack)
        .where(wanted.c.state == "wanted", packed.c.plan_id.is_not(None))
        .group_by(wanted.c.target, wanted.c.form)
    )
    form = case((cleaned.c.source_pack_id.is_not(None), "deidentified"), else_="identified")
    source = func.coalesce(cleaned.c.source_pack_id, copies.c.pack_id)
    proven = (
        select(copies.c.target, form, *counted)
        .select_from(copies.outerjoin(cleaned, cleaned.c.pack_id == copies.c.pack_id))
        .join(packed, packed.c.pack_id == source)
        .where(_is_proven(), func.coalesce(cleaned.c.part, 0) == 0)
        .group_by(copies.c.target, form)
    )
    done = {(target, form): counts for target, form, *counts in connection.execute(proven)}
    return [
        _place(target, form, counts, done.get((target, form), [0, 0]))
        for target, form, *counts in sorted(map(tuple, connection.execute(planned)))
    ]


def _place(target: str, form: str, planned: list[int], proven: list[int]) -> Document:
    return {
        "target": target,
        "form": form,
        "planned": int(planned[0]),
        "proven": int(proven[0]),
        "planned_instances": int(planned[1]),
        "proven_instances": int(proven[1]),
    }


def _with_packs() -> Any:
    held = tables.members
    return tables.batches.join(held, held.c.batch == tables.batches.c.number).join(
        tables.packs, tables.packs.c.number == held.c.pack
    )


def _late_batches(connection: Connection, late: Any) -> int:
    counted = select(func.count(tables.batches.c.number.distinct())).select_from(_with_packs())
    return int(connection.execute(counted.where(late)).scalar_one())


def _is_late(limits: OverdueLimits, now: datetime) -> Any:
    """Whether a batch's pack waits too long: for its securing, or once secured for the rest."""
    secured, since = tables.batches.c.secured.is_not(None), tables.packs.c.waiting_since
    early, late = now - limits.secured, now - limits.archived
    return (secured & (since <= late)) | (~secured & (since <= early))


def _is_proven() -> Any:
    table = tables.copies
    return (
        table.c.proven.is_not(None)
        & (table.c.damaged.is_(None) | (table.c.proven > table.c.damaged))
        & (table.c.removed.is_(None) | (table.c.proven > table.c.removed))
        & table.c.expired.is_(None)
    )


def _count(connection: Connection, table: Any, *conditions: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())
