"""Where batches lie whose landing archive is released, in SQL."""

import json
from collections.abc import Sequence

from sqlalchemy import select

from contracts.events import BatchArchived, ProvenCopy
from services.forwarding.adapters import tables
from services.forwarding.adapters.upsert import upsert
from shared.sql import Database


class ArchivedBatches:
    """What the ledger of the site said of archived batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, event: BatchArchived) -> None:
        """Keep the identified copies; of two words on a batch the later counts."""
        copies = [copy.model_dump(mode="json") for copy in event.copies if copy.form == "identified"]
        row = {"batch_id": event.batch_id, "document": json.dumps(copies)}
        await self._database.run(lambda connection: upsert(connection, tables.archived, [row]))

    async def copies(self, batch_id: str) -> Sequence[ProvenCopy]:
        """The identified copies that were proven when the batch was archived."""
        query = select(tables.archived.c.document).where(tables.archived.c.batch_id == batch_id)
        text = await self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())
        return [ProvenCopy.model_validate(row) for row in json.loads(text or "[]")]
