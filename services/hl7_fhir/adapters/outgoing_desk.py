"""All queues as an operator sees them: where they stand, what was set aside, and what is decided about it."""

import time
from typing import Any

from sqlalchemy import Connection, case, delete, func, select, update

from services.hl7_fhir.adapters.outgoing import ASIDE, WAITS, Outgoing, upsert_of
from services.hl7_fhir.adapters.outgoing_tables import outgoing, receivers
from shared.sql import Database

_MOST_SHOWN = 1000


class OutgoingDesk:
    """What is asked and decided of the queues."""

    def __init__(self, database: Database, outgoing_: Outgoing) -> None:
        self._database = database
        self._outgoing = outgoing_

    async def standing(self) -> dict[str, dict[str, Any]]:
        """Of each receiver that has a queue or had one: ``waiting``, ``aside``, ``age`` (seconds), ``delivered``,
        ``held`` (an operator's word or None), ``away`` (a reason or None), ``away_for``.
        """
        return await self._database.read(_standing)

    async def shown(self, name: str) -> list[dict[str, Any]]:
        """What was set aside, and what is tried in vain: numbers, kinds and reasons, nothing of a content."""
        return await self._database.read(lambda connection: _shown(connection, name))

    async def hold(self, name: str, *, held: bool) -> None:
        """Keep an operator's word."""
        await self._database.run(lambda connection: self._hold(connection, name, held))

    async def retry(self, name: str, number: int | None) -> int:
        """Let what was set aside, or one message of it, wait again in its old order; how many."""
        return await self._database.run(lambda connection: self._retry(connection, name, number))

    async def discard(self, name: str, number: int | None, *, everything: bool) -> int:
        """Give up one message whatever its state, or what was set aside, or the whole queue; how many."""
        return await self._database.run(lambda connection: _discard(connection, name, number, everything))

    def _hold(self, connection: Connection, name: str, held: bool) -> None:
        row = {"name": name, "held": held, "holder": "", "expires": 0.0, "delivered": 0}
        kept = upsert_of(connection, receivers).values(row)
        connection.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"held": held}))
        self._outgoing.announce(connection, {name}, hurry=True)

    def _retry(self, connection: Connection, name: str, number: int | None) -> int:
        aside = update(outgoing).where(outgoing.c.receiver == name, outgoing.c.state == ASIDE)
        if number is not None:
            aside = aside.where(outgoing.c.number == number)
        self._outgoing.announce(connection, {name}, hurry=True)
        return connection.execute(aside.values(state=WAITS, attempts=0)).rowcount


def _discard(connection: Connection, name: str, number: int | None, everything: bool) -> int:
    gone = delete(outgoing).where(outgoing.c.receiver == name)
    if number is not None:
        gone = gone.where(outgoing.c.number == number)
    elif not everything:
        gone = gone.where(outgoing.c.state == ASIDE)
    return connection.execute(gone).rowcount


def _standing(connection: Connection) -> dict[str, dict[str, Any]]:
    now, table = time.time(), outgoing.c
    found: dict[str, dict[str, Any]] = {}
    for row in connection.execute(select(receivers)).all():
        found[row.name] = {
            **_EMPTY,
            "delivered": row.delivered,
            "held": row.held,
            "away": row.away,
            "away_for": round(max(0.0, now - row.away_since), 1) if row.away else None,
        }
    waits = (
        select(
            table.receiver,
            func.sum(case((table.state == WAITS, 1), else_=0)).label("waiting"),
            func.sum(case((table.state == ASIDE, 1), else_=0)).label("aside"),
            func.min(case((table.state == WAITS, table.queued))).label("oldest"),
        )
        .group_by(table.receiver)
        .order_by(table.receiver)
    )
    for row in connection.execute(waits).all():
        age = None if row.oldest is None else round(max(0.0, now - row.oldest), 1)
        found.setdefault(row.receiver, dict(_EMPTY)).update(waiting=int(row.waiting), aside=int(row.aside), age=age)
    return found


_EMPTY: dict[str, Any] = {
    "waiting": 0,
    "aside": 0,
    "age": None,
    "delivered": 0,
    "held": None,
    "away": None,
    "away_for": None,
}


def _shown(connection: Connection, name: str) -> list[dict[str, Any]]:
    table, now = outgoing.c, time.time()
    wanted = select(table.number, table.kind, table.ref, table.state, table.attempts, table.reason, table.queued)
    troubled = wanted.where(table.receiver == name, table.reason.is_not(None))
    return [
        {
            "number": row.number,
            "kind": row.kind,
            "ref": row.ref,
            "state": "aside" if row.state == ASIDE else "waiting",
            "attempts": row.attempts,
            "reason": row.reason,
            "age": round(max(0.0, now - row.queued), 1),
        }
        for row in connection.execute(troubled.order_by(table.number).limit(_MOST_SHOWN)).all()
    ]
