"""What became of notices at one destination, in SQL."""

import time
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.sql import ColumnElement

from contracts.events import StepReported, StudyArchived
from services.forwarding.adapters.standing import DestinationRow
from services.forwarding.adapters.tables import notice
from services.forwarding.adapters.upsert import upsert
from services.forwarding.domain.answers import Outcome
from services.forwarding.domain.notices import Fact, Item

#: Seconds that a process has for a notice that it tries again, before another one may.
CLAIM = 120.0
_FACTS: dict[str, type[StepReported] | type[StudyArchived]] = {
    StepReported.subject: StepReported,
    StudyArchived.subject: StudyArchived,
}


class SqlNotices(DestinationRow):
    """The notices of one destination, each a row from its first attempt on."""

    async def known(self, item: Item) -> Outcome | None:
        row = await self._database.read(lambda connection: self._find(connection, item))
        return None if row is None or row.delivered is None else Outcome(row.delivered, row.reason)

    async def trying(self, item: Item, sop_instance: str) -> int:
        return await self._database.run(lambda connection: self._trying(connection, item, sop_instance))

    async def settle(self, item: Item, outcome: Outcome) -> None:
        def work(connection: Connection) -> None:
            before = self._find(connection, item)
            ended = {"delivered": outcome.is_delivered, "reason": outcome.reason, "asked": False, "claimed_until": 0.0}
            kept = {"tries": before.tries, "sop_instance_uid": before.sop_instance_uid} if before else {}
            upsert(connection, notice, [{**self._row(item), **kept, **ended}])

        await self._database.run(work)

    async def next_asked(self) -> Item | None:
        """For this process alone for a while; a step's reports in their order."""
        return await self._database.run(self._next_asked)

    async def ask_again(self) -> int:
        """Have every notice that failed tried again, with all its attempts; how many there are."""
        failed = update(notice).where(self._mine(), notice.c.delivered.is_(False)).values(asked=True, tries=0)
        return await self._database.run(lambda connection: int(connection.execute(failed).rowcount))

    async def failures(self) -> list[dict[str, Any]]:
        """Every notice that was not taken; ``batch_id`` is what stands for its step or study."""
        query = select(notice.c.ref.label("batch_id"), notice.c.sop_instance_uid, notice.c.reason).where(
            self._mine(), notice.c.delivered.is_(False)
        )
        ordered = query.order_by(notice.c.position)
        return await self._database.read(
            lambda connection: [dict(row) for row in connection.execute(ordered).mappings()]
        )

    async def standing(self) -> dict[str, Any]:
        """The sums of all notices, and the row of the destination."""
        return await self._database.read(self._standing)

    def _mine(self) -> ColumnElement[bool]:
        return notice.c.destination == self._name

    def _find(self, connection: Connection, item: Item) -> Row[Any] | None:
        return connection.execute(select(notice).where(self._mine(), notice.c.notice == item.id)).first()

    def _row(self, item: Item) -> dict[str, Any]:
        return {
            "destination": self._name,
            "notice": item.id,
            "position": item.position,
            "ref": item.ref,
            "tries": 0,
            "sop_instance_uid": None,
            "delivered": None,
            "reason": None,
            "asked": False,
            "claimed_until": 0.0,
            "subject": item.fact.subject,
            "document": item.fact.model_dump_json(),
        }

    def _trying(self, connection: Connection, item: Item, sop_instance: str) -> int:
        before = self._find(connection, item)
        tries = before.tries + 1 if before else 1
        values = {"tries": tries, "sop_instance_uid": sop_instance}
        if before is None:
            upsert(connection, notice, [self._row(item) | values])
        else:
            connection.execute(update(notice).where(self._mine(), notice.c.notice == item.id).values(values))
        return tries

    def _next_asked(self, connection: Connection) -> Item | None:
        now = time.time()
        asked = select(notice).where(self._mine(), notice.c.asked.is_(True), notice.c.claimed_until < now)
        first = asked.order_by(notice.c.position).limit(1).with_for_update(skip_locked=True)
        if (row := connection.execute(first).first()) is None:
            return None
        mine = update(notice).where(self._mine(), notice.c.notice == row.notice)
        connection.execute(mine.values(claimed_until=now + CLAIM))
        fact: Fact = _FACTS[row.subject].model_validate_json(row.document)
        return Item(row.notice, row.position, fact)

    def _standing(self, connection: Connection) -> dict[str, Any]:
        counts = select(notice.c.delivered, func.count()).where(self._mine()).group_by(notice.c.delivered)
        found = {row[0]: int(row[1]) for row in connection.execute(counts)}
        return {**self.own_row(connection), "delivered": found.get(True, 0), "failed": found.get(False, 0)}
