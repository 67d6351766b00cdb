"""What is to be sent to each websocket: the one that was bound last has it, until it goes or another is bound."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from services.hl7_fhir.adapters.header_vault import HeaderVault
from services.hl7_fhir.adapters.holders import Standing, StandingOf, anybody
from services.hl7_fhir.adapters.subscription_rows import events_of, row_of, stop_of_stranger, subscription_of
from services.hl7_fhir.adapters.subscription_tables import subscription_tokens, subscriptions
from services.hl7_fhir.adapters.subscriptions import digest
from services.hl7_fhir.domain.subscriptions.channel import WEBSOCKET
from services.hl7_fhir.domain.subscriptions.notification import Event
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription
from shared.sql import Database

Waiting = tuple[Subscription, tuple[Event, ...]]


class SqlSocketDeliveries:
    """Queues of websocket subscriptions. ``holder`` is the name of one socket, nobody else's."""

    def __init__(self, database: Database, vault: HeaderVault, standing_of: StandingOf = anybody) -> None:
        self._standing_of = standing_of
        self._database = database
        self._vault = vault

    async def bind(self, token: str, holder: str) -> tuple[Subscription, ...]:
        """What the token stands for, now this holder's; nothing for a token that is unknown, used or too old."""
        return await self._database.run(lambda connection: self._bind(connection, token, holder))

    async def waiting(self, subscription: str, holder: str, after: int) -> Waiting | None:
        """The subscription and its events with numbers over ``after``; None when it is no longer this holder's.

        No events while it is not known whether it may be told of them.
        """
        standing = await self._database.read(lambda connection: self._standing(connection, subscription))
        if standing is Standing.WITHDRAWN:
            await self._database.run(lambda connection: stop_of_stranger(connection, subscription))
        elif standing is Standing.UNSURE:
            after = sys.maxsize
        return await self._database.read(lambda connection: self._waiting(connection, subscription, holder, after))

    async def arrived(self, subscription: str, holder: str, number: int) -> None:
        """Events up to ``number`` need not be sent again."""
        mine = (subscriptions.c.id == subscription, subscriptions.c.claimed_by == holder)
        moved = update(subscriptions).where(*mine, subscriptions.c.delivered < number).values(delivered=number)
        await self._database.run(lambda connection: connection.execute(moved))

    async def release(self, holder: str) -> None:
        """The socket is gone."""
        freed = update(subscriptions).where(subscriptions.c.claimed_by == holder).values(claimed_by=None)
        await self._database.run(lambda connection: connection.execute(freed))

    def _standing(self, connection: Connection, subscription: str) -> Standing:
        row = _open(connection, subscription)
        return Standing.KNOWN if row is None else self._standing_of(row.creator)

    def _bind(self, connection: Connection, token: str, holder: str) -> tuple[Subscription, ...]:
        wanted = select(subscription_tokens).where(subscription_tokens.c.digest == digest(token))
        row = connection.execute(wanted.with_for_update()).one_or_none()
        if row is None:
            return ()
        connection.execute(delete(subscription_tokens).where(subscription_tokens.c.digest == row.digest))
        if row.expires < time.time():
            return ()
        return self._claimed(connection, json.loads(row.subscriptions), holder)

    def _claimed(self, connection: Connection, wanted: Sequence[str], holder: str) -> tuple[Subscription, ...]:
        found = []
        for subscription in sorted(wanted):
            row = _open(connection, subscription, lock=True)
            if row is not None and self._standing_of(row.creator) is Standing.WITHDRAWN:
                stop_of_stranger(connection, subscription)
            elif row is not None:
                taken = update(subscriptions).where(subscriptions.c.id == subscription).values(claimed_by=holder)
                connection.execute(taken)
                found.append(subscription_of(row, self._vault))
        return tuple(found)

    def _waiting(self, connection: Connection, subscription: str, holder: str, after: int) -> Waiting | None:
        row = _open(connection, subscription)
        if row is None or row.claimed_by != holder:
            return None
        found = subscription_of(row, self._vault)
        if found.events <= after:
            return found, ()
        limit = found.wanted.channel.max_count
        return found, events_of(connection, subscription, after=after, limit=limit)


def _open(connection: Connection, subscription: str, *, lock: bool = False) -> Row[Any] | None:
    """The row of a websocket's subscription that is active."""
    row = row_of(connection, subscription, lock=lock)
    is_open = row is not None and row.status == Status.ACTIVE.value and row.channel == WEBSOCKET
    return row if is_open else None
