"""The channel of a Subscription: where to, how much, how often (R4 Subscription.channel, the guide's extensions)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.hl7_fhir.domain.subscriptions import PROFILES
from services.hl7_fhir.domain.subscriptions.elements import found_at
from services.hl7_fhir.domain.subscriptions.endpoints import is_allowed, parse
from services.hl7_fhir.domain.subscriptions.refused import SubscriptionRefused

REST_HOOK, WEBSOCKET = "rest-hook", "websocket"
MEDIA_TYPE = "application/fhir+json"
MASK = "***"
#: The value set backport-content-value-set, the least first.
CONTENTS = ("empty", "id-only", "full-resource")

#: Bounds of this server on what a client may ask; less is within what the guide lets a server do.
MAX_COUNT = 100
MAX_TIMEOUT = 60
DEFAULT_TIMEOUT = 20
_MAX_HEADERS = 20
_ELEMENTS = frozenset(("id", "extension", "type", "endpoint", "payload", "_payload", "header"))
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e\t]{0,4096}")
#: Headers that are this server's own (RFC 9110, RFC 9112).
_RESERVED = frozenset(
    (
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_WHERE = "Subscription.channel"


@dataclass(frozen=True)
class Header:
    """One HTTP header that the subscriber wants to be sent; its value is a secret."""

    name: str
    value: str = field(repr=False)

    @property
    def masked(self) -> str:
        """The header as it may be shown."""
        return f"{self.name}: {MASK}"


@dataclass(frozen=True)
class Channel:
    """Seconds: ``heartbeat`` (None: none is sent) and ``timeout`` of one attempt; ``max_count`` events at a time."""

    type: str
    endpoint: str = field(repr=False)
    content: str
    heartbeat: int | None
    timeout: int
    max_count: int
    headers: tuple[Header, ...] = field(repr=False)

    @property
    def is_websocket(self) -> bool:
        """Whether the subscriber connects to this server, and not this server to it."""
        return self.type == WEBSOCKET


def read(channel: Any) -> Channel:
    """The channel; SubscriptionRefused for what this server does not do."""
    if not isinstance(channel, Mapping) or set(channel) - _ELEMENTS:
        raise SubscriptionRefused("channel-unusable", "structure", _WHERE)
    kind = channel.get("type")
    if kind not in (REST_HOOK, WEBSOCKET):
        raise SubscriptionRefused("channel-type-not-supported", "not-supported", f"{_WHERE}.type")
    if channel.get("payload") != MEDIA_TYPE:
        raise SubscriptionRefused("payload-not-supported", "not-supported", f"{_WHERE}.payload")
    extensions = _extensions(channel.get("extension", []))
    return Channel(
        type=kind,
        endpoint=_endpoint(kind, channel.get("endpoint")),
        content=_content(channel),
        heartbeat=_number(extensions, "backport-heartbeat-period", "valueUnsignedInt"),
        timeout=min(_number(extensions, "backport-timeout", "valueUnsignedInt") or DEFAULT_TIMEOUT, MAX_TIMEOUT),
        max_count=min(_number(extensions, "backport-max-count", "valuePositiveInt") or MAX_COUNT, MAX_COUNT),
        headers=_headers(kind, channel.get("header", [])),
    )


def check_endpoint(channel: Channel, listed: Iterable[str]) -> None:
    """SubscriptionRefused unless the operator has listed where it leads, and it is fit for what would be sent."""
    if channel.is_websocket:
        return
    if not is_allowed(channel.endpoint, listed):
        raise SubscriptionRefused("endpoint-not-allowed", "forbidden", f"{_WHERE}.endpoint")
    endpoint = parse(channel.endpoint)
    if channel.content == "full-resource" and not (endpoint and endpoint.is_private):
        raise SubscriptionRefused("full-resource-needs-https", "security", f"{_WHERE}.endpoint")


def unmasked(headers: Iterable[Header], known: Iterable[Header]) -> tuple[Header, ...]:
    """``headers`` with the known values of those that are sent back as they were shown."""
    values = {header.name: header.value for header in known}
    return tuple(
        Header(header.name, values[header.name]) if header.value == MASK and header.name in values else header
        for header in headers
    )


def _endpoint(kind: str, value: Any) -> str:
    if kind == WEBSOCKET and value is not None:
        raise SubscriptionRefused("websocket-has-no-endpoint", "value", f"{_WHERE}.endpoint")
    if kind == REST_HOOK and not (isinstance(value, str) and parse(value)):
        raise SubscriptionRefused("endpoint-unusable", "value", f"{_WHERE}.endpoint")
    return value or ""


def _content(channel: Mapping[str, Any]) -> str:
    for extension in found_at(channel, "_payload.extension"):
        known = isinstance(extension, Mapping) and extension.get("url") == f"{PROFILES}/backport-payload-content"
        if known and extension.get("valueCode") in CONTENTS:
            return str(extension["valueCode"])
    raise SubscriptionRefused("payload-content-missing-or-unusable", "required", f"{_WHERE}.payload.extension")


def _extensions(given: Any) -> dict[str, Mapping[str, Any]]:
    """By the last part of the URL; one that this server does not know would be a promise it does not keep."""
    known = ("backport-heartbeat-period", "backport-timeout", "backport-max-count")
    found: dict[str, Mapping[str, Any]] = {}
    for extension in given if isinstance(given, list) else [None]:
        if not isinstance(extension, Mapping):
            raise SubscriptionRefused("extension-unusable", "structure", f"{_WHERE}.extension")
        name = next((name for name in known if extension.get("url") == f"{PROFILES}/{name}"), None)
        if name is None or name in found:
            raise SubscriptionRefused("extension-not-supported", "not-supported", f"{_WHERE}.extension")
        found[name] = extension
    return found


def _number(extensions: Mapping[str, Mapping[str, Any]], name: str, element: str) -> int | None:
    if name not in extensions:
        return None
    value = extensions[name].get(element)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise SubscriptionRefused("extension-value-unusable", "value", f"{_WHERE}.extension")
    return value or None


def _headers(kind: str, given: Any) -> tuple[Header, ...]:
    if not isinstance(given, list) or len(given) > _MAX_HEADERS or (given and kind == WEBSOCKET):
        raise SubscriptionRefused("headers-unusable", "value", f"{_WHERE}.header")
    return tuple(_header(each) for each in given)


def _header(given: Any) -> Header:
    name, mark, value = given.partition(":") if isinstance(given, str) else ("", "", "")
    usable = mark and _TOKEN.fullmatch(name) and _VALUE.fullmatch(value.strip())
    if not usable or name.lower() in _RESERVED:
        raise SubscriptionRefused("headers-unusable", "value", f"{_WHERE}.header")
    return Header(name, value.strip())
