"""Lets go of what nobody asks for any more, a portion in each transaction: whoever waits for an answer goes first."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, bindparam, delete, exists, or_, select

from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.mapping_tables import loss_counts, loss_sets, losses
from services.hl7_fhir.adapters.outgoing_tables import told
from services.hl7_fhir.adapters.past_provenance import PastProvenance
from services.hl7_fhir.adapters.superseded import Superseded
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.adapters.worklist_tables import (
    step_report_steps,
    step_report_studies,
    step_reports,
    steps,
    study_images,
)
from shared.errors import RetryLater
from shared.observability import logger
from shared.sql import Database

#: Rows that one transaction lets go, seconds between two of them, and between two looks at everything.
_PORTION = 500
_BREATH = 0.2
_LOOK_EVERY = 6 * 3600.0

log = logger("causeway.hl7")


@dataclass(frozen=True)
class Ages:
    """How long things are kept: what tells that a message came and what it changed, and versions of resources (None:
    for ever)."""

    messages: timedelta
    versions: timedelta | None = None


@dataclass(frozen=True)
class _Kind:
    """Rows of one table by ``key``, those that are ``old`` at a time; ``also`` columns of others that name them."""

    key: tuple[Column[Any], ...]
    old: Callable[[datetime], ColumnElement[bool]]
    also: tuple[Column[Any], ...] = ()

    @property
    def name(self) -> str:
        """The name of the table."""
        return str(self.key[0].table.name)

    def find(self, before: datetime, most: int) -> Select[Any]:
        """The keys of some that are old."""
        return select(*self.key).where(self.old(before)).limit(most)

    def remove(self, connection: Connection, keys: Sequence[Row[Any]]) -> None:
        """Remove the rows with these keys, and those of the others before them."""
        values = [dict(zip(_NAMES, key, strict=False)) for key in keys]
        for column in self.also:
            connection.execute(delete(column.table).where(column == bindparam(_NAMES[0])), values)
        same = (column == bindparam(name) for column, name in zip(self.key, _NAMES, strict=False))
        connection.execute(delete(self.key[0].table).where(*same), values)


_NAMES = ("of_first", "of_second")


class Forgetting:
    """Goes through all kinds; ``still_needed`` says which messages are needed whatever their age."""

    def __init__(
        self,
        database: Database,
        ages: Ages,
        *,
        still_needed: Sequence[ColumnElement[bool]] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._ages = ages
        self._clock = clock
        self._kinds = (_messages(still_needed), *_KINDS)
        self._provenance = PastProvenance(database)
        self._superseded = Superseded(database)

    async def run(self) -> None:
        """For as long as the service lives: a Task."""
        while True:
            try:
                for table, count in (await self.forget()).items():
                    log.info("hl7-rows-forgotten", table=table, count=count)
            except RetryLater as trouble:
                log.warning("hl7-forgetting-waits", reason=trouble.reason)
            await asyncio.sleep(_LOOK_EVERY)

    async def forget(self, portion: int = _PORTION, breath: float = _BREATH) -> dict[str, int]:
        """Let go everything that is old enough: how many rows of which table."""
        now, gone = self._clock(), dict[str, int]()
        for kind in self._kinds:
            found = kind.find(now - self._ages.messages, portion)
            while count := await self._portion(kind, found):
                gone[kind.name] = gone.get(kind.name, 0) + count
                await asyncio.sleep(breath)
        if count := await self._provenance.remove(now - self._ages.messages, portion, breath):
            gone["provenance"] = count
        if self._ages.versions is not None and (count := await self._superseded.remove(now - self._ages.versions)):
            gone["versions"] = count
        return gone

    async def _portion(self, kind: _Kind, found: Select[Any]) -> int:
        """Found beside all others, and asked once more when nobody else writes: one may have come again since."""
        if not await self._database.read(lambda connection: connection.execute(found.limit(1)).all()):
            return 0

        def remove(connection: Connection) -> int:
            lock_feed(connection)
            if keys := connection.execute(found).all():
                kind.remove(connection, keys)
            return len(keys)

        return await self._database.run(remove)


def _messages(still_needed: Sequence[ColumnElement[bool]]) -> _Kind:
    """Whose bytes are gone already; what could not be mapped waits for a person for ever."""
    no_bytes = (messages.c.content.is_(None), messages.c.state.not_in(("waiting", "failed")))
    needless = tuple(~needed for needed in still_needed)
    return _Kind(
        (messages.c.ref,), lambda before: and_(messages.c.received < before, *no_bytes, *needless), (losses.c.ref,)
    )


def _has_step(study: ColumnElement[str]) -> ColumnElement[bool]:
    return exists().where(or_(steps.c.study_uid == study, steps.c.made_uid == study))


def _reports_of_nothing(before: datetime) -> ColumnElement[bool]:
    studies = step_report_studies
    of_steps = exists().where(studies.c.step_ref == step_reports.c.step_ref, _has_step(studies.c.study_uid))
    return and_(step_reports.c.at < before.timestamp(), ~of_steps)


#: What was heard of studies is a part of the steps that are of them, and goes when there were none in all the time.
_KINDS = (
    _Kind((loss_counts.c.sender, loss_counts.c.set_id), lambda before: loss_counts.c.last < before),
    _Kind((loss_sets.c.id,), lambda _: ~exists().where(loss_counts.c.set_id == loss_sets.c.id)),
    _Kind((told.c.ref,), lambda before: told.c.at < before.timestamp()),
    _Kind(
        (study_images.c.study_uid,),
        lambda before: and_(study_images.c.at < before.timestamp(), ~_has_step(study_images.c.study_uid)),
    ),
    _Kind(
        (step_reports.c.step_ref,), _reports_of_nothing, (step_report_studies.c.step_ref, step_report_steps.c.step_ref)
    ),
)
