"""Studies as the catalogue tells of them, for tests of those that listen."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from contracts.events import Blob, StudyArchived, StudyCompleted, StudyReceived, StudyRevised
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received

KEY = SiteKey(b"k" * 32)
CT = "1.2.840.10008.5.1.4.1.1.2"
WHEN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def summary(uid: str, *, patient: Any = ("HOSP", "P1"), accession: Any = ("SITE", "ACC1"), **more: Any) -> bytes:
    """A summary; ``patient`` and ``accession`` are (issuer, id), None, or a list of them."""
    document = {
        "format": "causeway.study-summary/1",
        "study_uid": uid,
        "patient_tokens": [KEY.patient_token(*each) for each in _many(patient)],
        "accession_tokens": [KEY.accession_token(*each) for each in _many(accession)],
        "study_date": "20260101",
        "study_time": "113000.25",
        "utc_offset": None,
        "description": "Head",
        "series": [series(f"{uid}.1", 3)],
        **more,
    }
    return json.dumps(document).encode()


def series(uid: str, instances: int, **more: Any) -> dict[str, Any]:
    """One series of a summary."""
    rows = [
        {"sop_instance_uid": f"{uid}.{n}", "sop_class_uid": CT, "version": 1, "number": str(n)}
        for n in range(1, instances + 1)
    ]
    told = {"modality": "CT", "number": "1", "description": "Axial", "body_part": "HEAD", "laterality": None}
    return {"series_uid": uid, **told, "date": "20260101", "time": "113100", "instances": rows, **more}


def _many(value: Any) -> list[tuple[str, str]]:
    return value if isinstance(value, list) else [] if value is None else [value]


@dataclass
class Documents:
    """Summaries by their keys."""

    held: dict[str, bytes] = field(default_factory=dict)

    async def read(self, blob: Blob) -> bytes:
        return self.held[blob.key]

    def keep(self, key: str, document: bytes) -> Blob:
        self.held[key] = document
        return Blob(store="summaries", key=key, size=len(document))


def received(uid: str) -> Received[StudyReceived]:
    """The first images of a study are here."""
    return _event(StudyReceived(study_uid=uid, study_ref=KEY.study_ref(uid), received=WHEN), uid, 0)


def completed(uid: str, blob: Blob, *, revision: int = 1, series: int = 1, instances: int = 3) -> Received[Any]:
    """A study is complete, or has grown to a later revision."""
    ids = {"study_uid": uid, "study_ref": KEY.study_ref(uid), "revision": revision, "summary": blob}
    counts = {"series": series, "instances": instances}
    if revision == 1:
        told: Any = StudyCompleted(**ids, **counts, evidence=(), confidence=0.8, completed=WHEN)
    else:
        told = StudyRevised(**ids, **counts, added=1, revised=WHEN)
    return _event(told, uid, revision)


def archived(uid: str, blob: Blob, *, revision: int = 1, instances: int = 3) -> Received[StudyArchived]:
    """Every batch of a study is archived."""
    ids = {"study_uid": uid, "study_ref": KEY.study_ref(uid), "revision": revision, "summary": blob}
    told = StudyArchived(**ids, instances=instances, copies=(), withheld=0, archived=WHEN)
    return _event(told, uid, revision)


def _event(told: Any, uid: str, revision: int) -> Received[Any]:
    return Received(KEY.event_id(told.subject, uid, revision), told, WHEN)
