"""Bounds what refused messages take up: anybody may send them, and nobody may fill the disk with them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select

from services.hl7_fhir.adapters.tables import IS_AE, messages
from services.hl7_fhir.domain.intake.sharing import shares
from shared.errors import RetryLater
from shared.observability import logger, metrics
from shared.sql import Database

#: What a row takes beside the bytes of its message, about.
_ROW = 1024
#: Messages that one transaction lets go.
_PORTION = 500
#: Seconds between two looks when hardly anything is refused.
_LOOK_EVERY = 600.0
#: It is looked sooner once this part of what is allowed has come.
_PART = 16

_SIZE = messages.c.size + _ROW

log = logger("causeway.hl7")


@dataclass(frozen=True)
class Limits:
    """Bytes that refused messages may take up: those of one sender at one address, and all of them."""

    each: int
    together: int


@dataclass(frozen=True)
class _Group:
    """Who sent: the name in the registry, and the address."""

    origin: str
    peer: str


class Refusals:
    """Lets the oldest refused messages go, with their rows; ``still_needed`` says which are needed all the same."""

    def __init__(self, database: Database, limits: Limits, *, still_needed: Sequence[ColumnElement[bool]] = ()) -> None:
        self._database = database
        self._limits = limits
        self._may_go = and_(IS_AE, *(~needed for needed in still_needed))
        self._new = 0
        self._woken = asyncio.Event()

    def refused(self, sizes: Sequence[int]) -> None:
        """Messages of so many bytes each were kept that are refused."""
        self._new += sum(size + _ROW for size in sizes)
        if self._new * _PART >= min(self._limits.each, self._limits.together):
            self._woken.set()

    async def run(self) -> None:
        """For as long as the service lives: a Task."""
        while True:
            self._woken.clear()
            self._new = 0
            try:
                await self.bound()
            except RetryLater as trouble:
                log.warning("hl7-refused-not-bounded", reason=trouble.reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._woken.wait()

    async def bound(self) -> int:
        """Let go what is too much; how many messages."""
        held = await self._database.read(_held)
        kept = shares(held, each=self._limits.each, together=self._limits.together)
        gone = 0
        for group, size in kept.items():
            gone += await self._let_go(group, held[group] - size)
        return gone

    async def _let_go(self, group: _Group, excess: int) -> int:
        """The oldest of a sender until ``excess`` bytes are gone; how many messages."""
        count = freed = 0
        while freed < excess:
            some, size = await self._portion(group, excess - freed)
            if not some:
                break
            count, freed = count + some, freed + size
        if count:
            metrics().count("causeway_hl7_refused_forgotten_total", count)
            log.warning(
                "hl7-refused-forgotten", count=count, bytes=freed, who=group.origin or "stranger", address=group.peer
            )
        return count

    async def _portion(self, group: _Group, excess: int) -> tuple[int, int]:
        """Messages and bytes that went."""
        of_group = and_(self._may_go, messages.c.origin == group.origin, messages.c.peer == group.peer)
        oldest = select(messages.c.sequence, _SIZE.label("size")).where(of_group).order_by(messages.c.sequence)
        rows = await self._database.read(lambda connection: connection.execute(oldest.limit(_PORTION)).all())
        chosen, size = [], 0
        for row in rows:
            if size >= excess:
                break
            chosen.append(row.sequence)
            size += row.size
        # Asked once more: one of them may have been corrected since.
        gone = delete(messages).where(messages.c.sequence.in_(chosen), of_group)
        return (await self._database.run(lambda c: c.execute(gone).rowcount), size) if chosen else (0, 0)


_WHO = (messages.c.origin, messages.c.peer)
_HELD = select(*_WHO, func.sum(_SIZE).label("size")).where(IS_AE).group_by(*_WHO)


def _held(connection: Connection) -> dict[_Group, int]:
    return {_Group(row.origin, row.peer): int(row.size) for row in connection.execute(_HELD)}
