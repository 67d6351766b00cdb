"""Writes of resources in few statements: those of one transaction are gathered and written together.

Whoever reads resources within the transaction has them written first: ``settle``.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, update

from services.hl7_fhir.adapters import indexing
from services.hl7_fhir.adapters.feed_lock import lock_feed
from services.hl7_fhir.adapters.tables import changes, resources, versions
from services.hl7_fhir.domain.fhir.indexing import Rows

Key = tuple[str, str]

_OPTION = "causeway_resource_writes"


@dataclass(frozen=True)
class Version:
    """A version that is to be written. ``number`` is that of the resource in the index, None for a new one."""

    kind: str
    resource_id: str
    number: int | None
    version: int
    updated: datetime
    message_ref: str
    body: str
    record: str
    patient: str | None
    before: Rows
    now: Rows

    @classmethod
    def of(cls, body: Mapping[str, Any], **others: Any) -> "Version":
        """With ``body`` as JSON."""
        return cls(body=json.dumps(body), **others)

    @property
    def key(self) -> Key:
        """Type and id."""
        return self.kind, self.resource_id

    @property
    def row(self) -> dict[str, Any]:
        """The row of the version."""
        return {
            "type": self.kind,
            "id": self.resource_id,
            "version": self.version,
            "updated": self.updated,
            "message_ref": self.message_ref,
            "body": self.body,
        }

    @property
    def state(self) -> dict[str, Any]:
        """The row of the resource."""
        return {**self.row, "record": self.record, "patient": self.patient, "present": self.now.present}


class Writes:
    """The writes of one transaction that are still to be done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: dict[Key, Version] = {}

    def add(self, version: Version) -> None:
        """Write a version in its turn."""
        self.settle([version.key])
        self._waiting[version.key] = version

    def settle(self, wanted: Collection[Key] | None = None) -> None:
        """Write everything, unless nothing of what is ``wanted`` waits (None: all)."""
        if self._waiting and (wanted is None or not self._waiting.keys().isdisjoint(wanted)):
            found = list(self._waiting.values())
            self._waiting.clear()
            _write(self._connection, found)


@contextmanager
def gathering(connection: Connection) -> Iterator[None]:
    """Gather what is written within; all of it is written at the end, nothing of it when that raises."""
    writes = Writes(connection)
    connection.execution_options(**{_OPTION: writes})
    try:
        yield
        writes.settle()
    finally:
        connection.execution_options(**{_OPTION: None})


def put(connection: Connection, version: Version) -> None:
    """Write a version, now or with the others that are gathered."""
    if (writes := _gathered(connection)) is not None:
        writes.add(version)
    else:
        _write(connection, [version])


def settle(connection: Connection, wanted: Collection[Key] | None = None) -> None:
    """Have those of ``wanted`` written that wait (None: all), before they are read."""
    if (writes := _gathered(connection)) is not None:
        writes.settle(wanted)


def _gathered(connection: Connection) -> Writes | None:
    found: Writes | None = connection.get_execution_options().get(_OPTION)
    return found


def _write(connection: Connection, found: list[Version]) -> None:
    """On PostgreSQL one transaction at a time, so that numbers in the feed become visible in their order."""
    lock_feed(connection)
    numbers = {each.key: each.number for each in found if each.number is not None}
    if new := [each.state for each in found if each.number is None]:
        numbers |= {(row.type, row.id): row.number for row in connection.execute(_NEW, new)}
    if changed := [_renamed(each) for each in found if each.number is not None]:
        connection.execute(_CHANGED, changed)
    connection.execute(_VERSION, [each.row for each in found])
    indexing.write(connection, [(numbers[each.key], each.before, each.now) for each in found])
    connection.execute(_CHANGE, [{name: each.row[name] for name in _NAMES} for each in found])


def _renamed(version: Version) -> dict[str, Any]:
    """Values of an update, whose parameters may not be called like its columns."""
    state = version.state
    return {"of_number": version.number, **{f"new_{name}": state[name] for name in _STATE}}


_NAMES = ("type", "id", "version", "updated")
_STATE = ("record", "patient", "version", "updated", "message_ref", "body", "present")
_NEW = insert(resources).returning(resources.c.number, resources.c.type, resources.c.id)
_CHANGED = (
    update(resources)
    .where(resources.c.number == bindparam("of_number"))
    .values({name: bindparam(f"new_{name}") for name in _STATE})
)
_VERSION, _CHANGE = insert(versions), insert(changes)
