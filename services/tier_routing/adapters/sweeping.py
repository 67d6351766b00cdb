"""The sweep: what is overdue is told and started again, what is past its retention goes."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from contracts.events import BatchOverdue, Waiting
from services.tier_routing.adapters import desk, intake, packs, settling, tables, views
from services.tier_routing.adapters.commitment_tables import brought
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain import overdue
from services.tier_routing.domain.ledger import Verdict, past_retention
from services.tier_routing.domain.matching import Arrival
from services.tier_routing.domain.overdue import Standing, Step
from services.tier_routing.domain.policy import OverdueLimits

#: A dead letter of this service about a pack that nothing was sealed of: its input is no good.
_SEALER = "encryption"


def due(connection: Connection, limits: OverdueLimits, now: datetime) -> list[int]:
    """The numbers of the packs that wait longer than the shortest limit and are to be looked at, longest first."""
    table = tables.packs
    late = (table.c.waiting_since <= now - min(limits.secured, limits.archived), table.c.planned.is_not(None))
    rested = table.c.look_after.is_(None) | (table.c.look_after <= now)
    found = select(table.c.number).where(*late, rested).order_by(table.c.waiting_since)
    return list(connection.execute(found).scalars())


def sweep_pack(connection: Connection, at: Desk, number: int, now: datetime) -> bool:
    """Settle a late pack once more, then tell it and start it again if it is time; whether anything was done."""
    pack = packs.row(connection, number)
    if pack.waiting_since is None:
        return False
    verdict = settling.settle(connection, at, pack, now)
    away = views.away(connection, (copy.target for copy in verdict.due))
    step = overdue.next_step(standing_of(pack, verdict), verdict, at.policy.overdue, away, now)
    if step and step.restart:
        pack = _restart(connection, at, pack, step, now)
    _look_again(connection, pack, overdue.next_look(standing_of(pack, verdict), at.policy.overdue, now))
    if step is None:
        return False
    _tell(connection, at, pack, verdict)
    if not verdict.secured and _is_refused(connection, pack):
        release_duplicates(connection, at, number, now)
    return True


def standing_of(pack: Row[Any], verdict: Verdict) -> Standing:
    """How long a pack has waited and what was done about it."""
    return Standing(
        since=pack.waiting_since, secured=verdict.secured, run=pack.run, restarted=pack.restarted, told=pack.told
    )


def release_duplicates(connection: Connection, at: Desk, number: int, now: datetime) -> None:
    """Pack the duplicates of a pack on their own: what was dropped may be the only good copy."""
    for batch in settling.duplicates_of(connection, number):
        release(connection, at, batch, now)


def release(connection: Connection, at: Desk, batch: Row[Any], now: datetime) -> None:
    """Pack what others were to hold of a batch as if they did not: all of it, or what its own pack left out."""
    connection.execute(delete(tables.owners).where(tables.owners.c.duplicate == batch.number))
    connection.execute(brought.update().where(brought.c.batch == batch.number).values(stored=True))
    decision = at.policy.decide(arrival_now(connection, batch))
    packs.commit_after(connection, batch, decision)
    packs.put(connection, at, batch, decision, now, packs.packed_of(connection, batch))


def arrival_now(connection: Connection, batch: Row[Any]) -> Arrival:
    """A batch as the rules see it today, with the orders known by now."""
    found = intake.priorities(connection, batch.study_ref, desk.accessions_of(batch.arrival))
    return desk.arrival_of(batch.arrival, found)


def tell_lost(connection: Connection, at: Desk, now: datetime) -> int:
    """Tell the batches that an association's end named and that never arrived, each once; how many."""
    table = tables.announced
    late = (table.c.ended <= now - at.policy.overdue.secured, table.c.told.is_(False), table.c.study_ref.is_not(None))
    rows = connection.execute(select(table).where(*late)).all()
    for row in rows:
        waits = (Waiting(step="batch.stored"),)
        event = BatchOverdue(batch_id=row.batch_id, study_ref=row.study_ref, waiting_for=waits, since=row.ended, run=0)
        at.tell(connection, event, row.batch_id, "lost")
        connection.execute(table.update().where(table.c.batch_id == row.batch_id).values(told=True))
    return len(rows)


def ending(connection: Connection, now: datetime) -> list[int]:
    """The numbers of the settled packs with a copy that may be past its retention."""
    joined = tables.wanted.join(tables.packs, tables.packs.c.number == tables.wanted.c.pack)
    table = tables.wanted
    kept = select(table.c.pack, table.c.retention_days, tables.packs.c.planned).select_from(joined)
    with_end = kept.where(
        table.c.state == "wanted", table.c.retention_days.is_not(None), tables.packs.c.waiting_since.is_(None)
    )
    rows = connection.execute(with_end)
    return sorted({row.pack for row in rows if row.planned and (now - row.planned).days >= row.retention_days})


def end_retention(connection: Connection, at: Desk, number: int, now: datetime) -> int:
    """Let go of a pack's copies whose retention is over; how many."""
    pack = packs.row(connection, number)
    ended = past_retention(views.view_of(connection, pack), pack.planned, now)
    for copy in ended:
        packs.want(connection, number, copy, "expired")
    if ended:
        settling.settle(connection, at, pack, now)
    return len(ended)


def _look_again(connection: Connection, pack: Row[Any], moment: datetime) -> None:
    table = tables.packs
    connection.execute(table.update().where(table.c.number == pack.number).values(look_after=moment))


def _restart(connection: Connection, at: Desk, pack: Row[Any], step: Step, now: datetime) -> Row[Any]:
    table = tables.packs
    mine = table.c.number == pack.number
    connection.execute(table.update().where(mine).values(run=pack.run + 1, restarted=now))
    again = packs.row(connection, pack.number)
    packs.tell_plan(connection, at, again, step.restart)
    return again


def _tell(connection: Connection, at: Desk, pack: Row[Any], verdict: Verdict) -> None:
    """Tell every batch that waits for the pack, once per run."""
    for batch in settling.waiting_batches(connection, pack.number):
        event = BatchOverdue(
            batch_id=batch.batch_id,
            study_ref=batch.study_ref,
            waiting_for=verdict.waiting,
            since=pack.waiting_since,
            run=pack.run,
        )
        at.tell(connection, event, batch.batch_id, pack.plan_id, pack.run, links=[batch.traceparent])
    connection.execute(tables.packs.update().where(tables.packs.c.number == pack.number).values(told=pack.run))


def _is_refused(connection: Connection, pack: Row[Any]) -> bool:
    """Whether sealing gave the pack up and nothing of it was ever sealed."""
    letters, seals = tables.dead_letters, tables.seals
    given_up = select(letters.c.number).where(letters.c.pack_id == pack.pack_id, letters.c.service == _SEALER)
    sealed = select(seals.c.sealed_id).where(seals.c.pack_id == pack.pack_id)
    return bool(connection.execute(given_up).first()) and not connection.execute(sealed).first()
