"""FHIR search requests for Patient and ServiceRequest (R4 section 3.1.1.4), read strictly."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.hl7_fhir.domain.fhir import SEARCHES
from shared.errors import Unprocessable

MAX_COUNT = 200
DEFAULT_COUNT = 50
_ALTERNATIVES = 50

#: Parameters of the result, not of the search.
_RESULT = frozenset(("_count", "_offset", "_format", "_pretty"))


class SearchRefused(Unprocessable):
    """The request asks for something that this server does not do; ``reason`` is fit to be shown."""


@dataclass(frozen=True)
class Search:
    """One group of alternatives for every time a parameter was given; system None matches any.

    ``count`` resources from ``offset`` on, those that changed last first.
    """

    kind: str
    ids: tuple[tuple[str, ...], ...] = ()
    identifiers: tuple[tuple[tuple[str | None, str], ...], ...] = ()
    patients: tuple[tuple[str, ...], ...] = ()
    count: int = DEFAULT_COUNT
    offset: int = 0


def read(kind: str, parameters: Iterable[tuple[str, str]]) -> Search:
    """The search that ``parameters`` ask of ``kind``; SearchRefused for what is unknown.

    An unknown parameter is refused and not ignored: a wider answer than asked for is a disclosure.
    """
    asked = list(parameters)
    known = {name for name, _, _ in SEARCHES[kind]} | _RESULT
    if any(name not in known for name, _ in asked):
        raise SearchRefused("search-parameter-not-supported")
    references = ("patient", "subject")
    return Search(
        kind=kind,
        ids=tuple(_alternatives(value) for name, value in asked if name == "_id"),
        identifiers=tuple(
            tuple(_token(each) for each in _alternatives(value)) for name, value in asked if name == "identifier"
        ),
        patients=tuple(
            tuple(_patient(each) for each in _alternatives(value)) for name, value in asked if name in references
        ),
        count=min(_number(asked, "_count", DEFAULT_COUNT), MAX_COUNT),
        offset=_number(asked, "_offset", 0),
    )


def _alternatives(value: str) -> tuple[str, ...]:
    """The values between commas that no backslash protects."""
    found = tuple(_unescaped(part) for part in _split(value, ","))
    if len(found) > _ALTERNATIVES or not all(found):
        raise SearchRefused("search-value-unusable")
    return found


def _split(value: str, mark: str) -> list[str]:
    parts, current, protected = [], "", False
    for letter in value:
        if letter == mark and not protected:
            parts.append(current)
            current = ""
        else:
            current += letter
        protected = letter == "\\" and not protected
    return [*parts, current]


def _unescaped(value: str) -> str:
    """Without the backslashes before a comma or a dollar; those before a bar are still needed."""
    return value.replace("\\,", ",").replace("\\$", "$")


def _token(value: str) -> tuple[str | None, str]:
    parts = [part.replace("\\|", "|").replace("\\\\", "\\") for part in _split(value, "|")]
    if len(parts) == 1:
        return None, parts[0]
    if len(parts) != 2 or not parts[1]:
        raise SearchRefused("search-value-unusable")
    return parts[0], parts[1]


def _patient(value: str) -> str:
    """The id in ``123``, ``Patient/123`` or ``https://…/Patient/123``."""
    kind, _, resource_id = value.rpartition("/")
    if kind and not (kind == "Patient" or kind.endswith("/Patient")):
        raise SearchRefused("search-value-unusable")
    return resource_id


def _number(asked: list[tuple[str, str]], name: str, default: int) -> int:
    values = [value for given, value in asked if given == name]
    if not values:
        return default
    if not (values[-1].isascii() and values[-1].isdecimal() and len(values[-1]) < 8):
        raise SearchRefused("search-value-unusable")
    return int(values[-1])
