"""Values out of DICOM JSON (PS3.18 annex F), read leniently: what does not fit is absent."""

from collections.abc import Iterable, Mapping
from typing import Any

Attributes = Mapping[str, Any]


def first(attributes: Attributes, tag: str) -> str | None:
    """The first value of ``tag`` (eight hexadecimal digits) as text; of a person name the alphabetic group."""
    element = attributes.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    if not isinstance(values, list) or not values:
        return None
    value = values[0]
    if isinstance(value, Mapping):
        value = value.get("Alphabetic")
    return None if value is None or isinstance(value, Mapping | list) else str(value).strip() or None


def number(attributes: Attributes, tag: str) -> int | None:
    """The first value of ``tag`` as an integer, None when it is none."""
    value = first(attributes, tag)
    try:
        return None if value is None else int(float(value))
    except (ValueError, OverflowError):
        return None


def items(attributes: Attributes, tag: str) -> list[Attributes]:
    """The items of a sequence."""
    element = attributes.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def some(attributes: Attributes, tags: Iterable[str]) -> dict[str, Any]:
    """The elements of ``attributes`` with one of ``tags``, in their order."""
    return {tag: attributes[tag] for tag in tags if tag in attributes}


def element(vr: str, *values: Any) -> dict[str, Any]:
    """A DICOM JSON element; without values it is empty (PS3.18 section F.2.5)."""
    kept = [value for value in values if value is not None]
    return {"vr": vr, "Value": kept} if kept else {"vr": vr}
