"""The index in a database, as the handlers see it: each call is one transaction."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from contracts.events import (
    BatchArchived,
    CopyKey,
    InstancesQuarantined,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PackDeidentified,
    PackRecalled,
    PatientMerged,
    Sealed,
)
from contracts.formats.manifest import Instance
from services.catalog.adapters import copies, locations, merged, orders, register, searching, steps, studies
from services.catalog.domain.arrival import Batch
from services.catalog.domain.search import Search
from services.catalog.domain.steps import Reported
from shared.identity import SiteKey
from shared.sql.database import Database


class SqlIndex:
    """Writes what arrived and what became of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, batch: Batch) -> None:
        await self._write(register.register, batch)

    async def archive_batch(self, event: BatchArchived, when: float) -> None:
        await self._write(copies.archive_batch, event, when)

    async def add_order(self, order: OrderPlaced | OrderChanged) -> None:
        await self._write(orders.add_order, order, cancelled=False)

    async def cancel_order(self, order: OrderCancelled) -> None:
        await self._write(orders.add_order, order, cancelled=True)

    async def add_merge(self, event: PatientMerged) -> None:
        await self._write(merged.add_merge, event)

    async def add_report(self, reported: Reported) -> None:
        await self._write(steps.add_report, reported)

    async def add_entries(self, pack_id: str, entries: Iterable[tuple[bytes, Instance]]) -> None:
        await self._write(copies.add_entries, pack_id, entries)

    async def add_deidentified(self, event: PackDeidentified, entries: Iterable[tuple[bytes, Instance]]) -> None:
        await self._write(copies.add_deidentified, event, entries)

    async def add_withheld(self, event: InstancesQuarantined) -> None:
        await self._write(copies.add_withheld, event)

    async def add_recalled(self, event: PackRecalled) -> None:
        await self._write(copies.add_recalled, event)

    async def add_sealed(self, sealed: Sealed) -> None:
        await self._write(copies.add_sealed, sealed)

    async def add_copy(self, key: CopyKey, state: str, **facts: Any) -> None:
        await self._write(copies.add_copy, key, state, **facts)

    async def _write(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        await self._database.run(lambda connection: work(connection, *args, **kwargs))


class SqlQuestions:
    """Reads the index. ``patient_issuer`` is that of ids that name none."""

    def __init__(self, database: Database, site_key: SiteKey, patient_issuer: str) -> None:
        self._database = database
        self._site_key = site_key
        self._patient_issuer = patient_issuer

    async def search(self, asked: Search, base: str) -> tuple[list[dict[str, Any]], bool]:
        def work(connection: Connection) -> tuple[list[dict[str, Any]], bool]:
            query = replace(asked, person=self._person(connection, asked))
            found = searching.search(connection, query, base)
            return found, len(found) == query.limit and searching.has_more(connection, query)

        return await self._database.read(work)

    def _person(self, connection: Connection, asked: Search) -> frozenset[str]:
        ids, issuers = asked.ids()
        named = [(issuer, each) for each in ids for issuer in issuers or (self._patient_issuer,)]
        tokens = [self._site_key.patient_token(*one) for one in named]
        return merged.one_person(connection, ids if not issuers else (), tokens) if ids else frozenset()

    async def overview(self, study_uid: str | None) -> dict[str, Any]:
        def work(connection: Connection) -> dict[str, Any]:
            listed = studies.listing(connection, study_uid)
            return {"studies": listed, "without_study": studies.without_study(connection)}

        return await self._database.read(work)

    async def where(self, sop_uid: str) -> dict[str, Any] | None:
        return await self._database.read(lambda connection: locations.where(connection, sop_uid))

    async def where_all(self, study_uid: str | None) -> list[dict[str, Any]]:
        return await self._database.read(lambda connection: locations.where_all(connection, study_uid))
