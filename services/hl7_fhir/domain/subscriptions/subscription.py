"""A Subscription as a client asks for it and as it stands (R4 Subscription; guide, "R4/B Topic-Based Subscription")."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from services.hl7_fhir.domain.subscriptions import PROFILES, filters
from services.hl7_fhir.domain.subscriptions.channel import Channel
from services.hl7_fhir.domain.subscriptions.channel import read as read_channel
from services.hl7_fhir.domain.subscriptions.elements import found_at
from services.hl7_fhir.domain.subscriptions.filters import Filter
from services.hl7_fhir.domain.subscriptions.refused import SubscriptionRefused
from services.hl7_fhir.domain.subscriptions.topics import TOPICS, Topic

Json = dict[str, Any]

#: What is kept as it was sent; the status is the server's, headers are kept apart.
_KEPT = ("language", "contact", "end", "reason", "criteria", "_criteria", "channel")
_KNOWN = frozenset((*_KEPT, "resourceType", "id", "meta", "text", "status", "error"))
_LONGEST = 1000
#: R4 section 2.24.0.1; what it is beyond that, ``datetime`` knows.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
FILTER_CRITERIA = f"{PROFILES}/backport-filter-criteria"


class Status(StrEnum):
    """The value set subscription-status of R4."""

    REQUESTED = "requested"
    ACTIVE = "active"
    ERROR = "error"
    OFF = "off"


@dataclass(frozen=True)
class Wanted:
    """What a client asks for; ``body`` is the resource without id, meta, status, error and headers."""

    status: Status
    topic: Topic
    filters: tuple[Filter, ...] = field(repr=False)
    channel: Channel = field(repr=False)
    end: datetime | None
    body: Mapping[str, Any] = field(repr=False)

    def is_same_stream(self, other: "Wanted") -> bool:
        """Whether nothing differs of what is sent and where to: no new handshake is needed."""
        return (self.topic, self.filters, self.channel) == (other.topic, other.filters, other.channel)


@dataclass(frozen=True)
class Subscription:
    """A subscription as it stands: ``events`` happened since it began, of which ``delivered`` are known to be there.

    ``base`` is the URL of this server's FHIR API as the subscriber knows it.
    """

    id: str
    version: int
    updated: datetime
    status: Status
    error: str | None
    base: str
    events: int
    delivered: int
    wanted: Wanted = field(repr=False)

    @property
    def url(self) -> str:
        """Where the resource is."""
        return f"{self.base}/Subscription/{self.id}"

    @property
    def etag(self) -> str:
        """The entity tag of the version (R4 section 3.1.0.1.3)."""
        return f'W/"{self.version}"'

    def shown(self) -> Json:
        """The resource as served; headers are named, their values are not told."""
        body = dict(self.wanted.body)
        channel = dict(body["channel"])
        if self.wanted.channel.headers:
            channel["header"] = [header.masked for header in self.wanted.channel.headers]
        meta = {
            "versionId": str(self.version),
            "lastUpdated": self.updated.isoformat(timespec="milliseconds"),
            "profile": [f"{PROFILES}/backport-subscription"],
        }
        error = {"error": self.error} if self.error else {}
        return {
            "resourceType": "Subscription",
            "id": self.id,
            "meta": meta,
            "status": self.status.value,
            **body,
            **error,
            "channel": channel,
        }


def read(document: Any) -> Wanted:
    """What ``document`` (parsed JSON) asks for; SubscriptionRefused names the element that is at fault."""
    if not isinstance(document, Mapping) or document.get("resourceType") != "Subscription":
        raise SubscriptionRefused("not-a-subscription", "structure", "Subscription")
    if set(document) - _KNOWN:
        raise SubscriptionRefused("element-not-supported", "not-supported", "Subscription")
    _text(document, "reason")
    topic = TOPICS.get(_text(document, "criteria"))
    if topic is None:
        raise SubscriptionRefused("topic-not-supported", "not-supported", "Subscription.criteria")
    channel = read_channel(document.get("channel"))
    body = {name: document[name] for name in _KEPT if name in document}
    body["channel"] = {name: value for name, value in document["channel"].items() if name != "header"}
    return Wanted(
        status=_status(document.get("status")),
        topic=topic,
        filters=_filters(document, topic),
        channel=channel,
        end=_end(document.get("end")),
        body=body,
    )


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise SubscriptionRefused("element-missing-or-unusable", "required", f"Subscription.{name}")
    return value


def _status(value: Any) -> Status:
    try:
        return Status(value)
    except ValueError:
        raise SubscriptionRefused("status-unusable", "code-invalid", "Subscription.status") from None


def _end(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        if _INSTANT.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise SubscriptionRefused("end-unusable", "value", "Subscription.end")


def _filters(document: Mapping[str, Any], topic: Topic) -> tuple[Filter, ...]:
    beside = document.get("_criteria", {})
    if not isinstance(beside, Mapping) or set(beside) - {"id", "extension"}:
        raise SubscriptionRefused("element-not-supported", "not-supported", "Subscription.criteria")
    read_so_far: list[Filter] = []
    for extension in found_at(document, "_criteria.extension"):
        if not isinstance(extension, Mapping) or extension.get("url") != FILTER_CRITERIA:
            raise SubscriptionRefused("extension-not-supported", "not-supported", "Subscription.criteria.extension")
        criteria = extension.get("valueString")
        if not isinstance(criteria, str) or len(criteria) > 10 * _LONGEST:
            raise SubscriptionRefused("filter-unreadable", "value", "Subscription.criteria.extension")
        read_so_far += filters.read(criteria, topic)
    if len(read_so_far) > filters.MAX_FILTERS:
        raise SubscriptionRefused("too-many-filters", "too-long", "Subscription.criteria.extension")
    return tuple(read_so_far)


def check_end(wanted: Wanted, now: datetime) -> None:
    """SubscriptionRefused when it would have ended before it begins."""
    if wanted.end is not None and wanted.end <= now and wanted.status is not Status.OFF:
        raise SubscriptionRefused("end-is-past", "business-rule", "Subscription.end")


def next_status(wanted: Wanted, before: "Subscription | None") -> Status:
    """The status that an accepted request leads to (guide, "Workflow" and "Handling Errors").

    Active only after a handshake; a websocket has its handshake when it is bound. Who sends back what was read changes
    nothing.
    """
    if wanted.status is Status.OFF:
        return Status.OFF
    if before is not None and before.status is wanted.status and before.wanted.is_same_stream(wanted):
        return before.status
    return Status.ACTIVE if wanted.channel.is_websocket else Status.REQUESTED
