"""What a resource is found by: the rows of the search index that its elements make (R4 section 3.1.1.4)."""

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from services.hl7_fhir.domain.fhir import dates
from services.hl7_fhir.domain.fhir.parameters import DATE, LOGICAL, REFERENCE, STRING, Parameter, indexed

Body = Mapping[str, Any]
#: Bytes of a value that an index of either database holds without trouble; what is longer is kept as a digest.
_LONGEST = 300
_LONGEST_STRING = 75
_OID = "urn:oid:"


@dataclass(frozen=True)
class Rows:
    """Rows of the index, each beginning with the number of its parameter.

    Tokens and references: (number, value, system). Dates: (number, class of width, low, high). Strings: (number,
    normalised, exact). ``present`` is the mask of the parameters with a value.
    """

    tokens: frozenset[tuple[int, str, str]] = frozenset()
    dates: frozenset[tuple[int, int, int, int]] = frozenset()
    strings: frozenset[tuple[int, str, str]] = frozenset()
    present: int = 0


def rows(kind: str, body: Body) -> Rows:
    """The rows of a resource of ``kind``; none for a kind without parameters."""
    tokens: set[tuple[int, str, str]] = set()
    spans: set[tuple[int, int, int, int]] = set()
    strings: set[tuple[int, str, str]] = set()
    present = 0
    for parameter in parameters_of(kind):
        found = values(parameter, body)
        if found:
            present |= parameter.bit & ~_others(parameter)
        if parameter.type == DATE:
            spans |= set(_dates(parameter, found))
        elif parameter.type == STRING:
            strings |= {(parameter.number, *_string(text)) for each in found for text in _texts(each)}
        else:
            tokens |= set(_tokens(parameter, found))
    return Rows(frozenset(tokens), frozenset(spans), frozenset(strings), present)


def parameters_of(kind: str) -> tuple[Parameter, ...]:
    """The parameters that resources of ``kind`` are indexed by."""
    try:
        return indexed(kind)
    except KeyError:
        return ()


def _others(parameter: Parameter) -> int:
    """The bits of the parameters that this one looks at besides itself."""
    return parameter.bit & ~(1 << (parameter.number % (2 * LOGICAL)))


def values(parameter: Parameter, body: Body) -> list[Any]:
    """The elements of ``body`` that the parameter looks at."""
    return [value for path in parameter.paths for value in _follow(body, path)]


def _follow(body: Body, path: str) -> list[Any]:
    found: list[Any] = [body]
    for name, condition, wanted in _steps(path):
        below: list[Any] = []
        for each in found:
            value = each.get(name) if isinstance(each, dict) else None
            if isinstance(value, list):
                below += value
            elif value is not None:
                below.append(value)
        if condition:
            below = [each for each in below if isinstance(each, dict) and each.get(condition) == wanted]
        found = below
    return found


@cache
def _steps(path: str) -> tuple[tuple[str, str, str], ...]:
    """Names on the way, each with the condition that elements there have to meet, if any."""
    return tuple(_step(step) for step in path.split("."))


def _step(step: str) -> tuple[str, str, str]:
    name, _, condition = step.rstrip("]").partition("[")
    element, _, wanted = condition.partition("=")
    return name, element, wanted


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _dates(parameter: Parameter, found: list[Any]) -> Iterator[tuple[int, int, int, int]]:
    """One row: the outer limits. A parameter to sort by has one for the want of a date, too."""
    ranges = [each for each in map(dates.covered, found) if each]
    if ranges:
        whole = dates.Range(min(each.low for each in ranges), max(each.high for each in ranges))
        yield parameter.number, whole.width_class, whole.low, whole.high
    elif parameter.sortable:
        yield parameter.number, len(dates.WIDTHS), dates.ABSENT, dates.ABSENT


def _tokens(parameter: Parameter, found: list[Any]) -> Iterator[tuple[int, str, str]]:
    for each in found:
        if parameter.type == REFERENCE:
            yield from _reference(parameter, each)
        else:
            for value, system in _coded(each, parameter.system):
                yield parameter.number, token_value(value), bounded(system)


def _reference(parameter: Parameter, value: Any) -> Iterator[tuple[int, str, str]]:
    if (target := reference(value)) is not None:
        yield parameter.number, bounded(target), ""
    if isinstance(value, Mapping):
        for name, system in _coded(value.get("identifier"), ""):
            yield parameter.number + LOGICAL, token_value(name), bounded(system)


def reference(value: Any) -> str | None:
    """``Type/id``, or the absolute URL, of a Reference without its version; None without one, or for contained ones."""
    target = value.get("reference") if isinstance(value, Mapping) else None
    if not isinstance(target, str) or not target or target.startswith("#"):
        return None
    return target.partition("/_history/")[0]


def _coded(value: Any, system: str) -> Iterator[tuple[str, str]]:
    """(value, system) of a code, boolean, Coding, CodeableConcept or Identifier."""
    if isinstance(value, bool):
        yield str(value).lower(), ""
    elif isinstance(value, str):
        yield value, system
    elif isinstance(value, Mapping):
        for each in _listed(value.get("coding")):
            yield from _coded(each, "")
        name, own = value.get("code", value.get("value")), value.get("system", "")
        if isinstance(name, str) and isinstance(own, str):
            yield name, own


def token_value(text: str) -> str:
    """A value as the index keeps it: an OID has no prefix there, so that UIDs are found with and without it."""
    return bounded(text.removeprefix(_OID))


def bounded(text: str) -> str:
    """``text``, or the digest of what is longer than an index should hold; without what PostgreSQL does not keep."""
    if not text.isascii() or "\0" in text:
        text = text.encode("utf-8", "replace").decode().replace("\0", "")
    if len(text) * 4 <= _LONGEST or len(text.encode()) <= _LONGEST:
        return text
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _texts(value: Any) -> Iterator[str]:
    """The texts of a string, or of a HumanName's parts when one is given whole."""
    if isinstance(value, str) and value.strip():
        yield value


def _string(text: str) -> tuple[str, str]:
    return normal(text), bounded(text)


def normal(text: str) -> str:
    """``text`` without case, accents and superfluous blanks, as strings are compared (R4 section 3.1.1.4.8)."""
    plain = unicodedata.normalize("NFKD", text[: 4 * _LONGEST_STRING])
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return bounded(" ".join(letters.casefold().split())[:_LONGEST_STRING])
