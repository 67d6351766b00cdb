"""The sweep: what is overdue is told and started again, what is past its retention goes."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from contracts.events import Batch, BatchOverdue, Waiting
from contracts.formats.left_out import write_numbers
from services.tier_routing.adapters import desk, holding, intake, packs, settling, tables, views
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain import overdue
from services.tier_routing.domain.ledger import Verdict, past_retention
from services.tier_routing.domain.matching import Arrival
from services.tier_routing.domain.overdue import Standing, Step
from services.tier_routing.domain.policy import Decision, OverdueLimits


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
    released = holding.rejected(connection, pack) and release_duplicates(connection, at, number, now)
    away = views.away(connection, (copy.target for copy in verdict.due))
    step = overdue.next_step(standing_of(pack, verdict), verdict, at.policy.overdue, away, now)
    if step and step.restart:
        pack = _restart(connection, at, pack, step, now)
    _look_again(connection, pack, overdue.next_look(standing_of(pack, verdict), at.policy.overdue, now))
    if step is None:
        return bool(released)
    _tell(connection, at, pack, verdict)
    return True


def standing_of(pack: Row[Any], verdict: Verdict) -> Standing:
    """How long a pack has waited and what was done about it."""
    return Standing(
        since=pack.waiting_since, secured=verdict.secured, run=pack.run, restarted=pack.restarted, told=pack.told
    )


def release_duplicates(connection: Connection, at: Desk, number: int, now: datetime) -> int:
    """Pack what others left out because a pack holds it that is no good: theirs may be the only good copy; how many."""
    return sum(release(connection, at, batch, now, number) for batch in settling.duplicates_of(connection, number))


def release(connection: Connection, at: Desk, batch: Row[Any], now: datetime, within: int | None = None) -> bool:
    """Pack what nobody stands for any more of what a batch left out; whether there was anything.

    With ``within`` only that pack is looked at: what lies in others stays as it is.
    """
    decision = at.policy.decide(arrival_now(connection, batch))
    again = holding.brought_again(connection, batch.number)
    keepers = {each.keeper for each in again}
    fallen = keepers - _standing(connection, batch, keepers, decision, within)
    lost = [each for each in again if each.keeper in fallen]
    if lost:
        if not holding.places(connection, [batch.number])[batch.number].own:
            packs.commit_after(connection, batch, decision)
        holding.keep(connection, batch.number, lost)
        packs.put(connection, at, batch, decision, now, _but(batch, {each.entry for each in lost}))
    holding.rely(connection, batch.number, keepers - fallen)
    # Who keeps it now may have been proven long ago: nothing more will be heard of that.
    settling.tell_batches(connection, at, [batch], now)
    return bool(lost)


def _standing(
    connection: Connection, batch: Row[Any], keepers: Collection[int], decision: Decision, within: int | None
) -> frozenset[int]:
    """Those that hold what a batch left out, or are not asked: who is in other packs than the one that is looked at."""
    if within is None:
        return holding.standing(connection, batch, keepers, decision)
    places = holding.places(connection, keepers)
    asked = frozenset(each for each in keepers if within in places[each].own)
    # Who has come to keep it since the last look.
    new = frozenset(keepers) - asked - holding.owners_of(connection, batch.number)
    standing = holding.standing(connection, batch, asked, decision, within)
    return frozenset(keepers) - asked - new | standing | holding.standing(connection, batch, new, decision)


def _but(batch: Row[Any], entries: Collection[int | None]) -> str:
    """What another pack leaves out of a batch to take these entries; all are taken where one is not known."""
    every = range(1, Batch.model_validate_json(batch.batch).instances + 1)
    return write_numbers([] if None in entries else [number for number in every if number not in entries])


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
