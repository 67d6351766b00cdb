"""Writing batches into the index: instances with their versions, series, studies."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Table, func, select

from services.catalog.adapters import tables
from services.catalog.adapters.standing import look_ahead
from services.catalog.adapters.upsert import batched, insert_all, insert_new
from services.catalog.domain import attributes as named
from services.catalog.domain.arrival import Arrived, Batch
from services.catalog.domain.dicom_json import Attributes, first, number, some
from services.catalog.domain.requests import requests_of, sequence_of

#: Number of Study Related Instances, where a sender states it (PS3.3 section C.3.4).
_EXPECTED = "00201208"

#: Values in one condition: PostgreSQL and SQLite take more, plans get no better.
_AT_ONCE = 500

#: The attributes of what only has a name.
_NOTHING = json.dumps({})


def register(connection: Connection, batch: Batch) -> int:
    """Put ``batch`` into the index; how many of its instances were new. Repeating it changes nothing."""
    row = {
        "batch_id": batch.batch_id,
        "study_uid": batch.study_uid,
        "study_ref": batch.study_ref,
        "instances": len(batch.arrived),
        "closed": batch.closed,
        "archived": False,
        "withheld": 0,
    }
    insert_new(connection, tables.batch, [row])
    fresh = _unknown(connection, batch.arrived)
    _add_instances(connection, batch, fresh)
    if batch.study_uid is not None:
        _add_series(connection, batch.study_uid, fresh)
        _add_study(connection, batch.study_uid, batch, fresh)
        _add_tokens(connection, batch.study_uid, batch.arrived)
        look_ahead(connection, batch.study_uid)
    return len(fresh)


def _unknown(connection: Connection, arrived: Iterable[Arrived]) -> list[Arrived]:
    """Those that are not in the index, each once."""
    firsts: dict[bytes, Arrived] = {}
    for one in arrived:
        firsts.setdefault(one.identity, one)
    column = tables.instance.c.identity
    for keys in batched(list(firsts), _AT_ONCE):
        for (known,) in connection.execute(select(column).where(column.in_(keys))):
            firsts.pop(known, None)
    return list(firsts.values())


def _add_instances(connection: Connection, batch: Batch, fresh: list[Arrived]) -> None:
    """Insert them all. Another writer may take a version first: what was not inserted gets the next number then."""
    while fresh:
        newest = _newest_versions(connection, fresh)
        rows = []
        for arrived in fresh:
            name = arrived.instance.sop_instance_uid
            newest[name] = newest.get(name, 0) + 1
            rows.append(_instance_row(batch, arrived, newest[name]))
        insert_all(connection, tables.instance, rows)
        fresh = _unknown(connection, fresh)


def _newest_versions(connection: Connection, arrived: Iterable[Arrived]) -> dict[str, int]:
    column = tables.instance.c.sop_uid
    names = sorted({one.instance.sop_instance_uid for one in arrived})
    found: dict[str, int] = {}
    for some_names in batched(names, _AT_ONCE):
        newest = select(column, func.max(tables.instance.c.version)).where(column.in_(some_names)).group_by(column)
        found.update({name: int(version) for name, version in connection.execute(newest)})
    return found


def _instance_row(batch: Batch, arrived: Arrived, version: int) -> dict[str, Any]:
    one = arrived.instance
    return {
        "identity": arrived.identity,
        "sop_uid": one.sop_instance_uid,
        "study_uid": batch.study_uid,
        "series_uid": one.series_uid,
        "batch_id": batch.batch_id,
        "version": version,
        "sop_class": one.sop_class_uid,
        "transfer_syntax": one.transfer_syntax,
        "dataset_sha256": one.dataset_sha256,
        "instance_number": _text(number(arrived.header, "00200013")),
        "size": one.length,
        "attributes": json.dumps(some(arrived.header, named.kept_tags(named.Level.INSTANCE))),
    }


def _add_series(connection: Connection, study_uid: str, fresh: Iterable[Arrived]) -> None:
    firsts: dict[str, Arrived] = {}
    for arrived in fresh:
        uid = arrived.instance.series_uid
        if uid is not None and (uid not in firsts or (arrived.header and not firsts[uid].header)):
            firsts[uid] = arrived
    for series_uid, arrived in firsts.items():
        ids = {"study_uid": study_uid, "series_uid": series_uid}
        requests = requests_of(arrived.header)
        kept = some(arrived.header, named.kept_tags(named.Level.SERIES)) | sequence_of(requests)
        columns = _columns(named.Level.SERIES, arrived.header, skip="series_uid")
        if _insert_or_complete(connection, tables.series, ids, {}, {**columns, "attributes": json.dumps(kept)}):
            rows = [{**ids, "number": number, **one} for number, one in enumerate(requests)]
            insert_all(connection, tables.request, rows)


def _insert_or_complete(
    connection: Connection, table: Table, ids: dict[str, str], initial: dict[str, Any], told: dict[str, Any]
) -> bool:
    """Insert a row, or complete one of which only the name was known: its instances had no header that can be read."""
    if insert_new(connection, table, [{**ids, **initial, **told}]):
        return True
    if told["attributes"] == _NOTHING:
        return False
    mine = (table.c[name] == value for name, value in ids.items())
    nameless = table.update().where(*mine, table.c.attributes == _NOTHING)
    return bool(connection.execute(nameless.values(**told)).rowcount)


def _columns(level: named.Level, header: Attributes, skip: str) -> dict[str, str | None]:
    keys = (key for key in named.KEYS if key.level is level and not key.sequence)
    return {key.column: _matched(key, header) for key in keys if key.column not in (skip, "modalities")}


def _matched(key: named.Key, header: Attributes) -> str | None:
    """The value as searches compare it: person names without regard to case (PS3.4 section C.2.2.2.1)."""
    if key.vr == "IS":
        return _text(number(header, key.tag))
    value = first(header, key.tag)
    return value.casefold() if value and key.vr == "PN" else value


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _add_study(connection: Connection, study_uid: str, batch: Batch, fresh: list[Arrived]) -> None:
    if batch.arrived:
        ids, initial, told = {"study_uid": study_uid}, _study_initial(batch), _study_told(batch)
        _insert_or_complete(connection, tables.study, ids, initial, told)
    if not fresh:
        return
    expected = max((number(arrived.header, _EXPECTED) or 0 for arrived in fresh), default=0) or None
    at = tables.study.c
    changes: Mapping[str, Any] = {
        "instances": at.instances + len(fresh),
        "last_event": _greater(connection, at.last_event, batch.closed),
        "quiet": _greater(connection, at.quiet, batch.quiet),
        **({"expected": expected} if expected else {}),
    }
    connection.execute(tables.study.update().where(at.study_uid == study_uid).values(**changes))


def _add_tokens(connection: Connection, study_uid: str, arrived: Iterable[Arrived]) -> None:
    """Of all instances, known ones too: a replay adds what an earlier version of the index did not keep."""
    routing = [one.instance.routing for one in arrived]
    found = {("patient", each.patient_token) for each in routing}
    found |= {("accession", each.accession_token) for each in routing}
    rows = [{"study_uid": study_uid, "kind": kind, "token": token} for kind, token in sorted(found, key=str) if token]
    insert_all(connection, tables.study_token, rows)


def _study_initial(batch: Batch) -> dict[str, Any]:
    return {
        "study_ref": batch.study_ref,
        "state": "new",
        "revision": 0,
        "instances": 0,
        "told": 0,
        "first_event": batch.closed,
        "last_event": batch.closed,
        "quiet": batch.quiet,
    }


def _study_told(batch: Batch) -> dict[str, Any]:
    arrived = next((each for each in batch.arrived if each.header), batch.arrived[0])
    return {
        "accession_token": arrived.instance.routing.accession_token,
        **_columns(named.Level.STUDY, arrived.header, skip="study_uid"),
        "attributes": json.dumps(some(arrived.header, named.kept_tags(named.Level.STUDY))),
    }


def _greater(connection: Connection, column: Any, value: float) -> Any:
    """The greater of the two, in the database: SQLite's scalar max is PostgreSQL's greatest."""
    return (func.greatest if connection.dialect.name == "postgresql" else func.max)(column, value)
