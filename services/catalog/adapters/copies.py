"""Writing packs, seals and copies into the index. Facts may arrive in any order and more than once."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, exists

from contracts.events import BatchArchived, CopyKey, InstancesQuarantined, PackDeidentified, PackRecalled, Sealed
from contracts.formats.manifest import Instance
from services.catalog.adapters import tables
from services.catalog.adapters.standing import look_ahead
from services.catalog.adapters.upsert import insert_all, insert_new, upsert, upsert_latest
from services.catalog.domain.copies import Told

#: What a copy's state follows from (domain/copies.py).
_TIMES = ("written", "proven", "damaged", "removed")


def add_entries(connection: Connection, pack_id: str, entries: Iterable[tuple[bytes, Instance]]) -> None:
    """Where each instance (by its identity on arrival) lies in the archive of a pack."""
    rows = [
        {
            "pack_id": pack_id,
            "entry": int(instance.entry.partition(".")[0]),
            "identity": key,
            "start": instance.offset,
            "size": instance.length,
        }
        for key, instance in entries
    ]
    insert_all(connection, tables.pack_entry, rows)


def add_deidentified(
    connection: Connection, event: PackDeidentified, entries: Iterable[tuple[bytes, Instance]]
) -> None:
    """A de-identified pack, with where each original's successor lies in it; of several runs the newest counts."""
    row = {
        "pack_id": event.pack_id,
        "source_pack_id": event.source_pack_id,
        "project": event.project,
        "run": event.run,
        "part": event.part,
    }
    newer = tables.deidentified_pack.c.run < event.run
    upsert(connection, tables.deidentified_pack, row, ("pack_id",), where=newer)
    add_entries(connection, event.pack_id, entries)


def add_sealed(connection: Connection, sealed: Sealed) -> None:
    """A sealed pack; the newest seal of the same id wins, because an older one was found broken."""
    row = {
        "sealed_id": sealed.sealed_id,
        "pack_id": sealed.pack_id,
        "form": sealed.form,
        "document": sealed.model_dump_json(),
    }
    upsert(connection, tables.sealed, row, ("sealed_id",))


def add_copy(connection: Connection, key: CopyKey, state: str, **facts: Any) -> None:
    """A fact about one generation of a copy, with its times; of two of a kind the later one counts.

    ValueError without the time of ``state``: only of a refusal nothing follows but that there was nothing else.
    """
    if state != "failed" and state not in facts:
        raise ValueError(f"when was the copy {state}?")
    row = {
        "sealed_id": key.sealed_id,
        "target": key.target,
        "generation": key.generation,
        "pack_id": key.pack_id,
        "form": key.form,
        "tier": key.tier,
        "keys": json.dumps(key.keys),
        **facts,
    }
    upsert_latest(connection, tables.copy, row, ("sealed_id", "target", "generation"), _TIMES, {"level": "proven"})


def told(row: Row[Any]) -> Told:
    """What is known of the copy in ``row``."""
    return Told(written=row.written, proven=row.proven, damaged=row.damaged, removed=row.removed)


def add_recalled(connection: Connection, event: PackRecalled) -> None:
    """A pack is called back, whichever of its copies were heard of by now."""
    row = {
        "pack_id": event.pack_id,
        "project": event.project,
        "profile": event.profile,
        "profile_version": event.profile_version,
        "recalled": event.recalled.timestamp(),
    }
    insert_new(connection, tables.recalled_pack, [row])


def stands(table: Table = tables.copy) -> ColumnElement[bool]:
    """Whether the pack of a copy, or of a row of another ``table``, was not called back."""
    return ~exists().where(tables.recalled_pack.c.pack_id == table.c.pack_id)


def add_withheld(connection: Connection, event: InstancesQuarantined) -> None:
    """The instances that de-identification withheld; of several runs the newest counts."""
    keys, newer = ("pack_id", "project", "sop_uid", "dataset_sha256"), tables.withheld.c.run < event.run
    for entry in event.withheld:
        row = {
            "pack_id": event.pack_id,
            "project": event.project,
            "sop_uid": entry.sop_instance_uid,
            "dataset_sha256": entry.dataset_sha256,
            "reason": entry.reason,
            "run": event.run,
        }
        upsert(connection, tables.withheld, row, keys, where=newer)


def archive_batch(connection: Connection, event: BatchArchived, when: float) -> None:
    """The batch is archived; it may be so before its instances are in the index."""
    row = {
        "batch_id": event.batch_id,
        "study_uid": event.study_uid,
        "study_ref": event.study_ref,
        "instances": 0,
        "closed": when,
        "archived": True,
        "withheld": event.withheld,
    }
    upsert(connection, tables.batch, row, ("batch_id",), only=("archived", "withheld"))
    if event.study_uid is not None:
        look_ahead(connection, event.study_uid)
