"""De-identified packs of what was released from quarantine, in SQL."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from services.deid.adapters import copies, tables
from services.deid.domain.facts import Result
from services.deid.domain.quarantine import Entry


def of(connection: Connection, source_pack_id: str, project: str) -> Sequence[tuple[int, Result]]:
    """The parts of a pack for a project, by number."""
    table = tables.part
    mine = select(table).where(table.c.source_pack_id == source_pack_id, table.c.project == project)
    rows = connection.execute(mine.order_by(table.c.part))
    return [(row.part, Result.model_validate_json(row.document)) for row in rows]


def add(connection: Connection, entry: Entry, asked: float, result: Result) -> None:
    """Keep a part, with the next number. Whoever calls holds the pack's result."""
    table = tables.part
    mine = (table.c.source_pack_id == entry.source_pack_id, table.c.project == entry.project)
    last = connection.execute(select(func.max(table.c.part)).where(*mine)).scalar() or 0
    row = {
        "source_pack_id": entry.source_pack_id,
        "project": entry.project,
        "part": last + 1,
        "pack_id": result.pack_id,
        "entry": entry.id,
        "study_ref": entry.study_ref,
        "profile": result.profile,
        "profile_version": result.profile_version,
        "asked": asked,
        "released": False,
        "told": False,
        "document": result.model_dump_json(),
    }
    connection.execute(insert(table).values(row))


def releasable(connection: Connection, *, pack_id: str | None = None, batch_id: str | None = None) -> Sequence[Result]:
    """Of the parts of a batch, or of the one of this pack, those whose bytes nobody needs any longer.

    The ledger tells once more that batches are archived when a part's copies are all proven (tier_routing).
    """
    table, batches = tables.part, tables.result_batch
    same = (batches.c.source_pack_id == table.c.source_pack_id) & (batches.c.project == table.c.project)
    waits = select(batches.c.batch_id).where(same, batches.c.archived.is_(None) | (batches.c.archived <= table.c.asked))
    if pack_id is not None:
        wanted = table.c.pack_id == pack_id
    else:
        wanted = select(batches.c.batch_id).where(same, batches.c.batch_id == batch_id).correlate(table).exists()
    settled = ~waits.correlate(table).exists() & copies.has_proven(table.c.pack_id)
    rows = connection.execute(select(table).where(wanted, table.c.released.is_(False), settled)).all()
    return [Result.model_validate_json(row.document) for row in rows]
