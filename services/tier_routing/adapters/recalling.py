"""A de-identified pack that was called back: its copies go, and another takes its place."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from contracts.events import PackRecalled
from services.tier_routing.adapters import desk, packs, settling, tables, views
from services.tier_routing.adapters.desk import Desk


def hear_recalled(connection: Connection, at: Desk, event: PackRecalled, told: datetime) -> None:
    """Let the pack's copies go, and start the plan anew, under a name of its own: its end is told again."""
    pack = views.pack_of(connection, event.source_pack_id)
    known = select(tables.recalled.c.pack_id).where(tables.recalled.c.pack_id == event.pack_id)
    if connection.execute(known).first() is not None:
        return
    row = {"pack_id": event.pack_id, "source_pack_id": event.source_pack_id, "recall_id": event.recall_id, "told": told}
    desk.insert_new(connection, tables.recalled, [row])
    link = {"pack_id": event.pack_id, "source_pack_id": event.source_pack_id, "project": event.project, "told": told}
    # Its copies may be heard of before the pack itself, and then they are to go as well.
    desk.insert_new(connection, tables.deidentified, [link])
    if pack is not None:
        _start_anew(connection, at, pack, event, told)


def _start_anew(connection: Connection, at: Desk, pack: Row[Any], event: PackRecalled, now: datetime) -> None:
    plan_id = at.site_key.token("plan", pack.plan_id, event.recall_id)
    packs.record_plan(connection, pack.number, plan_id, packs.decision_of(pack), now)
    values = {
        "plan_id": plan_id,
        "run": pack.run + 1,
        "waiting_since": now,
        "restarted": now,
        "told": None,
        "look_after": None,
    }
    connection.execute(tables.packs.update().where(tables.packs.c.number == pack.number).values(values))
    planned = packs.row(connection, pack.number)
    verdict = settling.settle(connection, at, planned, now)
    if verdict.due:
        packs.tell_plan(connection, at, planned, verdict.due)
