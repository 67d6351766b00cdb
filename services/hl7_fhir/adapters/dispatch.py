"""From the feed of changes to numbered events of each subscription, and what becomes of old ones."""

import asyncio
import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, insert, or_, select, update
from sqlalchemy import delete as delete_from

from services.hl7_fhir.adapters.bell import Bell
from services.hl7_fhir.adapters.header_vault import HeaderVault
from services.hl7_fhir.adapters.subscription_rows import newest_change, subscription_of, turn_off
from services.hl7_fhir.adapters.subscription_tables import (
    subscription_events,
    subscription_feed,
    subscription_tokens,
    subscriptions,
)
from services.hl7_fhir.adapters.tables import changes, resources, versions
from services.hl7_fhir.domain.subscriptions import filters
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription
from shared.errors import RetryLater, Unprocessable
from shared.observability import logger, metrics
from shared.sql import Database

READER = "subscriptions"
#: Changes that are read in one transaction.
_BATCH = 50
_TIDY_EVERY = 60.0

log = logger("causeway.subscriptions")


@dataclass
class _Listener:
    """A subscription that hears of changes after ``since``; ``events`` so far."""

    subscription: Subscription
    since: int
    events: int


class Dispatcher:
    """Reads the feed once for all; of several replicas, one at a time: the position is locked while it moves.

    ``poll`` seconds between two looks; events are kept for ``keep`` seconds after they have arrived.
    """

    def __init__(self, database: Database, vault: HeaderVault, bell: Bell, *, poll: float, keep: float) -> None:
        self._database = database
        self._vault = vault
        self._bell = bell
        self._poll = poll
        self._keep = keep

    async def run(self) -> None:
        """For as long as the service lives: a Task."""
        tidied = -_TIDY_EVERY
        with suppress(RetryLater):
            if self._database.is_sqlite:  # one process at a time: whatever is claimed is of one that is no more
                await self._database.run(_free)
        while True:
            with suppress(RetryLater):
                while await self._database.read(_is_behind) and await self.advance():
                    pass
                if time.monotonic() - tidied > _TIDY_EVERY:
                    await self.tidy()
                    tidied = time.monotonic()
            await asyncio.sleep(self._poll)

    async def advance(self) -> bool:
        """Move the position over some changes, with the events that they are; whether there were any."""
        moved, written = await self._database.run(self._advance)
        if written:
            metrics().count("causeway_subscription_events_total", written)
            self._bell.ring()
        return moved

    async def tidy(self) -> None:
        """End what has ended, and delete what has arrived and is old."""
        await self._database.run(lambda connection: _tidy(connection, time.time(), self._keep))

    def _advance(self, connection: Connection) -> tuple[bool, int]:
        mine = select(subscription_feed.c.position).where(subscription_feed.c.reader == READER)
        position = connection.execute(mine.with_for_update(skip_locked=True)).scalar_one_or_none()
        if position is None:  # another replica moves it
            return False, 0
        # In this order: whoever has subscribed before a change that is read here is among the listeners.
        last, written = newest_change(connection), 0
        listeners = self._listeners(connection)
        if listeners:
            heard = {each.subscription.wanted.topic.resource for each in listeners}
            read = connection.execute(_after(position, last, heard)).all()
            last, written = (read[-1].number if read else position), self._write(connection, listeners, read)
        moved = update(subscription_feed).where(subscription_feed.c.reader == READER).values(position=last)
        connection.execute(moved)
        return last > position, written

    def _listeners(self, connection: Connection) -> list[_Listener]:
        """Locked in one order, so that none is deleted or changed meanwhile."""
        lasting = or_(subscriptions.c.ends.is_(None), subscriptions.c.ends > time.time())
        hearing = select(subscriptions).where(subscriptions.c.status != Status.OFF.value, lasting)
        rows = connection.execute(hearing.order_by(subscriptions.c.id).with_for_update())
        found = []
        for row in rows.all():
            try:
                found.append(_Listener(subscription_of(row, self._vault), row.since, row.events))
            except Unprocessable as error:
                log.error("subscription-unreadable", subscription_ref=row.id, reason=error.reason)
                ended = update(subscriptions).where(subscriptions.c.id == row.id)
                connection.execute(ended.values(status=Status.OFF.value, error=error.reason))
        return found

    def _write(self, connection: Connection, listeners: Sequence[_Listener], read: Sequence[Row[Any]]) -> int:
        before = {each.subscription.id: each.events for each in listeners}
        rows = [found for change in read for found in _events(connection, listeners, change)]
        if rows:
            connection.execute(insert(subscription_events), rows)
        for each in listeners:
            if each.events != before[each.subscription.id]:
                counted = update(subscriptions).where(subscriptions.c.id == each.subscription.id)
                connection.execute(counted.values(events=each.events))
        return len(rows)


def _is_behind(connection: Connection) -> bool:
    position = select(subscription_feed.c.position).where(subscription_feed.c.reader == READER)
    return newest_change(connection) > connection.execute(position).scalar_one()


def _after(position: int, last: int, heard: Collection[str]) -> Any:
    """The next changes up to ``last``, those of the types ``heard`` with their bodies."""
    same = and_(versions.c.type == changes.c.type, versions.c.id == changes.c.id, changes.c.type.in_(sorted(heard)))
    joined = changes.outerjoin(versions, and_(same, versions.c.version == changes.c.version))
    wanted = select(changes, versions.c.body).select_from(joined)
    between = (changes.c.number > position, changes.c.number <= last)
    return wanted.where(*between).order_by(changes.c.number).limit(_BATCH)


def _events(connection: Connection, listeners: Sequence[_Listener], change: Row[Any]) -> list[dict[str, Any]]:
    """The rows of one change, each with the next number of its subscription."""
    near = [each for each in listeners if each.subscription.wanted.topic.resource == change.type]
    near = [each for each in near if each.since < change.number]
    if not near:
        return []
    if change.body is None:
        log.error("change-without-version", resource=change.type.lower())
        return []
    body, before = json.loads(change.body), _before(connection, near, change)
    found = []
    for each in near:
        wanted = each.subscription.wanted
        if wanted.topic.is_triggered(body, before) and filters.match(
            wanted.filters, change.id, body, lambda patient: _identifiers(connection, patient)
        ):
            each.events += 1
            found.append(_row(each, change))
    return found


def _row(listener: _Listener, change: Row[Any]) -> dict[str, Any]:
    return {
        "subscription": listener.subscription.id,
        "number": listener.events,
        "change": change.number,
        "type": change.type,
        "id": change.id,
        "version": change.version,
        "at": change.updated,
        "created": change.version == 1,
    }


def _before(connection: Connection, near: Sequence[_Listener], change: Row[Any]) -> Mapping[str, Any] | None:
    """The version before, where a topic asks for it."""
    if change.version == 1 or not any(each.subscription.wanted.topic.becomes for each in near):
        return None
    earlier = select(versions.c.body).where(
        versions.c.type == change.type, versions.c.id == change.id, versions.c.version == change.version - 1
    )
    body = connection.execute(earlier).scalar_one_or_none()
    return json.loads(body) if body else None


def _identifiers(connection: Connection, patient: str) -> list[Mapping[str, Any]]:
    now = select(resources.c.body).where(resources.c.type == "Patient", resources.c.id == patient)
    body = connection.execute(now).scalar_one_or_none()
    return list(json.loads(body).get("identifier", ())) if body else []


def _tidy(connection: Connection, now: float, keep: float) -> None:
    """A subscription of which somebody would miss an event is turned off first: a gap is never silent."""
    oldest = datetime.fromtimestamp(now - keep, UTC)
    events, own = subscription_events, subscription_events.c.subscription == subscriptions.c.id
    turn_off(connection, and_(subscriptions.c.ends.is_not(None), subscriptions.c.ends <= now), "ended")
    waiting = exists().where(own, events.c.number > subscriptions.c.delivered, events.c.at < oldest)
    turn_off(connection, waiting, "events-expired")
    done = or_(subscriptions.c.delivered >= events.c.number, subscriptions.c.status == Status.OFF.value)
    connection.execute(delete_from(events).where(events.c.at < oldest, exists().where(own, done)))
    connection.execute(delete_from(subscription_tokens).where(subscription_tokens.c.expires < now))


def _free(connection: Connection) -> None:
    connection.execute(update(subscriptions).values(claimed_by=None, claimed_until=0.0))
