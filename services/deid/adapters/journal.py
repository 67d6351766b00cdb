"""The journal of the identity map: sealed write-once objects on site, from which its tables can be rebuilt.

An entry is noted in the transaction that it tells of, and written to the store before anything of it leaves the
service; so the map never knows less than what is out.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection, delete, func, insert, select

from services.deid.adapters import tables
from services.deid.adapters.map_keys import MapKeys
from services.deid.domain.journal import FORMAT, Entry, Sealing, from_object, to_object
from shared.errors import RetryLater
from shared.observability import logger
from shared.sql import Database
from shared.storage import BlobExists, BlobStore

FOLDER = "journal"
_AT_ONCE = 32
#: Seconds between two looks for entries that nobody wrote.
_LOOK_EVERY = 5.0

log = logger("causeway.deid.journal")

#: Puts what an entry says into the tables, unless it is there.
Apply = Callable[[Connection, Entry], None]


class Journal:
    """Notes entries in the database and writes them to ``store``."""

    def __init__(self, database: Database, store: BlobStore, keys: MapKeys) -> None:
        self._database = database
        self._store = store
        self._keys = keys

    def note(self, connection: Connection, entry: Entry) -> None:
        """Have an entry written, if this transaction is."""
        cipher = self._keys.of(connection, entry.project)
        sealed = cipher.seal(FORMAT + entry.project, entry.model_dump_json().encode())
        document = to_object(Sealing(entry.project, cipher.kek_id, cipher.wrapped), sealed)
        connection.execute(insert(tables.journal).values(document=document))

    async def flush(self) -> None:
        """Write everything that is noted; on return it is durable. RetryLater."""
        while rows := await self._database.read(_noted):
            for _, document in rows:
                with suppress(BlobExists):  # another process writes the same
                    await self._store.put(f"{FOLDER}/{hashlib.sha256(document).hexdigest()}", document)
            await self._database.run(partial(_written, numbers=[number for number, _ in rows]))

    async def run(self) -> None:
        """Write what a process that died has left, for ever."""
        while True:
            try:
                await self.flush()
            except RetryLater as error:
                log.warning("journal-waits", reason=error.reason)
            await asyncio.sleep(_LOOK_EVERY)

    async def rebuild(self, apply: Apply) -> int:
        """Where the map is empty, make it again from the journal; how many entries that took."""
        if not await self._database.read(_is_empty):
            return 0
        count = 0
        async for blob in self._store.list(FOLDER):
            document = await self._store.get(blob.key)
            await self._database.run(partial(self._again, document=document, apply=apply))
            count += 1
        if count:
            log.warning("identity-map-rebuilt", entries=count)
        return count

    def _again(self, connection: Connection, document: bytes, apply: Apply) -> None:
        sealing, sealed = from_object(document)
        cipher = self._keys.recover(*sealing)
        self._keys.keep(connection, sealing.project, cipher)
        apply(connection, Entry.model_validate_json(cipher.open(FORMAT + sealing.project, sealed)))


def _noted(connection: Connection) -> Sequence[tuple[int, bytes]]:
    table = tables.journal.c
    rows = connection.execute(select(table.number, table.document).order_by(table.number).limit(_AT_ONCE))
    return [(row.number, bytes(row.document)) for row in rows]


def _written(connection: Connection, numbers: Sequence[int]) -> None:
    connection.execute(delete(tables.journal).where(tables.journal.c.number.in_(numbers)))


def _is_empty(connection: Connection) -> bool:
    """Whether nothing was ever decided here: a data key is made with the first entry."""
    return not connection.execute(select(func.count()).select_from(tables.map_key)).scalar_one()
