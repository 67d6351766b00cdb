"""The quarantine as people see it: documents of the HTTP API."""

import json
from datetime import UTC, datetime
from typing import Any

from services.deid.domain.candidate import Candidate
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.quarantine import Entry, Ruling, State


def summary(entry: Entry) -> dict[str, Any]:
    """One line of the list: references and reasons, nothing from a header but technical values."""
    routing = entry.instance.routing if entry.instance else None
    return {
        "id": entry.id,
        "state": entry.state.value,
        "reason": entry.reason,
        "since": moment(entry.since),
        "project": entry.project,
        "pack_id": entry.source_pack_id,
        "study_ref": entry.study_ref,
        "sop_instance_uid": entry.sop_instance_uid,
        "dataset_sha256": entry.dataset_sha256,
        "sop_class_uid": entry.instance.sop_class_uid if entry.instance else None,
        "modality": routing.modality if routing else None,
        "size": entry.size,
        "findings": findings(entry.findings),
    }


def decided(one: Ruling) -> dict[str, Any]:
    """One line of the journal."""
    return {
        "action": one.action,
        "who": one.who,
        "decided": moment(one.told),
        "reason": one.reason,
        "outcome": one.outcome,
    }


def candidate_document(entry: Entry, candidate: Candidate | None) -> dict[str, Any]:
    """What would go out: nothing of an entry that is decided, or that was never described."""
    if candidate is None:
        why = "decided" if entry.state is not State.WAITING else "not-described"
        return {"candidate": None, "hindrance": why}
    if candidate.reason is not None:
        return {"candidate": None, "hindrance": candidate.reason.value, "left": findings(candidate.findings)}
    header = json.loads(b"".join(candidate.pack.headers.chunks()).splitlines()[0])
    return {
        "candidate": candidate.digest,
        "hindrance": None,
        "left": findings(candidate.findings),
        "header": header.get("header"),
    }


def findings(found: tuple[Finding, ...]) -> list[dict[str, str]]:
    """Places and kinds."""
    return [one._asdict() for one in found]


def moment(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
