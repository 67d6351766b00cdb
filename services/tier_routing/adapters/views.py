"""Packs and copies as the domain sees them."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from contracts.events import CopyKey
from services.tier_routing.adapters import desk, packs, tables
from services.tier_routing.domain import overdue
from services.tier_routing.domain.ledger import PackView, Quarantine, Wanted
from services.tier_routing.domain.observed import Observed

_FIELDS = (
    "written",
    "proven",
    "level",
    "damaged",
    "damage",
    "failed",
    "failure",
    "retrying",
    "expired",
    "removed",
)


def pack_of(connection: Connection, pack_id: str) -> Row[Any] | None:
    """The pack of ``pack_id``, or of which that is the de-identified one, held to the end of the transaction.

    For an id that is not known yet a row is made, and held, in ``deidentified``: who brings the rest waits for it.
    """
    found = _held(connection, pack_id)
    if found:
        return found
    desk.insert_new(connection, tables.deidentified, [{"pack_id": pack_id}])
    mine = tables.deidentified.c.pack_id == pack_id
    link = connection.execute(desk.locked(select(tables.deidentified).where(mine))).one()
    return _held(connection, link.source_pack_id) if link.source_pack_id else None


def _held(connection: Connection, pack_id: str) -> Row[Any] | None:
    number = connection.execute(select(tables.packs.c.number).where(tables.packs.c.pack_id == pack_id)).scalar()
    return None if number is None else packs.row(connection, number)


def view_of(connection: Connection, pack: Row[Any]) -> PackView:
    """Everything that is known of a closed pack."""
    links = tables.deidentified
    mine = select(links).where(links.c.source_pack_id == pack.pack_id).order_by(links.c.told)
    back, anew = recalls(connection, pack.pack_id), _called_back(connection, pack.pack_id)
    found = {(row.project, row.part): row.pack_id for row in connection.execute(mine) if row.pack_id not in back}
    clean = {project: pack_id for (project, part), pack_id in found.items() if part == 0}
    pack_ids = [pack.pack_id, *found.values()]
    held, seals, copies = tables.quarantines, tables.seals, tables.copies
    withheld = connection.execute(select(held).where(held.c.pack_id.in_(pack_ids)).order_by(held.c.told))
    sealed = connection.execute(select(seals).where(seals.c.pack_id.in_(pack_ids)))
    there = copies.c.pack_id.in_([*pack_ids, *back])
    known = [_from_row(row) for row in connection.execute(select(copies).where(there).order_by(copies.c.generation))]
    return PackView(
        pack_id=pack.pack_id,
        wanted=wanted_of(connection, pack.number),
        commit_after=tuple(json.loads(pack.commit_after)),
        observed=tuple(one for one in known if one.key.pack_id not in back),
        deidentified=clean,
        quarantines={
            row.project: Quarantine(row.withheld, row.released)
            for row in withheld
            if row.project not in anew or row.told > anew[row.project]
        },
        parts=_parts(found),
        sealed={(row.pack_id, row.key_domain): row.sealed_id for row in sealed},
        recalled=tuple(one for one in known if one.key.pack_id in back),
    )


def _parts(found: Mapping[tuple[str, int], str]) -> dict[str, tuple[str, ...]]:
    """By project, the packs of its further parts in their order."""
    parts: dict[str, tuple[str, ...]] = {}
    for (project, part), pack_id in sorted(found.items()):
        if part:
            parts[project] = (*parts.get(project, ()), pack_id)
    return parts


def recalls(connection: Connection, pack_id: str) -> dict[str, str]:
    """The de-identified packs of a pack that were called back, each with the recall that did it."""
    table = tables.recalled
    rows = connection.execute(select(table).where(table.c.source_pack_id == pack_id))
    return {row.pack_id: row.recall_id for row in rows}


def _called_back(connection: Connection, pack_id: str) -> dict[str, datetime]:
    """When something of a pack was last called back, by project: what was withheld before that is looked at anew."""
    table, links = tables.recalled, tables.deidentified
    latest = select(links.c.project, func.max(table.c.told).label("latest")).group_by(links.c.project)
    mine = latest.join_from(table, links, links.c.pack_id == table.c.pack_id).where(table.c.source_pack_id == pack_id)
    return {row.project: row.latest for row in connection.execute(mine)}


def wanted_of(connection: Connection, number: int) -> tuple[Wanted, ...]:
    """What the ledger wants, or wanted, of a pack."""
    table = tables.wanted
    mine = select(table).where(table.c.pack == number).order_by(table.c.form.desc(), table.c.target, table.c.key_domain)
    return tuple(Wanted(packs.copy_of(row), row.state, row.generation) for row in connection.execute(mine))


def observed(connection: Connection, key: CopyKey) -> Observed:
    """What is known of one generation of a copy, held to the end of the transaction."""
    table = tables.copies
    mine = (table.c.sealed_id == key.sealed_id, table.c.target == key.target, table.c.generation == key.generation)
    row = connection.execute(desk.locked(select(table).where(*mine))).first()
    known = _from_row(row) if row else Observed(key)
    # A copy that could not be written is told without keys.
    return (
        known if known.key.keys or not key.keys else Observed(key, **{name: getattr(known, name) for name in _FIELDS})
    )


def save(connection: Connection, one: Observed) -> None:
    """Write down what is known of one generation of a copy."""
    values = {
        "sealed_id": one.key.sealed_id,
        "target": one.key.target,
        "generation": one.key.generation,
        "pack_id": one.key.pack_id,
        "key": one.key.model_dump_json(),
        **{name: getattr(one, name) for name in _FIELDS},
    }
    desk.upsert(connection, tables.copies, values)


def is_archived(connection: Connection, pack: Row[Any]) -> bool:
    """Whether the batches of a pack are archived under its plan."""
    table, held, first = tables.batches, tables.members, tables.members.alias("first")
    joined = select(table.c.number).join_from(held, table, table.c.number == held.c.batch)
    # A batch that lies in several packs is archived under the plan of the first.
    elsewhere = select(first.c.pack).where(first.c.batch == held.c.batch, first.c.pack < held.c.pack).exists()
    outdated = table.c.archived.is_(None) | (~elsewhere & table.c.archived_plan.is_distinct_from(pack.plan_id))
    left = joined.where(held.c.pack == pack.number, outdated)
    return connection.execute(left.limit(1)).first() is None


def away(connection: Connection, targets: Iterable[str]) -> frozenset[str]:
    """Those of the targets that gave no answer, to any copy at all, since they last took one."""
    return frozenset(name for name in set(targets) if _is_away(connection, name))


def _is_away(connection: Connection, target: str) -> bool:
    table = tables.copies
    here = table.c.target == target
    failed = connection.execute(select(func.max(table.c.failed)).where(here, table.c.retrying.is_(True))).scalar()
    taken = connection.execute(select(func.max(table.c.written)).where(here)).scalar()
    return overdue.is_away(failed, taken)


def _from_row(row: Row[Any]) -> Observed:
    known = {name: getattr(row, name) for name in _FIELDS}
    return Observed(CopyKey.model_validate_json(row.key), **known | {"failure": row.failure or ""})
