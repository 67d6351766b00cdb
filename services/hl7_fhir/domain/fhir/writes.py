"""What a FHIR client wants written: a resource, or a transaction of several (R4 sections 3.1.0.7 to 3.1.0.11)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from services.hl7_fhir.domain.fhir.documents import Json
from services.hl7_fhir.domain.fhir.parameters import KINDS
from services.hl7_fhir.domain.fhir.reading import is_id
from services.hl7_fhir.domain.fhir.structure import NotValid, check, references
from shared.errors import Unprocessable

#: Entries of a transaction.
ENTRIES = 200
_TAG = re.compile(r'(?:W/)?"?(\d{1,8})"?', re.ASCII)


class WriteRefused(Unprocessable):
    """Nothing was written; ``status`` is the HTTP status that says why, ``reason`` is fit to be shown."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Write:
    """One resource to be created, or (``version``) changed from that version on.

    ``unless`` is the query of a conditional create: nothing is written when one resource matches it. ``url`` is the
    name by which other entries refer to it.
    """

    kind: str
    id: str
    body: Json = field(repr=False)
    version: int | None = None
    unless: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)
    url: str = ""

    @property
    def is_create(self) -> bool:
        """Whether it is to be new."""
        return self.version is None


def create(kind: str, resource: Any, condition: str | None, new_id: str, url: str = "") -> Write:
    """A create of ``kind``; ``condition`` is If-None-Exist. NotValid, WriteRefused."""
    check(resource, kind)
    unless = tuple(parse_qsl(condition.rpartition("?")[2], keep_blank_values=True)) if condition is not None else None
    if unless == ():
        raise WriteRefused(400, "condition-unusable")
    return Write(kind, new_id, _body(resource), unless=unless, url=url)


def update(kind: str, resource_id: str, resource: Any, match: str | None, url: str = "") -> Write:
    """An update of the version that If-Match names, without which none is done. NotValid, WriteRefused."""
    check(resource, kind)
    if resource.get("id") != resource_id or not is_id(resource_id):
        raise WriteRefused(400, "id-differs")
    if match is None:
        raise WriteRefused(428, "if-match-required")
    tag = _TAG.fullmatch(match.strip())
    if tag is None:
        raise WriteRefused(400, "if-match-unusable")
    return Write(kind, resource_id, _body(resource), version=int(tag[1]), url=url)


def _body(resource: Json) -> Json:
    """The resource without what the server says of it: id, version and time."""
    body = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    kept = {name: value for name, value in resource.get("meta", {}).items() if name in ("profile", "security", "tag")}
    return {**body, "meta": kept} if kept else body


def transaction(bundle: Any, new_id: Callable[[], str]) -> list[Write]:
    """The writes of a transaction Bundle, creates first (R4 section 3.1.0.11.2). NotValid, WriteRefused."""
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
        raise WriteRefused(400, "bundle-not-supported")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or len(entries) > ENTRIES:
        raise WriteRefused(413 if isinstance(entries, list) else 400, "bundle-unusable")
    writes = [_entry(entry, new_id()) for entry in entries]
    named = [write.url for write in writes if write.url] + [f"{write.kind}/{write.id}" for write in writes]
    if len(set(named)) < len(named):
        raise WriteRefused(400, "bundle-entry-repeated")
    return writes


def _entry(entry: Any, new_id: str) -> Write:
    request = entry.get("request") if isinstance(entry, Mapping) else None
    if not isinstance(request, Mapping) or not isinstance(entry.get("fullUrl", ""), str):
        raise WriteRefused(400, "bundle-unusable")
    method, target, condition, match = (request.get(name) for name in ("method", "url", "ifNoneExist", "ifMatch"))
    if not all(each is None or isinstance(each, str) for each in (method, target, condition, match)):
        raise WriteRefused(400, "bundle-unusable")
    kind, _, resource_id = (target or "").partition("/")
    if kind not in KINDS or method not in ("POST", "PUT") or bool(resource_id) != (method == "PUT"):
        raise WriteRefused(400, "bundle-entry-not-supported")
    url, resource = entry.get("fullUrl", ""), entry.get("resource")
    if method == "POST":
        return create(kind, resource, condition, new_id, url)
    return update(kind, resource_id, resource, match, url)


def resolved(write: Write, names: Mapping[str, str]) -> Write:
    """``write`` with references to other entries by their place on the server (``names``); WriteRefused without one."""
    body = _copy(write.body)
    for reference in references(body):
        target = names.get(reference["reference"])
        if target is not None:
            reference["reference"] = target
        elif reference["reference"].startswith("urn:uuid:"):
            raise WriteRefused(400, "reference-unresolved")
    return replace(write, body=body)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


__all__ = ["ENTRIES", "NotValid", "Write", "WriteRefused", "create", "resolved", "transaction", "update"]
