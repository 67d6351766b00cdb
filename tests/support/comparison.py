"""What two converters make of the same message, leaf by leaf."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from services.hl7_fhir.domain.clinical.decision import Decision, Reader
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.clinical.said import body
from shared.identity import SiteKey

COMPARED = (
    "Patient", "Encounter", "ServiceRequest", "DiagnosticReport", "Observation", "DocumentReference", "Appointment",
)  # fmt: skip

#: Differ by design: names of resources, what they refer to, and the URIs that each converter makes up for issuers.
_LEFT_OUT = frozenset(("id", "reference", "system", "lastUpdated", "resourceType", "url"))

KEY = SiteKey(b"k" * 32)
#: Times without an offset are read there as in India.
SITE = Site(zone=timezone(timedelta(hours=5, minutes=30)), key=KEY)
RECEIVED = datetime(2100, 1, 1, tzinfo=UTC)

Leaf = tuple[str, str]


def ours(content: bytes) -> dict[str, set[Leaf]]:
    """The leaves of our resources by type; empty for a message that is not mapped."""
    decision = Reader(SITE, KEY).decide(content, "r" * 32, RECEIVED)
    found: dict[str, set[Leaf]] = {}
    for resource in _resources(decision):
        found.setdefault(resource["resourceType"], set()).update(leaves(resource))
    return found


def _resources(decision: Decision) -> Iterator[dict[str, Any]]:
    said = decision.patient
    if said is None:
        return
    yield body("Patient", said.fields, said.resource_id, SITE)
    for order in decision.orders:
        yield body("ServiceRequest", order.fields, said.resource_id, SITE)
    more = [decision.visit, *decision.documents, *decision.appointments]
    for report in decision.reports:
        more += [report.report, *report.observations]
    for one in more:
        if one:
            yield body(one.kind, one.fields, said.resource_id, SITE)


def theirs(path: Path) -> dict[str, set[Leaf]]:
    """The leaves of the expected resources by type."""
    found: dict[str, set[Leaf]] = {}
    for entry in json.loads(path.read_text(encoding="utf-8-sig"))["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] in COMPARED:
            found.setdefault(resource["resourceType"], set()).update(leaves(resource))
    return found


def leaves(node: Any, path: str = "") -> Iterator[Leaf]:
    """(path without indices, value) of every leaf."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in _LEFT_OUT:
                yield from leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value, path)
    else:
        yield path, _plain(str(node))


def _plain(text: str) -> str:
    """Without surrounding space; a time as its instant in UTC, however either wrote its offset."""
    text = text.strip()
    if len(text) > 16 and text[10:11] == "T":
        try:
            return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
        except ValueError:
            return text
    return text


def differences(pairs: Iterable[tuple[bytes, Path]]) -> Counter[tuple[str, str, str]]:
    """How often (resource, element, whose) a value is only theirs or only ours."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for content, path in pairs:
        mine, expected = ours(content), theirs(path)
        for kind in COMPARED:
            here, there = mine.get(kind, set()), expected.get(kind, set())
            counted.update((kind, element, "theirs") for element, _ in there - here)
            counted.update((kind, element, "ours") for element, _ in here - there)
    return counted
