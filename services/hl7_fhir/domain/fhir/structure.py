"""Whether a resource that a client sends is one of R4: its elements, their types and number, its codes.

``tables/r4.json`` holds the elements of each type as the JSON schema and the structure definitions of 4.0.1 have them.
``!`` before a type marks what may not be missing, ``*`` after it a list; ``code:`` is followed by the codes allowed.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any

from services.hl7_fhir.domain.fhir.parameters import KINDS
from shared.errors import Unprocessable

_DEEPEST = 40
_DATE = r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?"
_ZONE = r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))"
_PATTERNS = {
    "date": _DATE + ")?)?",
    "dateTime": _DATE + f"(T{_TIME}{_ZONE})?)?)?",
    "instant": rf"\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T{_TIME}{_ZONE}",
    "time": _TIME,
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "code": r"[^\s]+( [^\s]+)*",
    "base64Binary": r"[A-Za-z0-9+/=\s]+",
}
_LEAST = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
_URIS = frozenset(("uri", "url", "canonical", "oid", "uuid"))
_TEXTS = frozenset(("string", "markdown", "xhtml"))
_ACTIVE = re.compile(r"<\s*(script|iframe|object|embed|form|style|link)|\bon\w+\s*=|javascript:", re.IGNORECASE)


class NotValid(Unprocessable):
    """The resource is none of R4; ``place`` is the path of the element at fault, of known names only."""

    def __init__(self, reason: str, place: str) -> None:
        super().__init__(reason)
        self.place = place


@cache
def definitions() -> dict[str, dict[str, str]]:
    """The elements of each type."""
    text = (files("services.hl7_fhir.domain.fhir") / "tables" / "r4.json").read_text("utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


def check(resource: Any, kind: str) -> None:
    """NotValid unless ``resource`` is a resource of ``kind``."""
    if not isinstance(resource, dict) or resource.get("resourceType") != kind or kind not in KINDS:
        raise NotValid("resource-type-wrong", kind)
    _object({name: value for name, value in resource.items() if name != "resourceType"}, kind, kind, 0)


def _object(value: Any, kind: str, place: str, depth: int) -> None:
    if not isinstance(value, dict) or not value or depth > _DEEPEST:
        raise NotValid("element-malformed", place)
    known = definitions()[kind]
    for name, found in value.items():
        plain = name.removeprefix("_")
        if plain not in known:
            raise NotValid("element-unknown", place)
        if name == plain:
            _element(found, known[name].removeprefix("!"), f"{place}.{name}", depth, f"_{name}" in value)
        else:
            _extended(found, f"{place}.{plain}", depth)
    missing = (name for name, sort in known.items() if sort.startswith("!") and not {name, f"_{name}"} & value.keys())
    if (name := next(missing, None)) is not None:
        raise NotValid("element-missing", f"{place}.{name}")


def _element(value: Any, sort: str, place: str, depth: int, is_extended: bool) -> None:
    is_list = sort.endswith("*")
    if is_list != isinstance(value, list) or value == []:
        raise NotValid("element-malformed", place)
    for number, each in enumerate(value if is_list else [value]):
        where = f"{place}[{number}]" if is_list else place
        if each is None and is_list and is_extended:
            continue
        _value(each, sort.removesuffix("*"), where, depth)


def _value(value: Any, sort: str, place: str, depth: int) -> None:
    if sort == "ResourceList":
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if kind not in KINDS or depth > 0:
            raise NotValid("contained-not-supported", place)
        check(value, kind)
    elif sort in definitions():
        _object(value, sort, place, depth + 1)
    elif (isinstance(value, str) and "\0" in value) or not _primitive(sort)(value):
        raise NotValid("value-malformed", place)


def _extended(value: Any, place: str, depth: int) -> None:
    """The id and extensions of a primitive."""
    for each in value if isinstance(value, list) else [value]:
        if each is not None:
            _plain(each, place, depth)


def _plain(value: Any, place: str, depth: int) -> None:
    if not isinstance(value, dict) or not value or value.keys() - {"id", "extension"}:
        raise NotValid("element-malformed", place)
    if "extension" in value:
        _element(value["extension"], "Extension*", f"{place}.extension", depth + 1, False)


@cache
def _primitive(sort: str) -> Callable[[Any], bool]:
    """Whether a value is one of the primitive type, or of the codes."""
    if sort == "boolean":
        return lambda value: isinstance(value, bool)
    if sort == "decimal":
        return _is_decimal
    if sort in _LEAST:
        return lambda value: type(value) is int and _LEAST[sort] <= value < 2**31
    if sort.startswith("code:"):
        codes = frozenset(sort.removeprefix("code:").split(" "))
        return lambda value: isinstance(value, str) and value in codes
    if sort in _PATTERNS:
        pattern = re.compile(_PATTERNS[sort], re.ASCII)
        return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
    if sort in _URIS:
        return lambda value: isinstance(value, str) and bool(value) and not any(map(str.isspace, value))
    if sort in _TEXTS:
        return _is_text
    raise KeyError(sort)


def _is_decimal(value: Any) -> bool:
    """A number that is written as one: no boolean, and none that is beyond all numbers."""
    if type(value) is int:
        return abs(value) < 10**30
    return type(value) is float and isfinite(value)


def _is_text(value: Any) -> bool:
    """A text of more than blanks, without what a browser would run."""
    if not isinstance(value, str) or not value.strip():
        return False
    return not (value.lstrip().startswith("<div") and _ACTIVE.search(value))


def references(value: Any) -> Iterator[dict[str, Any]]:
    """Every Reference within a resource that points somewhere."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            if isinstance(each.get("reference"), str):
                yield each
            pending += each.values()
        elif isinstance(each, list):
            pending += each
