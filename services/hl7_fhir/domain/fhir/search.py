"""FHIR search requests (R4 section 3.1.1), read strictly: what is not understood is refused.

An unknown parameter is refused and not ignored, since a wider answer than asked for is a disclosure; a client that
wants it otherwise says ``Prefer: handling=lenient`` and is told what was ignored.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from services.hl7_fhir.domain.fhir import dates
from services.hl7_fhir.domain.fhir.conditions import DEFAULT_COUNT, Condition, Inclusion, Search, Sort
from services.hl7_fhir.domain.fhir.parameters import DATE, KINDS, REFERENCE, Parameter, parameters
from services.hl7_fhir.domain.fhir.reading import Reading, SearchRefused

__all__ = ["DEFAULT_COUNT", "MAX_COUNT", "SearchRefused", "describe", "history", "read"]

MAX_COUNT = 200
_PARAMETERS = 60
_INCLUSIONS = 20
_LENGTH = 16_384

#: Parameters of the result, and of the form of the answer.
_RESULT = frozenset(
    ("_count", "_sort", "_total", "_summary", "_elements", "_include", "_revinclude", "_cursor", "_format", "_pretty")
)
_HISTORY = frozenset(("_since", "_count", "_cursor", "_format", "_pretty", "_summary", "_elements"))
_TOTALS = frozenset(("none", "estimate", "accurate"))
_SUMMARIES = frozenset(("true", "false", "count", "text", "data"))


def read(
    kind: str, given: Iterable[tuple[str, str]], now: datetime, *, base: str = "", lenient: bool = False
) -> Search:
    """The search that the parameters ask of ``kind``; SearchRefused for what is unknown or unusable.

    ``base`` is the URL of this server, by which it knows its own resources in absolute references.
    """
    asked = list(given)
    if len(asked) > _PARAMETERS or sum(len(name) + len(value) for name, value in asked) > _LENGTH:
        raise SearchRefused("search-too-long")
    reading = Reading(now, base)
    conditions: list[Condition] = []
    inclusions: list[Inclusion] = []
    ignored: list[str] = []
    for name, value in asked:
        plain = name.partition(":")[0]
        if plain in ("_include", "_revinclude"):
            inclusions += _inclusions(kind, name, value)
        elif plain not in _RESULT:
            found = reading.condition(kind, name, value, lenient)
            ignored += [] if found else [name]
            conditions += [found] if found else []
        elif plain != name:
            raise SearchRefused("search-modifier-unusable")
    if len(inclusions) > _INCLUSIONS:
        raise SearchRefused("search-too-long")
    summary = _one_of(asked, "_summary", _SUMMARIES, "false")
    count = min(_count(asked), MAX_COUNT)
    return Search(
        kind=kind,
        conditions=tuple(conditions),
        sort=_sort(kind, asked),
        count=count,
        total=_one_of(asked, "_total", _TOTALS, "estimate"),
        only_count=summary == "count" or count == 0,
        inclusions=tuple(inclusions),
        ignored=tuple(ignored),
    )


def history(given: Iterable[tuple[str, str]]) -> tuple[datetime | None, int]:
    """``_since`` and ``_count`` of a history (R4 section 3.1.0.10); SearchRefused for anything else."""
    asked = list(given)
    if any(name not in _HISTORY for name, _ in asked):
        raise SearchRefused("search-parameter-not-supported")
    since = _last(asked, "_since")
    try:
        start = dates.moment_of(dates.read(since.replace(" ", "+")).low) if since else None
    except (ValueError, OverflowError):
        raise SearchRefused("search-value-unusable") from None
    return start, max(1, min(_count(asked), MAX_COUNT))


def _last(asked: Sequence[tuple[str, str]], name: str) -> str | None:
    values = [value for given, value in asked if given == name]
    if len(values) > 1:
        raise SearchRefused("search-parameter-repeated")
    return values[0] if values else None


def _one_of(asked: Sequence[tuple[str, str]], name: str, words: frozenset[str], default: str) -> str:
    value = _last(asked, name) or default
    if value not in words:
        raise SearchRefused("search-value-unusable")
    return value


def _count(asked: Sequence[tuple[str, str]]) -> int:
    value = _last(asked, "_count")
    if value is None:
        return DEFAULT_COUNT
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise SearchRefused("search-value-unusable")
    return int(value)


def _sort(kind: str, asked: Sequence[tuple[str, str]]) -> Sort | None:
    """One key: ``_lastUpdated`` or a date that is marked as such; ``-`` before it turns the order."""
    value = _last(asked, "_sort")
    if value is None:
        return None
    name = value.removeprefix("-")
    if name == "_lastUpdated":
        return Sort(None, name != value)
    parameter = parameters(kind).get(name)
    if parameter is None or not parameter.sortable:
        raise SearchRefused("sort-not-supported")
    return Sort(parameter.number, name != value)


def _inclusions(kind: str, name: str, value: str) -> list[Inclusion]:
    """``Source:parameter[:Target]``; ``*`` stands for every reference (R4 section 3.1.1.5.5)."""
    plain, _, modifier = name.partition(":")
    parts = value.split(":")
    if modifier not in ("", "iterate") or not 1 <= len(parts) <= 3:
        raise SearchRefused("include-not-supported")
    source, wanted, target = [*parts, "*", ""][:3] if len(parts) == 1 else [*parts, ""][:3]
    reverse, iterate = plain == "_revinclude", modifier == "iterate"
    if source == "*" and len(parts) == 1 and not reverse:
        source = kind
    if source not in KINDS or (target and target not in KINDS):
        raise SearchRefused("include-not-supported")
    if not reverse and not iterate and source != kind:
        raise SearchRefused("include-not-supported")
    found = [
        Inclusion(each, _target(kind, target, reverse, iterate), reverse, iterate) for each in _along(source, wanted)
    ]
    if not found:
        raise SearchRefused("include-not-supported")
    return found


def _target(kind: str, target: str, reverse: bool, iterate: bool) -> str | None:
    """The kind at the other end: for ``_revinclude`` that of the search, unless it goes on from what was included."""
    return target or (kind if reverse and not iterate else None)


def _along(source: str, wanted: str) -> list[Parameter]:
    return [
        parameter
        for parameter in parameters(source).values()
        if parameter.type == REFERENCE and wanted in ("*", parameter.name)
    ]


def describe(kind: str) -> list[dict[str, str]]:
    """The search parameters of ``kind`` as a CapabilityStatement lists them (R4 ``rest.resource.searchParam``)."""
    common = [{"name": "_id", "type": "token"}, {"name": "_lastUpdated", "type": DATE}]
    return common + [{"name": each.name, "type": each.type} for each in parameters(kind).values()]
