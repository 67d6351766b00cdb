"""Notifications and answers of the operations: Bundles that begin with the state of the subscription.

Guide: profiles backport-subscription-notification-r4 and backport-subscription-status-r4, pages "Notifications" and
"Payload Types".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.subscriptions import PROFILES
from services.hl7_fhir.domain.subscriptions.channel import CONTENTS
from services.hl7_fhir.domain.subscriptions.elements import patient_of
from services.hl7_fhir.domain.subscriptions.subscription import Subscription

Json = dict[str, Any]


class Kind(StrEnum):
    """The value set subscription-notification-type."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"
    STATUS = "query-status"
    QUERY = "query-event"


@dataclass(frozen=True)
class Event:
    """A change that a subscription is to hear of; numbers of one subscription begin with 1 and leave none out."""

    number: int
    at: datetime
    created: bool
    stored: Stored = field(repr=False)

    def reference(self, base: str) -> str:
        """The URL of the resource that changed."""
        return f"{base}/{self.stored.type}/{self.stored.id}"


def notification(
    to: Subscription, kind: Kind, events: Sequence[Event], *, content: str, name: UUID, now: datetime
) -> Json:
    """A Bundle of type history with as much of ``events`` as ``content`` says; ``name`` is a new UUID."""
    entry = {
        "fullUrl": f"urn:uuid:{name}",
        "resource": status(to, kind, events, content=content, name=name),
        "request": {"method": "GET", "url": f"{to.url}/$status"},
        "response": {"status": "200"},
    }
    return {
        "resourceType": "Bundle",
        "id": str(name),
        "meta": {"profile": [f"{PROFILES}/backport-subscription-notification-r4"]},
        "type": "history",
        "timestamp": now.isoformat(timespec="milliseconds"),
        "entry": [entry, *([] if content == "empty" else (_entry(to, event, content) for event in events))],
    }


def status(to: Subscription, kind: Kind, events: Iterable[Event] = (), *, content: str, name: UUID) -> Json:
    """The state of the subscription as Parameters; references to resources only when ``content`` is not empty."""
    parameters: list[Json] = [{"name": "subscription", "valueReference": {"reference": to.url}}]
    if content != "empty":
        parameters.append({"name": "topic", "valueCanonical": to.wanted.topic.url})
    parameters += [
        {"name": "status", "valueCode": to.status.value},
        {"name": "type", "valueCode": kind.value},
        {"name": "events-since-subscription-start", "valueString": str(to.events)},
        *(_event(to, event, content) for event in events),
    ]
    if to.error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": to.error}})
    return {
        "resourceType": "Parameters",
        "id": str(name),
        "meta": {"profile": [f"{PROFILES}/backport-subscription-status-r4"]},
        "parameter": parameters,
    }


def _event(to: Subscription, event: Event, content: str) -> Json:
    parts: list[Json] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": event.at.isoformat(timespec="milliseconds")},
    ]
    if content != "empty":
        parts.append({"name": "focus", "valueReference": {"reference": event.reference(to.base)}})
        if patient := patient_of(event.stored.body):
            reference = {"reference": f"{to.base}/Patient/{patient}"}
            parts.append({"name": "additional-context", "valueReference": reference})
    return {"name": "notification-event", "part": parts}


def _entry(to: Subscription, event: Event, content: str) -> Json:
    """What happened to the resource; constraints bdl-3 and bdl-4 want both request and response in a history."""
    stored = event.stored
    request = (
        {"method": "POST", "url": stored.type}
        if event.created
        else {"method": "PUT", "url": f"{stored.type}/{stored.id}"}
    )
    response = {"status": "201" if event.created else "200", "etag": stored.etag}
    resource = {"resource": stored.shown()} if content == "full-resource" else {}
    return {"fullUrl": event.reference(to.base), **resource, "request": request, "response": response}


def disclosed(to: Subscription, events: Iterable[Event]) -> tuple[tuple[str, str], ...]:
    """Which resources a notification of ``events`` tells of, for the log of disclosures: (type in lower case, id)."""
    if to.wanted.channel.content == "empty":
        return ()
    return tuple((event.stored.type.lower(), event.stored.id) for event in events)


def statuses(base: str, found: Iterable[tuple[Subscription, UUID]]) -> Json:
    """The answer of ``$status``: a searchset with the state of each subscription."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{name}",
            "resource": status(each, Kind.STATUS, content=each.wanted.channel.content, name=name),
            "search": {"mode": "match"},
        }
        for each, name in found
    ]
    return _searchset(f"{base}/Subscription/$status", entries)


def searchset(url: str, resources: Iterable[tuple[str, Mapping[str, Any]]]) -> Json:
    """A searchset of pairs (full URL, resource), complete."""
    return _searchset(
        url, [{"fullUrl": full, "resource": found, "search": {"mode": "match"}} for full, found in resources]
    )


def _searchset(url: str, entries: list[Any]) -> Json:
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    bundle["link"] = [{"relation": "self", "url": url}]
    return {**bundle, "entry": entries} if entries else bundle


def least(asked: str | None, allowed: str) -> str:
    """The content of an answer: what was asked for, at most what the subscription may have."""
    return min(asked, allowed, key=CONTENTS.index) if asked in CONTENTS else allowed


def binding(token: str, expires: datetime, subscriptions: Iterable[str], url: str) -> Json:
    """The answer of ``$get-ws-binding-token``."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "token", "valueString": token},
            {"name": "expiration", "valueDateTime": expires.isoformat(timespec="seconds")},
            *({"name": "subscription", "valueString": each} for each in subscriptions),
            {"name": "websocket-url", "valueUrl": url},
        ],
    }
