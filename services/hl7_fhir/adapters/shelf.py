"""The resources that one message touches: read together, each written at most once for every change."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from services.hl7_fhir.adapters.resources import Change, Present, save
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain import record as records
from services.hl7_fhir.domain.record import Record

Key = tuple[str, str]


class Shelf:
    """Present resources by type and id, within one transaction."""

    def __init__(self, connection: Connection, message_ref: str, now: datetime) -> None:
        self._connection = connection
        self._message_ref = message_ref
        self._now = now
        self._known: dict[Key, Present | None] = {}

    def fetch(self, wanted: Iterable[Key]) -> None:
        """Read those of ``wanted`` that are not known yet, in one statement."""
        missing = [key for key in dict.fromkeys(wanted) if key not in self._known]
        if not missing:
            return
        self._known |= dict.fromkeys(missing)
        kinds, ids = sorted({kind for kind, _ in missing}), sorted({one for _, one in missing})
        found = self._connection.execute(select(resources).where(resources.c.type.in_(kinds), resources.c.id.in_(ids)))
        for row in found:
            self._known[row.type, row.id] = Present(
                row.version, records.load(row.record), json.loads(row.body), row.patient
            )

    def present(self, kind: str, resource_id: str) -> Present | None:
        """The resource as now known, None when there is none."""
        self.fetch([(kind, resource_id)])
        return self._known[kind, resource_id]

    def put(self, kind: str, resource_id: str, record: Record, body: Mapping[str, Any], patient: str | None) -> Change:
        """Write the resource; a new version only when a reader can see a difference."""
        before = self.present(kind, resource_id)
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
        if change is not Change.STALE:
            version = before.version if before else 0
            is_new = change in (Change.CREATED, Change.CHANGED)
            self._known[kind, resource_id] = Present(version + is_new, record, body, patient)
        return change
