"""Subscriptions in SQL, as their creators make, read, change and delete them."""

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update

from services.hl7_fhir.adapters.header_vault import HeaderVault
from services.hl7_fhir.adapters.subscription_rows import events_of, newest_change, row_of, subscription_of
from services.hl7_fhir.adapters.subscription_tables import subscription_events, subscription_tokens, subscriptions
from services.hl7_fhir.domain.subscriptions.channel import unmasked
from services.hl7_fhir.domain.subscriptions.notification import Event
from services.hl7_fhir.domain.subscriptions.refused import SubscriptionRefused, VersionConflict
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription, Wanted, next_status
from shared.errors import Unprocessable
from shared.observability import logger
from shared.sql import Database

#: Seconds within which a token must be used.
TOKEN_LIFE = 60.0
#: The first key of the advisory lock under which subscriptions are made, so that the bound on their number holds.
_CREATION_LOCK = 2577

log = logger("causeway.subscriptions")


class SqlSubscriptions:
    """Each client sees its own; at most ``limit`` in all."""

    def __init__(self, database: Database, vault: HeaderVault, limit: int) -> None:
        self._database = database
        self._vault = vault
        self._limit = limit

    async def create(self, creator: str, base: str, wanted: Wanted) -> Subscription:
        """A new subscription: it hears of what changes from now on. SubscriptionRefused when there are too many."""
        return await self._database.run(lambda connection: self._create(connection, creator, base, wanted))

    async def read(self, creator: str, subscription: str) -> Subscription | None:
        """The subscription, None when there is none of this creator."""
        row = await self._database.read(lambda connection: _of(connection, creator, subscription))
        return subscription_of(row, self._vault) if row is not None else None

    async def all_of(self, creator: str) -> tuple[Subscription, ...]:
        """Every subscription of the creator, the newest first."""
        mine = select(subscriptions).where(subscriptions.c.creator == creator)
        ordered = mine.order_by(subscriptions.c.updated.desc(), subscriptions.c.id)
        rows = await self._database.read(lambda connection: connection.execute(ordered).all())
        return tuple(found for row in rows if (found := self._readable(row)))

    def _readable(self, row: Row[Any]) -> Subscription | None:
        try:
            return subscription_of(row, self._vault)
        except Unprocessable as error:
            log.error("subscription-unreadable", subscription_ref=row.id, reason=error.reason)
            return None

    async def update(self, creator: str, subscription: str, wanted: Wanted, match: int | None) -> Subscription | None:
        """The subscription as it is then; VersionConflict unless it had the version ``match`` (None: any)."""
        return await self._database.run(
            lambda connection: self._update(connection, creator, subscription, wanted, match)
        )

    async def delete(self, creator: str, subscription: str) -> bool:
        """Forget it and its events; whether there was one."""
        return await self._database.run(lambda connection: _delete(connection, creator, subscription))

    async def events(self, subscription: str, since: int, until: int | None, limit: int) -> tuple[Event, ...]:
        """The kept events from ``since`` to ``until``, both included, at most ``limit``."""
        return await self._database.read(
            lambda connection: events_of(connection, subscription, after=since - 1, until=until, limit=limit)
        )

    async def token(self, subscriptions_of_it: Sequence[str]) -> tuple[str, datetime]:
        """A token that binds one websocket, once, and until when."""
        token, expires = secrets.token_urlsafe(32), time.time() + TOKEN_LIFE
        row = {"digest": digest(token), "subscriptions": json.dumps(list(subscriptions_of_it)), "expires": expires}
        await self._database.run(lambda connection: connection.execute(insert(subscription_tokens).values(row)))
        return token, datetime.fromtimestamp(expires, UTC)

    def _create(self, connection: Connection, creator: str, base: str, wanted: Wanted) -> Subscription:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:space, 0)"), {"space": _CREATION_LOCK})
        if connection.execute(select(func.count()).select_from(subscriptions)).scalar_one() >= self._limit:
            raise SubscriptionRefused("too-many-subscriptions", "throttled", "Subscription")
        found = secrets.token_hex(16)
        row = {
            **self._values(found, wanted, next_status(wanted, None)),
            "id": found,
            "version": 1,
            "creator": creator,
            "base": base,
            "since": newest_change(connection),
            "events": 0,
            "delivered": 0,
            "claimed_until": 0.0,
        }
        connection.execute(insert(subscriptions).values(row))
        return self._present(connection, found)

    def _update(
        self, connection: Connection, creator: str, subscription: str, wanted: Wanted, match: int | None
    ) -> Subscription | None:
        row = _of(connection, creator, subscription, lock=True)
        if row is None:
            return None
        before = subscription_of(row, self._vault)
        if match is not None and match != before.version:
            raise VersionConflict
        channel = wanted.channel
        headers = unmasked(channel.headers, before.wanted.channel.headers)
        wanted = replace(wanted, channel=replace(channel, headers=headers))
        status = next_status(wanted, before)
        values = self._values(subscription, wanted, status) | {"version": before.version + 1}
        if status is before.status:
            values = {name: value for name, value in values.items() if name not in _COURSE}
        if before.status is Status.OFF and status is not Status.OFF:
            values["since"] = newest_change(connection)
        connection.execute(update(subscriptions).where(subscriptions.c.id == subscription).values(values))
        return self._present(connection, subscription)

    def _present(self, connection: Connection, subscription: str) -> Subscription:
        row = connection.execute(select(subscriptions).where(subscriptions.c.id == subscription)).one()
        return subscription_of(row, self._vault)

    def _values(self, subscription: str, wanted: Wanted, status: Status) -> dict[str, Any]:
        return {
            "updated": datetime.now(UTC),
            "status": status.value,
            "channel": wanted.channel.type,
            "endpoint": wanted.channel.endpoint,
            "body": json.dumps(wanted.body),
            "headers": self._vault.seal(subscription, wanted.channel.headers),
            "ends": wanted.end.timestamp() if wanted.end else None,
            **_COURSE,
        }


#: How the sending goes, of a subscription that begins anew.
_COURSE: dict[str, Any] = {
    "error": None,
    "attempts": 0,
    "failing_since": None,
    "retry_at": 0.0,
    "heartbeat_at": None,
}


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _of(connection: Connection, creator: str, subscription: str, *, lock: bool = False) -> Row[Any] | None:
    row = row_of(connection, subscription, lock=lock)
    return row if row is not None and row.creator == creator else None


def _delete(connection: Connection, creator: str, subscription: str) -> bool:
    if _of(connection, creator, subscription, lock=True) is None:
        return False
    connection.execute(delete(subscriptions).where(subscriptions.c.id == subscription))
    connection.execute(delete(subscription_events).where(subscription_events.c.subscription == subscription))
    return True
