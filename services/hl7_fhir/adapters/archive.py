"""The messages that were kept, as an operator sees them and decides about them, and how long their bytes stay."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, literal, select, update

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.losses import loss_report, losses_of
from services.hl7_fhir.adapters.tables import IS_FLAGGED, IS_OPEN, messages
from services.hl7_fhir.domain.intake.keeping import Kept, State
from shared.errors import RetryLater
from shared.observability import logger
from shared.sql import Database

#: Contents that one transaction lets go.
_PORTION = 500
#: Seconds between two looks at what has been kept long enough.
_LOOK_EVERY = 3600.0
#: Seconds between two portions: whoever waits for an answer goes first.
_BREATH = 0.2

log = logger("causeway.hl7")


class SqlArchive:
    """The archive in SQL; ``still_needed`` says of which messages the bytes are needed whatever their age."""

    def __init__(
        self,
        database: Database,
        contents: Contents,
        keep: timedelta,
        *,
        still_needed: Sequence[ColumnElement[bool]] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._contents = contents
        self._keep = keep
        self._still_needed = tuple(still_needed)
        self._clock = clock

    async def listed(
        self, states: Sequence[State], limit: int, before: int | None = None, flag: str | None = None
    ) -> tuple[Kept, ...]:
        """Messages in one of ``states``, those that came last first; ``before``: the sequence to go on from.

        With ``flag`` only those that have it.
        """
        wanted = select(messages).where(messages.c.state.in_(states)).order_by(messages.c.sequence.desc()).limit(limit)
        if flag is not None:
            wanted = wanted.where(
                IS_FLAGGED, (literal(" ") + messages.c.flags + " ").contains(f" {flag} ", autoescape=True)
            )
        elif "done" not in states:
            wanted = wanted.where(IS_OPEN)
        if before is not None:
            wanted = wanted.where(messages.c.sequence < before)
        found = await self._database.read(lambda connection: connection.execute(wanted).all())
        return tuple(map(_kept, found))

    async def counts(self) -> dict[str, int]:
        """How many messages are in each state but ``done``."""
        state = messages.c.state
        counted = select(state, func.count().label("number")).where(IS_OPEN).group_by(state)
        found = await self._database.read(lambda connection: connection.execute(counted).all())
        return {row.state: row.number for row in found}

    async def one(self, ref: str) -> tuple[Kept, bytes | None] | None:
        """A message with its bytes, None for them when they are gone; None when there is no such message.

        Unprocessable when the bytes cannot be opened.
        """
        wanted = select(messages).where(messages.c.ref == ref)
        row = await self._database.read(lambda connection: connection.execute(wanted).one_or_none())
        return None if row is None else (_kept(row), self._content(row))

    async def lost(self, ref: str) -> tuple[str, ...]:
        """The fields of a message that were valued and went nowhere."""
        return await self._database.read(lambda connection: losses_of(connection, ref))

    async def losses(self, sender: str | None, limit: int) -> Sequence[tuple[str, str, int]]:
        """(MSH-3, field, messages) of all senders or one, at most ``limit``, the most frequent first."""
        found = await self._database.read(lambda connection: loss_report(connection, sender))
        return found[:limit]

    async def settle(self, ref: str, state: State) -> bool:
        """Let a message that was refused or has failed be ``state``; whether it was one."""
        undecided = (messages.c.ref == ref, messages.c.state.in_(("refused", "failed")))

        def decide(connection: Connection) -> bool:
            return connection.execute(update(messages).where(*undecided).values(state=state)).rowcount == 1

        return await self._database.run(decide)

    async def run(self) -> None:
        """Let go what has been kept long enough, for as long as the service lives: a Task."""
        while True:
            try:
                while gone := await self.let_go():
                    log.info("hl7-contents-removed", count=gone)
                    await asyncio.sleep(_BREATH)
            except RetryLater as trouble:
                log.warning("hl7-retention-waits", reason=trouble.reason)
            await asyncio.sleep(_LOOK_EVERY)

    async def let_go(self) -> int:
        """Remove the bytes of some messages that are older than they are kept; how many. The rows stay.

        What waits, to be mapped or for a receiver, is not removed; what was refused or has failed is, undecided or not.
        """
        may_go = (
            messages.c.received < self._clock() - self._keep,
            messages.c.content.is_not(None),
            messages.c.state != "waiting",
            *(~needed for needed in self._still_needed),
        )
        old = select(messages.c.sequence).where(*may_go).order_by(messages.c.received).limit(_PORTION)
        numbers = await self._database.read(lambda connection: connection.execute(old).scalars().all())
        if not numbers:
            return 0
        # Asked once more: one of them may have come again since.
        gone = update(messages).where(messages.c.sequence.in_(numbers), *may_go).values(content=None)
        return await self._database.run(lambda connection: connection.execute(gone).rowcount)

    def _content(self, row: Row[Any]) -> bytes | None:
        return None if row.content is None else self._contents.of(row)


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        sequence=row.sequence,
        ref=row.ref,
        received=row.received if row.received.tzinfo else row.received.replace(tzinfo=UTC),
        origin=row.origin,
        type=row.type,
        trigger=row.trigger_event,
        state=row.state,
        code=row.code,
        reason=row.reason,
        place=row.place,
        flags=tuple(row.flags.split()),
        size=row.size,
        corrects=row.corrects,
    )
