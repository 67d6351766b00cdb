"""What is to be sent to each rest-hook, claimed by one sender at a time, and what became of it."""

import random
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from services.hl7_fhir.adapters.header_vault import HeaderVault
from services.hl7_fhir.adapters.holders import SETTLED, Standing, StandingOf, anybody
from services.hl7_fhir.adapters.subscription_rows import events_of, row_of, stop_of_stranger, subscription_of
from services.hl7_fhir.adapters.subscription_tables import subscriptions
from services.hl7_fhir.domain.subscriptions.channel import REST_HOOK
from services.hl7_fhir.domain.subscriptions.notification import Event, Kind
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription
from shared.errors import Unprocessable
from shared.observability import logger
from shared.sql import Database

#: Seconds that a claim outlasts an attempt: no second sender begins before the first has ended.
_MARGIN = 10.0

log = logger("causeway.subscriptions")


@dataclass(frozen=True)
class Job:
    """One notification to be sent, under the claim of ``holder``."""

    subscription: Subscription
    kind: Kind
    events: tuple[Event, ...]
    holder: str


@dataclass(frozen=True)
class Patience:
    """Seconds: the first pause after a failure, the longest, and after which time of failures it is given up."""

    first: float = 1.0
    longest: float = 300.0
    give_up: float = 3600.0

    def pause(self, attempts: int) -> float:
        """The pause after so many failures, which doubles; a little less by chance."""
        whole = min(self.first * 2 ** min(attempts - 1, 20), self.longest)
        return whole * random.uniform(0.8, 1.0)  # noqa: S311


class SqlDeliveries:
    """The queues of all rest-hooks; each holds up nothing but itself."""

    def __init__(
        self, database: Database, vault: HeaderVault, patience: Patience, standing_of: StandingOf = anybody
    ) -> None:
        self._standing_of = standing_of
        self._database = database
        self._vault = vault
        self._patience = patience

    async def claim(self, limit: int) -> list[Job]:
        """What is due and nobody else sends, one notification of each subscription."""
        if limit <= 0 or not await self._database.read(_is_due):
            return []
        return await self._database.run(lambda connection: self._claim(connection, limit))

    async def succeeded(self, job: Job) -> Job | None:
        """Remember that it arrived; the next one of this subscription if there is one, still claimed."""
        return await self._database.run(lambda connection: self._succeeded(connection, job))

    async def failed(self, job: Job, reason: str) -> None:
        """Try again later, or give it up: after a handshake at once, else after a time of failures."""
        await self._database.run(lambda connection: self._failed(connection, job, reason))

    async def release(self, holder: str) -> None:
        """Give up the claim of a notification of which nothing is known."""
        freed = update(subscriptions).where(subscriptions.c.claimed_by == holder)
        values = {"claimed_by": None, "claimed_until": 0.0}
        await self._database.run(lambda connection: connection.execute(freed.values(values)))

    def _claim(self, connection: Connection, limit: int) -> list[Job]:
        due = select(subscriptions.c.id).where(_due(time.time())).order_by(subscriptions.c.retry_at).limit(limit)
        found = [self._next(connection, id_) for (id_,) in connection.execute(due.with_for_update(skip_locked=True))]
        return [job for job in found if job]

    def _next(self, connection: Connection, subscription: str, holder: str | None = None) -> Job | None:
        """Claim the subscription's next notification; None when it is not to have one now."""
        now = time.time()
        wanted = select(subscriptions).where(subscriptions.c.id == subscription, _due(now))
        row = connection.execute(wanted).one_or_none()
        if row is None:
            return None
        if (standing := self._standing_of(row.creator)) is not Standing.KNOWN:
            if standing is Standing.WITHDRAWN:
                stop_of_stranger(connection, row.id)
            else:
                _set(connection, row.id, retry_at=now + SETTLED)
            return None
        try:
            found = subscription_of(row, self._vault)
        except Unprocessable as error:
            log.error("subscription-unreadable", subscription_ref=row.id, reason=error.reason)
            _change(connection, row.id, status=Status.OFF.value, error=error.reason)
            return None
        kind, events = _what(connection, found)
        if kind is None:
            _set(connection, row.id, delivered=row.events)
            return None
        holder = holder or secrets.token_hex(16)
        _set(connection, row.id, claimed_by=holder, claimed_until=now + found.wanted.channel.timeout + _MARGIN)
        return Job(found, kind, events, holder)

    def _succeeded(self, connection: Connection, job: Job) -> Job | None:
        row = row_of(connection, job.subscription.id, lock=True)
        if row is None or row.claimed_by != job.holder:
            return None
        _set(connection, row.id, claimed_by=None, claimed_until=0.0)
        if not _is_as_sent(row, job):
            return None
        heartbeat = job.subscription.wanted.channel.heartbeat
        values: dict[str, Any] = {"attempts": 0, "failing_since": None, "retry_at": 0.0}
        values["heartbeat_at"] = time.time() + heartbeat if heartbeat else None
        if job.events:
            values["delivered"] = max(row.delivered, job.events[-1].number)
        _set(connection, row.id, **values)
        if job.kind is Kind.HANDSHAKE:
            _change(connection, row.id, status=Status.ACTIVE.value, error=None)
        return self._next(connection, row.id, job.holder)

    def _failed(self, connection: Connection, job: Job, reason: str) -> None:
        row = row_of(connection, job.subscription.id, lock=True)
        if row is None or row.claimed_by != job.holder:
            return
        _set(connection, row.id, claimed_by=None, claimed_until=0.0)
        if not _is_as_sent(row, job):
            return
        now = time.time()
        since, attempts = row.failing_since or now, row.attempts + 1
        _set(connection, row.id, attempts=attempts, failing_since=since, retry_at=now + self._patience.pause(attempts))
        if job.kind is Kind.HANDSHAKE or now - since >= self._patience.give_up:
            log.warning("subscription-given-up", subscription_ref=row.id, reason=reason, attempts=attempts)
            _change(connection, row.id, status=Status.ERROR.value, error=reason)


def _what(connection: Connection, found: Subscription) -> tuple[Kind | None, tuple[Event, ...]]:
    """What comes next; None when all that waits was deleted while the subscription was off."""
    if found.status is Status.REQUESTED:
        return Kind.HANDSHAKE, ()
    if found.events == found.delivered:
        return Kind.HEARTBEAT, ()
    limit = found.wanted.channel.max_count
    events = events_of(connection, found.id, after=found.delivered, limit=limit)
    return (Kind.EVENT, events) if events else (None, ())


def _is_as_sent(row: Any, job: Job) -> bool:
    """Whether nobody has changed it since: what was sent elsewhere, or to no purpose, counts for nothing."""
    return bool(row.version == job.subscription.version)


def _due(now: float) -> Any:
    table = subscriptions.c
    waiting = or_(table.events > table.delivered, table.heartbeat_at <= now)
    return and_(
        table.channel == REST_HOOK,
        table.claimed_until < now,
        table.retry_at <= now,
        or_(table.ends.is_(None), table.ends > now),
        or_(table.status == Status.REQUESTED.value, and_(table.status == Status.ACTIVE.value, waiting)),
    )


def _is_due(connection: Connection) -> bool:
    return connection.execute(select(subscriptions.c.id).where(_due(time.time())).limit(1)).first() is not None


def _set(connection: Connection, subscription: str, **values: Any) -> None:
    connection.execute(update(subscriptions).where(subscriptions.c.id == subscription).values(values))


def _change(connection: Connection, subscription: str, **values: Any) -> None:
    """Set what a reader can see: a new version of the resource."""
    seen = {"version": subscriptions.c.version + 1, "updated": datetime.now(UTC)}
    connection.execute(update(subscriptions).where(subscriptions.c.id == subscription).values({**values, **seen}))
