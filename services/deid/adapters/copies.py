"""Where copies of packs lie, in SQL: facts may arrive in any order, so each is kept with its time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, exists, func, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from contracts.events import CopyKey
from services.deid.adapters.tables import known_copy

#: When a generation that was removed is lost: a late proof of it changes nothing.
FOR_GOOD = 1e12


def note(connection: Connection, copy: CopyKey, **times: float) -> None:
    """Note when a copy was ``proven``, or ``lost``; of two of a kind the later counts."""
    row: dict[str, Any] = {
        "sealed_id": copy.sealed_id,
        "target": copy.target,
        "generation": copy.generation,
        "pack_id": copy.pack_id,
        "document": copy.model_dump_json(),
        **times,
    }
    insert = (sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert)(known_copy).values(row)
    later = {name: _later(known_copy.c[name], insert.excluded[name]) for name in times}
    connection.execute(insert.on_conflict_do_update(index_elements=["sealed_id", "target", "generation"], set_=later))


def _later(old: ColumnElement[float], new: ColumnElement[float]) -> ColumnElement[float]:
    return case((old > new, old), else_=func.coalesce(new, old))


def proven(connection: Connection, pack_id: str) -> Sequence[CopyKey]:
    """The proven copies of a pack, the newest generation first."""
    table = known_copy.c
    query = select(table.document).where(table.pack_id == pack_id, _is_proven())
    found = connection.execute(query.order_by(table.generation.desc(), table.target)).scalars()
    return [CopyKey.model_validate_json(document) for document in found]


def has_proven(pack_id: Any) -> ColumnElement[bool]:
    """Whether the pack, by its id or a column with it, has a proven copy."""
    return exists(select(1).select_from(known_copy).where(known_copy.c.pack_id == pack_id, _is_proven()))


def _is_proven() -> ColumnElement[bool]:
    """As in the ledger: the last word on the generation is a proof."""
    table = known_copy.c
    return table.proven.is_not(None) & (table.lost.is_(None) | (table.proven > table.lost))
