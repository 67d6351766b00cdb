"""Where every version of an instance lies, and when that was last proven."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from contracts.events import Sealed
from services.catalog.adapters.copies import stands, told
from services.catalog.adapters.tables import (
    copy,
    deidentified_pack,
    instance,
    pack_entry,
    recalled_pack,
    sealed,
    withheld,
)
from services.catalog.domain.copies import State, state_of, was_let_go
from services.catalog.domain.location import locate

#: Copies in these states are there, or were found to be damaged and are being written again.
_SHOWN: tuple[State, ...] = ("written", "proven", "damaged")


def where(connection: Connection, sop_uid: str) -> dict[str, Any] | None:
    """The document of ``causeway where``; None when no such instance is known."""
    versions = connection.execute(select(instance).where(instance.c.sop_uid == sop_uid).order_by(instance.c.version))
    found = [_version(connection, row) for row in versions]
    return {"sop_instance_uid": sop_uid, "versions": found} if found else None


def where_all(connection: Connection, study_uid: str | None) -> list[dict[str, Any]]:
    """The documents of every instance of a study, or of those without one."""
    mine = instance.c.study_uid == study_uid if study_uid is not None else instance.c.study_uid.is_(None)
    uids = connection.execute(select(instance.c.sop_uid).where(mine).distinct().order_by(instance.c.sop_uid))
    return [document for (uid,) in uids if (document := where(connection, uid)) is not None]


def _version(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    copies = select(pack_entry, sealed.c.document, copy).select_from(
        pack_entry.join(sealed, sealed.c.pack_id == pack_entry.c.pack_id).join(
            copy, copy.c.sealed_id == sealed.c.sealed_id
        )
    )
    mine = copies.where(pack_entry.c.identity == row.identity, stands())
    found = connection.execute(mine.order_by(copy.c.target, copy.c.form, copy.c.generation))
    return {
        "version": row.version,
        "sop_class_uid": row.sop_class,
        "study_uid": row.study_uid,
        "dataset_sha256": row.dataset_sha256,
        "transfer_syntax": row.transfer_syntax,
        "copies": [_copy(each, state) for each in found if (state := state_of(told(each))) in _SHOWN],
        **_held_back(connection, row),
        "recalled": _recalled(connection, row),
    }


def _copy(row: Row[Any], state: State) -> dict[str, Any]:
    found = row._mapping
    keys = json.loads(found["keys"])
    seal = Sealed.model_validate_json(row.document)
    place = locate(seal, found[pack_entry.c.start], found[pack_entry.c.size])
    return {
        "target": found[copy.c.target],
        "form": found[copy.c.form],
        "tier": found[copy.c.tier],
        "generation": found[copy.c.generation],
        "state": state,
        "key": keys[place.part - 1],
        "offset": place.offset,
        "length": place.length,
        "pack_id": found[copy.c.pack_id],
        "sealed_id": found[copy.c.sealed_id],
        "entry": found[pack_entry.c.entry],
        "parts": [{"key": key, "size": part.size} for key, part in zip(keys, seal.parts, strict=False)],
        "study_key": seal.study_key.key,
        "written": _moment(found["written"]),
        "proven": _moment(found["proven"]),
        "level": found["level"],
    }


def _held_back(connection: Connection, row: Row[Any]) -> dict[str, list[dict[str, str]]]:
    """For what it is ``withheld`` now; and what it was withheld for before it was ``released``, in which pack."""
    mine = (withheld.c.sop_uid == row.sop_uid, withheld.c.dataset_sha256 == row.dataset_sha256)
    held = connection.execute(select(withheld).where(*mine).order_by(withheld.c.project, withheld.c.pack_id)).all()
    packs = deidentified_pack.join(pack_entry, pack_entry.c.pack_id == deidentified_pack.c.pack_id)
    holding = select(deidentified_pack).select_from(packs).where(pack_entry.c.identity == row.identity)
    order = (deidentified_pack.c.run, deidentified_pack.c.part, deidentified_pack.c.pack_id)
    out = connection.execute(holding.where(stands(deidentified_pack)).order_by(*order)).all() if held else []
    waiting, released = [], []
    for one in held:
        told = {"project": one.project, "reason": one.reason}
        went = [pack.pack_id for pack in out if _lets_go(pack, one)]
        released += [told | {"pack_id": pack_id} for pack_id in went]
        waiting += [] if went or told in waiting else [told]
    return {"withheld": waiting, "released": released}


def _lets_go(pack: Row[Any], held: Row[Any]) -> bool:
    """Whether what was withheld went out in ``pack`` since."""
    same = (pack.source_pack_id, pack.project) == (held.pack_id, held.project)
    return same and was_let_go(pack.run, pack.part, held.run)


def _recalled(connection: Connection, row: Row[Any]) -> list[dict[str, Any]]:
    """The packs that it went out in and that were called back, the first first."""
    packs = recalled_pack.join(pack_entry, pack_entry.c.pack_id == recalled_pack.c.pack_id)
    mine = select(recalled_pack).select_from(packs).where(pack_entry.c.identity == row.identity).distinct()
    names = ("project", "profile", "profile_version", "pack_id")
    return [
        {name: one._mapping[name] for name in names} | {"recalled": _moment(one.recalled)}
        for one in connection.execute(mine.order_by(recalled_pack.c.recalled, recalled_pack.c.pack_id))
    ]


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
