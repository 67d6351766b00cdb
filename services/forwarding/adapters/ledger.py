"""What became of instances and batches at one destination, in SQL."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from contracts.events import BatchStored, Event
from contracts.formats.manifest import Instance
from services.forwarding.adapters import tables
from services.forwarding.adapters.standing import DestinationRow
from services.forwarding.adapters.upsert import upsert
from services.forwarding.domain.answers import Outcome
from services.forwarding.domain.forwards import Order, Result, event_id, key_of
from shared.identity import SiteKey
from shared.messaging.outbox import Outbox
from shared.sql import Database

#: Values in one statement.
_AT_ONCE = 500
#: Seconds that a process has for a batch that it tries again, before another one may.
CLAIM = 120.0


class DestinationLedger(DestinationRow):
    """The rows of one destination."""

    def __init__(self, name: str, database: Database, outbox: Outbox, site_key: SiteKey) -> None:
        super().__init__(name, database)
        self._outbox = outbox
        self._site_key = site_key

    async def known(self, instances: Sequence[Instance]) -> Mapping[str, Outcome]:
        keys = [key_of(one) for one in instances]
        return await self._database.read(lambda connection: self._known(connection, keys))

    async def record(self, batch_id: str, results: Sequence[Result]) -> None:
        rows = [self._row(batch_id, result) for result in results]
        await self._database.run(lambda connection: upsert(connection, tables.forwarded, rows))

    async def finish(self, order: Order, results: Mapping[str, Outcome], told: Sequence[Event]) -> None:
        delivered = sum(end.is_delivered for end in results.values())
        row = {
            "destination": self._name,
            "batch_id": order.event.batch.batch_id,
            "delivered": delivered,
            "failed": len(results) - delivered,
            "run": order.run,
            "asked": False,
            "claimed_until": 0.0,
            "document": order.event.model_dump_json(),
            "closed": order.event.closed.timestamp(),
        }

        def work(connection: Connection) -> None:
            # A replay is of the first run; later ones keep their number.
            upsert(connection, tables.batch, [row | {"run": max(order.run, self._run_of(connection, order))}])
            for fact in told:
                self._outbox.add(connection, fact, id=event_id(self._site_key, fact))

        await self._database.run(work)

    async def ask_again(self) -> int:
        """Have every failed instance tried again; how many there are."""
        return await self._database.run(self._ask_again)

    async def next_asked(self) -> Order | None:
        """The first batch that is to be tried again, for this process alone for a while; its failures are forgotten."""
        return await self._database.run(self._next_asked)

    async def failures(self) -> list[dict[str, Any]]:
        """Every instance that the destination did not take."""
        table = tables.forwarded.c
        query = select(table.batch_id, table.sop_instance_uid, table.reason).where(
            (table.destination == self._name) & table.delivered.is_(False)
        )
        return await self._database.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])

    async def standing(self) -> dict[str, Any]:
        """The sums of all batches, and the row of the destination."""
        return await self._database.read(self._standing)

    def _row(self, batch_id: str, result: Result) -> dict[str, Any]:
        is_delivered = result.outcome.is_delivered
        return {
            "destination": self._name,
            "instance": key_of(result.instance),
            "batch_id": batch_id,
            "delivered": is_delivered,
            "reason": result.outcome.reason,
            "sop_instance_uid": None if is_delivered else result.instance.sop_instance_uid,
        }

    def _run_of(self, connection: Connection, order: Order) -> int:
        table = tables.batch.c
        mine = (table.destination == self._name) & (table.batch_id == order.event.batch.batch_id)
        return connection.execute(select(table.run).where(mine)).scalar_one_or_none() or 0

    def _known(self, connection: Connection, keys: Sequence[str]) -> Mapping[str, Outcome]:
        table, found = tables.forwarded.c, dict[str, Outcome]()
        for start in range(0, len(keys), _AT_ONCE):
            some = table.instance.in_(keys[start : start + _AT_ONCE])
            rows = connection.execute(select(tables.forwarded).where((table.destination == self._name) & some))
            found |= {row.instance: Outcome(row.delivered, row.reason) for row in rows}
        return found

    def _ask_again(self, connection: Connection) -> int:
        table = tables.batch.c
        mine = (table.destination == self._name) & (table.failed > 0)
        count = connection.execute(select(func.coalesce(func.sum(table.failed), 0)).where(mine)).scalar_one()
        connection.execute(update(tables.batch).where(mine).values(asked=True))
        return int(count)

    def _next_asked(self, connection: Connection) -> Order | None:
        table, now = tables.batch.c, time.time()
        free = (table.destination == self._name) & table.asked.is_(True) & (table.claimed_until < now)
        query = select(tables.batch).where(free).order_by(table.closed, table.batch_id).limit(1)
        if (row := connection.execute(query.with_for_update(skip_locked=True)).first()) is None:
            return None
        mine = (table.destination == self._name) & (table.batch_id == row.batch_id)
        connection.execute(update(tables.batch).where(mine).values(claimed_until=now + CLAIM))
        return Order(BatchStored.model_validate_json(row.document), row.run + 1)

    def _standing(self, connection: Connection) -> dict[str, Any]:
        table = tables.batch.c
        sums = select(func.coalesce(func.sum(table.delivered), 0), func.coalesce(func.sum(table.failed), 0))
        delivered, failed = connection.execute(sums.where(table.destination == self._name)).one()
        return {**self.own_row(connection), "delivered": int(delivered), "failed": int(failed)}
