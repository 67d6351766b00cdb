"""FHIR R4 (4.0.1) documents of the API: resources with meta, bundles, outcomes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any

Json = dict[str, Any]

VERSION = "4.0.1"
MEDIA_TYPE = "application/fhir+json"
#: The message_ref of what a client of this API wrote.
CLIENT = "fhir-client"


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

    @property
    def last_modified(self) -> str:
        """The time of the version as HTTP has it."""
        return format_datetime(self.updated, usegmt=True)

    def shown(self) -> Json:
        """The resource as served, with id and meta; ``meta.source`` is an opaque name of the message that made it."""
        meta: Json = {"versionId": str(self.version), "lastUpdated": instant(self.updated)}
        if self.message_ref and self.message_ref != CLIENT:
            meta["source"] = f"urn:x-causeway:hl7-message:{self.message_ref}"
        known = self.body.get("meta")
        if isinstance(known, Mapping):
            meta |= {name: known[name] for name in ("profile", "security", "tag") if name in known}
        rest = {name: value for name, value in self.body.items() if name not in ("resourceType", "id", "meta")}
        return {"resourceType": self.type, "id": self.id, "meta": meta, **rest}


def searchset(
    base: str, total: int | None, found: Iterable[Json], included: Iterable[Json], links: Mapping[str, str]
) -> Json:
    """A Bundle of type searchset; ``links`` by relation (R4 section 3.1.1.8), no total when it was not counted."""
    entries = [_entry(base, resource, "match") for resource in found]
    entries += [_entry(base, resource, "include") for resource in included]
    return _bundle("searchset", links, entries, total)


def _entry(base: str, resource: Json, mode: str) -> Json:
    return {
        "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "search": {"mode": mode},
    }


def _bundle(kind: str, links: Mapping[str, str], entries: list[Json], total: int | None = None) -> Json:
    bundle: Json = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        bundle["total"] = total
    if links:
        bundle["link"] = [{"relation": relation, "url": url} for relation, url in links.items()]
    return {**bundle, "entry": entries} if entries else bundle


def with_notice(bundle: Json, text: str) -> Json:
    """A searchset that also says what was not done as asked (R4 section 3.1.1.5.9, search mode outcome)."""
    notice = outcome("not-supported", text, "warning")
    return {**bundle, "entry": [*bundle.get("entry", ()), {"resource": notice, "search": {"mode": "outcome"}}]}


def history(base: str, found: Iterable[tuple[Stored, Json]], links: Mapping[str, str]) -> Json:
    """A Bundle of type history: each version with the request that would have made it (R4 section 3.1.0.10)."""
    entries = [
        {
            "fullUrl": f"{base}/{stored.type}/{stored.id}",
            "resource": shown,
            "request": _request(stored),
            "response": {
                "status": "201" if stored.version == 1 else "200",
                "etag": stored.etag,
                "lastModified": instant(stored.updated),
            },
        }
        for stored, shown in found
    ]
    return _bundle("history", links, entries)


def _request(stored: Stored) -> Json:
    if stored.version == 1:
        return {"method": "POST", "url": stored.type}
    return {"method": "PUT", "url": f"{stored.type}/{stored.id}"}


def transaction_response(entries: list[Json]) -> Json:
    """A Bundle of type transaction-response (R4 section 3.1.0.11)."""
    return _bundle("transaction-response", {}, entries)


def outcome(code: str, text: str, severity: str = "error") -> Json:
    """An OperationOutcome with one issue; ``code`` of the value set issue-type, ``text`` never from the request."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": text}],
    }
