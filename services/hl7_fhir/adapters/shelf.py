"""The resources that one message touches: read together, each written at most once for every change."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from services.hl7_fhir.adapters.resource_writes import settle
from services.hl7_fhir.adapters.resources import Change, Present, load_many, save
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.clinical import record as records
from services.hl7_fhir.domain.clinical.record import Record

Key = tuple[str, str]


class Shelf:
    """Present resources by type and id, within one transaction."""

    def __init__(self, connection: Connection, message_ref: str, now: datetime) -> None:
        self._connection = connection
        self._message_ref = message_ref
        self._now = now
        self._known: dict[Key, Present | None] = {}
        self._unseen: dict[Key, dict[str, Any]] = {}
        #: What has a new version, in the order in which it was written.
        self.changed: dict[Key, None] = {}

    def fetch(self, wanted: Iterable[Key]) -> None:
        """Read those of ``wanted`` that are not known yet, in one statement."""
        missing = [key for key in dict.fromkeys(wanted) if key not in self._known]
        if not missing:
            return
        self._known |= dict.fromkeys(missing)
        self._known |= load_many(self._connection, missing)

    def present(self, kind: str, resource_id: str) -> Present | None:
        """The resource as now known, None when there is none."""
        self.fetch([(kind, resource_id)])
        return self._known[kind, resource_id]

    def put(self, kind: str, resource_id: str, record: Record, body: Mapping[str, Any], patient: str | None) -> Change:
        """Write the resource; a new version only when a reader can see a difference."""
        before = self.present(kind, resource_id)
        if before and before.record == record:
            return Change.STALE
        if before and before.body == body:
            self._known[kind, resource_id] = replace(before, record=record, patient=patient)
            self._unseen[kind, resource_id] = {"of": kind, "named": resource_id, "owner": patient, "known": record}
            return Change.NONE
        self._unseen.pop((kind, resource_id), None)
        change = save(
            self._connection,
            kind=kind,
            resource_id=resource_id,
            before=before,
            record=record,
            body=body,
            patient=patient,
            message_ref=self._message_ref,
            now=self._now,
        )
        del self._known[kind, resource_id]
        self.changed[kind, resource_id] = None
        return change

    def flush(self) -> None:
        """Write what no reader can see: since when things are known."""
        rows = [{**row, "known": records.dump(row["known"])} for row in self._unseen.values()]
        if rows:
            settle(self._connection, self._unseen)
            self._connection.execute(_UNSEEN, rows)
        self._unseen.clear()


_UNSEEN = (
    update(resources)
    .where(resources.c.type == bindparam("of"), resources.c.id == bindparam("named"))
    .values(record=bindparam("known"), patient=bindparam("owner"))
)
