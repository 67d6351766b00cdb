"""FHIR R4 (4.0.1) documents of the read-only API: resources with meta, bundles, outcomes, capabilities."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]

VERSION = "4.0.1"
MEDIA_TYPE = "application/fhir+json"

#: What is served and by which search parameters: (name, type, definition's code, what it finds).
SEARCHES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Patient": (
        ("_id", "token", "The id of the resource"),
        ("identifier", "token", "An identifier of PID-2, -3, -4, -19 or -20: value, system|value or |value"),
    ),
    "ServiceRequest": (
        ("_id", "token", "The id of the resource"),
        ("identifier", "token", "A placer's, filler's or accession number, a procedure id or the study UID"),
        ("patient", "reference", "The Patient it is for"),
        ("subject", "reference", "The Patient it is for"),
    ),
    "Task": (
        ("_id", "token", "The id of the resource"),
        ("identifier", "token", "A scheduled procedure step id"),
        ("patient", "reference", "The Patient it is for"),
    ),
}


def instant(moment: datetime) -> str:
    """A FHIR instant."""
    return moment.isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Stored:
    """A version of a resource; ``body`` has neither id nor meta."""

    type: str
    id: str
    version: int
    updated: datetime
    message_ref: str
    body: Mapping[str, Any] = field(repr=False)

    @property
    def etag(self) -> str:
        """The entity tag of the version (R4 section 3.1.0.1.3)."""
        return f'W/"{self.version}"'

    def shown(self) -> Json:
        """The resource as served, with id and meta; ``meta.source`` is an opaque name of the message."""
        meta = {
            "versionId": str(self.version),
            "lastUpdated": instant(self.updated),
            "source": f"urn:x-causeway:hl7-message:{self.message_ref}",
        }
        rest = {name: value for name, value in self.body.items() if name != "resourceType"}
        return {"resourceType": self.type, "id": self.id, "meta": meta, **rest}


def searchset(base: str, total: int, found: Iterable[Stored], links: dict[str, str]) -> Json:
    """A Bundle of type searchset; ``links`` by relation (R4 section 3.1.1.8)."""
    entries = [
        {
            "fullUrl": f"{base}/{stored.type}/{stored.id}",
            "resource": stored.shown(),
            "search": {"mode": "match"},
        }
        for stored in found
    ]
    bundle: Json = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
    }
    return {**bundle, "entry": entries} if entries else bundle


def outcome(code: str, text: str) -> Json:
    """An OperationOutcome with one error; ``code`` of the value set issue-type, ``text`` never from the request."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": text}],
    }


def capability(base: str, version: str, started: datetime) -> Json:
    """The CapabilityStatement: what this server really does, and nothing else."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(started),
        "kind": "instance",
        "software": {"name": "Causeway hl7_fhir", "version": version},
        "implementation": {"description": "Patients and imaging orders as HL7 v2 told them", "url": base},
        "fhirVersion": VERSION,
        "format": ["json", MEDIA_TYPE],
        "rest": [{"mode": "server", "resource": [_resource(kind) for kind in SEARCHES]}],
    }


def _resource(kind: str) -> Json:
    return {
        "type": kind,
        "interaction": [{"code": code} for code in ("read", "vread", "search-type")],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "searchParam": [{"name": name, "type": sort, "documentation": text} for name, sort, text in SEARCHES[kind]],
    }
