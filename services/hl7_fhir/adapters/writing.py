"""What FHIR clients write, each request in one transaction, all of it or nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.indexing import is_complete
from services.hl7_fhir.adapters.resources import load, write_version
from services.hl7_fhir.adapters.rows import stored
from services.hl7_fhir.adapters.searching import search
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.fhir import search as searches
from services.hl7_fhir.domain.fhir.documents import CLIENT, Stored
from services.hl7_fhir.domain.fhir.writes import Write, WriteRefused, resolved
from shared.errors import RetryLater
from shared.sql import Database


class SqlWriter:
    """Writes into a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, asked: Sequence[Write], now: datetime, *, every: bool) -> list[Stored]:
        """Each as it then is; what messages made is left alone unless ``every`` is set.

        WriteRefused, SearchRefused for a condition, RetryLater: nothing was written then.
        """
        return await self._database.run(lambda connection: _write(connection, asked, now, every))


def _write(connection: Connection, asked: Sequence[Write], now: datetime, every: bool) -> list[Stored]:
    lock_feed(connection)
    known = [_existing(connection, write, now) for write in asked]
    names = dict(_names(asked, known))
    new = [write for write, existing in zip(asked, known, strict=True) if existing is None]
    for write in sorted(new, key=lambda write: not write.is_create):
        _apply(connection, resolved(write, names), now, every)
    return [existing or _read(connection, write) for write, existing in zip(asked, known, strict=True)]


def _apply(connection: Connection, write: Write, now: datetime, every: bool) -> None:
    before = load(connection, write.kind, write.id)
    if write.is_create == (before is not None):
        raise WriteRefused(405 if before is None else 409, "resource-unknown" if before is None else "id-taken")
    if before and before.message_ref != CLIENT and not every:
        raise WriteRefused(403, "resource-of-messages")
    if before and before.version != write.version:
        raise WriteRefused(412, "version-differs")
    write_version(
        connection,
        kind=write.kind,
        resource_id=write.id,
        before=before,
        record=before.record if before else {},
        body=write.body,
        patient=_patient(write),
        message_ref=CLIENT,
        now=now,
    )


def _existing(connection: Connection, write: Write, now: datetime) -> Stored | None:
    """The one resource that the condition of a create finds; WriteRefused when it finds several."""
    if write.unless is None:
        return None
    if not is_complete(connection):
        raise RetryLater("index-being-made")
    found = search(connection, searches.read(write.kind, (*write.unless, ("_count", "2")), now)).found
    if len(found) > 1:
        raise WriteRefused(412, "condition-not-selective")
    return found[0] if found else None


def _names(asked: Sequence[Write], known: Sequence[Stored | None]) -> Iterator[tuple[str, str]]:
    for write, existing in zip(asked, known, strict=True):
        if write.url:
            yield write.url, f"{write.kind}/{existing.id if existing else write.id}"


def _read(connection: Connection, write: Write) -> Stored:
    return stored(
        connection.execute(select(resources).where(resources.c.type == write.kind, resources.c.id == write.id)).one()
    )


def _patient(write: Write) -> str | None:
    kind, _, patient = str(write.body.get("subject", {}).get("reference", "")).partition("/")
    return patient if kind == "Patient" and len(patient) <= 64 else None
