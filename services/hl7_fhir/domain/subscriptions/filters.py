"""Filters of a subscription: the guide's extension backport-filter-criteria, read strictly, and matched."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from services.hl7_fhir.domain.subscriptions.elements import found_at, patient_of
from services.hl7_fhir.domain.subscriptions.refused import SubscriptionRefused
from services.hl7_fhir.domain.subscriptions.topics import FilterBy, Topic

MAX_FILTERS = 20
_MAX_VALUES = 100
_WHERE = "Subscription.criteria.extension"

#: The identifiers of the Patient with an id, as FHIR shows them.
IdentifiersOf = Callable[[str], list[Mapping[str, Any]]]


@dataclass(frozen=True)
class Filter:
    """One condition: any of ``values``, each a pair (system, code); system None matches any, code None too."""

    by: FilterBy
    values: tuple[tuple[str | None, str | None], ...] = field(repr=False)


def read(criteria: str, topic: Topic) -> tuple[Filter, ...]:
    """The conditions of ``ServiceRequest?status=active&patient=Patient/1``; SubscriptionRefused.

    All must be met; values between commas are alternatives. What the topic does not allow is refused, never ignored: a
    wider stream than asked for is a disclosure.
    """
    kind, mark, query = criteria.partition("?")
    if not mark or kind != topic.resource:
        raise SubscriptionRefused("filter-of-another-resource", "value", _WHERE)
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_FILTERS)
    except ValueError:
        raise SubscriptionRefused("filter-unreadable", "value", _WHERE) from None
    return tuple(_filter(name, value, topic) for name, value in pairs)


def _filter(name: str, value: str, topic: Topic) -> Filter:
    by = topic.filter(name)
    if by is None:
        raise SubscriptionRefused("filter-not-supported", "not-supported", _WHERE)
    values = tuple(_value(each, by) for each in _split(value, ","))
    if len(values) > _MAX_VALUES:
        raise SubscriptionRefused("filter-has-too-many-values", "too-long", _WHERE)
    return Filter(by, values)


def _value(text: str, by: FilterBy) -> tuple[str | None, str | None]:
    if not text:
        raise SubscriptionRefused("filter-value-missing", "value", _WHERE)
    if by.kind == "reference":
        return None, _plain(text)
    parts = [_plain(part) for part in _split(text, "|")]
    if len(parts) > 2 or not any(parts):
        raise SubscriptionRefused("filter-value-unusable", "value", _WHERE)
    return (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1] or None)


def _split(value: str, mark: str) -> list[str]:
    """The parts between marks that no backslash protects (R4 section 3.1.1.4.0.1)."""
    parts, current, protected = [], "", False
    for letter in value:
        if letter == mark and not protected:
            parts.append(current)
            current = ""
        else:
            current += letter
        protected = letter == "\\" and not protected
    return [*parts, current]


def _plain(value: str) -> str:
    for mark in ",|$\\":
        value = value.replace(f"\\{mark}", mark)
    return value


def match(filters: tuple[Filter, ...], resource_id: str, body: Mapping[str, Any], of_patient: IdentifiersOf) -> bool:
    """Whether the resource meets every condition."""
    return all(_meets(each, resource_id, body, of_patient) for each in filters)


def _meets(one: Filter, resource_id: str, body: Mapping[str, Any], of_patient: IdentifiersOf) -> bool:
    if one.by.kind == "id":
        return any(code == resource_id for _, code in one.values)
    if one.by.kind == "patient-identifier":
        patient = patient_of(body)
        return patient is not None and _any_token(one, of_patient(patient))
    found = [value for path in one.by.paths for value in found_at(body, path)]
    if one.by.kind == "reference":
        return any(_refers(reference, str(wanted)) for reference in found for _, wanted in one.values)
    if one.by.kind == "code":
        return any(code in found for _, code in one.values)
    return _any_token(one, found)


def _any_token(one: Filter, found: list[Any]) -> bool:
    return any(_is_token(element, system, code) for element in found for system, code in one.values)


def _is_token(element: Any, system: str | None, code: str | None) -> bool:
    """``element`` is an Identifier or a Coding; system "" asks for one without (R4 section 3.1.1.5.4)."""
    if not isinstance(element, Mapping):
        return False
    held = element.get("code", element.get("value"))
    return (code is None or held == code) and (system is None or element.get("system", "") == system)


def _refers(reference: str, wanted: str) -> bool:
    """``Patient/1`` by ``1``, ``Patient/1`` or ``https://…/Patient/1``."""
    return reference == wanted or reference.rpartition("/")[2] == wanted or wanted.endswith(f"/{reference}")
