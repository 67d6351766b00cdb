"""Rows of subscriptions and of their events as the domain has them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, select, update

from services.hl7_fhir.adapters.header_vault import HeaderVault
from services.hl7_fhir.adapters.subscription_tables import subscription_events, subscriptions
from services.hl7_fhir.adapters.tables import changes, versions
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.subscriptions.notification import Event
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription, Wanted, read
from shared.observability import logger

#: Why a subscription is off whose client holds no token any more.
WITHDRAWN = "token-withdrawn"
#: Characters of resources in one notification; one resource is sent whatever its size.
_MOST = 512 * 1024

log = logger("causeway.subscriptions")


def subscription_of(row: Row[Any], vault: HeaderVault) -> Subscription:
    """The subscription of ``row``; SubscriptionRefused or HeadersUnreadable when this release cannot read it."""
    return Subscription(
        id=row.id,
        version=row.version,
        updated=aware(row.updated),
        status=Status(row.status),
        error=row.error,
        base=row.base,
        events=row.events,
        delivered=row.delivered,
        wanted=_wanted(row, vault),
    )


def _wanted(row: Row[Any], vault: HeaderVault) -> Wanted:
    wanted = read({**json.loads(row.body), "resourceType": "Subscription", "status": row.status})
    return replace(wanted, channel=replace(wanted.channel, headers=vault.open(row.id, row.headers)))


def aware(moment: datetime) -> datetime:
    """SQLite keeps no time zone: what was written was UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def row_of(connection: Connection, subscription: str, *, lock: bool = False) -> Row[Any] | None:
    """The row, locked against others until the end of the transaction if ``lock``."""
    wanted = select(subscriptions).where(subscriptions.c.id == subscription)
    return connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()


def turn_off(connection: Connection, condition: Any, error: str) -> None:
    """Turn off those that meet the condition and are not off yet."""
    still = subscriptions.c.status != Status.OFF.value
    values = {
        "status": Status.OFF.value,
        "error": error,
        "version": subscriptions.c.version + 1,
        "updated": datetime.now(UTC),
    }
    connection.execute(update(subscriptions).where(still, condition).values(values))


def stop_of_stranger(connection: Connection, subscription: str) -> None:
    """The token of the client that made the subscription was withdrawn: it hears nothing more."""
    log.warning("subscription-of-stranger", subscription_ref=subscription, reason=WITHDRAWN)
    turn_off(connection, subscriptions.c.id == subscription, WITHDRAWN)


def newest_change(connection: Connection) -> int:
    """The number of the last change in the feed, 0 when there is none."""
    return connection.execute(select(func.coalesce(func.max(changes.c.number), 0))).scalar_one()


def events_of(
    connection: Connection, subscription: str, *, after: int, until: int | None = None, limit: int
) -> tuple[Event, ...]:
    """The kept events with numbers over ``after``, at most ``limit`` and about half a megabyte, without a gap."""
    table = subscription_events
    last = _last_of(connection, subscription, after, until, limit)
    if last is None:
        return ()
    wanted = _joined().where(table.c.subscription == subscription, table.c.number > after, table.c.number <= last)
    return tuple(_event(row) for row in connection.execute(wanted.order_by(table.c.number)))


def _last_of(connection: Connection, subscription: str, after: int, until: int | None, limit: int) -> int | None:
    """The number up to which the next notification goes."""
    table = subscription_events
    sizes = (
        select(table.c.number, func.length(versions.c.body).label("size"))
        .select_from(table.outerjoin(versions, _same_version()))
        .where(table.c.subscription == subscription, table.c.number > after)
        .order_by(table.c.number)
        .limit(limit)
    )
    if until is not None:
        sizes = sizes.where(table.c.number <= until)
    return max(_fitting(connection.execute(sizes)), default=None)


def _fitting(rows: Any) -> Iterator[int]:
    left = _MOST
    for position, row in enumerate(rows):
        left -= row.size or 0
        if left < 0 and position:
            return
        yield row.number


def _joined() -> Select[Any]:
    body = (versions.c.updated, versions.c.message_ref, versions.c.body)
    return select(subscription_events, *body).select_from(subscription_events.outerjoin(versions, _same_version()))


def _same_version() -> Any:
    table = subscription_events
    return and_(versions.c.type == table.c.type, versions.c.id == table.c.id, versions.c.version == table.c.version)


def _event(row: Row[Any]) -> Event:
    """A version that is no longer kept has an empty body."""
    stored = Stored(
        row.type,
        row.id,
        row.version,
        aware(row.updated or row.at),
        row.message_ref or "",
        json.loads(row.body) if row.body else {},
    )
    return Event(row.number, aware(row.at), bool(row.created), stored)
