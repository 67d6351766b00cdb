"""Conditions of a FHIR search in SQL: as a filter of one resource, and as streams of all resources that meet them.

A stream gives (key, number) by way of an index. Filters are correlated and begin with ``OFFSET 0``, so that PostgreSQL
probes its index for each row instead of joining whole tables; SQLite does so anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, literal, not_, or_, select, true
from sqlalchemy.sql import visitors

from services.hl7_fhir.adapters.search_tables import dates, strings, tokens
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.fhir.conditions import Condition, Dates, Ids, Missing, Strings, Tokens, Updated
from services.hl7_fhir.domain.fhir.dates import EARLIEST, LATEST, WIDTHS, Asked, moment_of
from services.hl7_fhir.domain.fhir.indexing import bounded, normal

#: Alternatives that have a stream each; more of them are one stream that the database has to sort.
_STREAMS = 8
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class Stream:
    """Rows of one table in the order of ``key`` and ``number``, or (not ``ordered``) in any, some of them twice."""

    key: ColumnElement[Any]
    number: ColumnElement[int]
    where: tuple[ColumnElement[bool], ...]
    ordered: bool = True


def streams(kind: str, condition: Condition, others: Sequence[Condition] = ()) -> tuple[Stream, ...]:
    """The resources that meet ``condition``, by number; dates by date, those of the last change by that.

    Other conditions on the same date, or on the last change, narrow the streams. None for a condition that no index
    leads to.
    """
    if isinstance(condition, Tokens) and not condition.negated:
        return _token_streams(condition)
    if isinstance(condition, Dates):
        same = [each for each in others if isinstance(each, Dates) and each.number == condition.number]
        return tuple(_date_stream(width, [condition, *same]) for width in range(len(WIDTHS)))
    if isinstance(condition, Strings):
        where = _string_where(condition)
        return (Stream(strings.c.number, strings.c.number, (where,), ordered=False),)
    if isinstance(condition, Ids):
        where = and_(resources.c.type == kind, resources.c.id.in_(condition.ids))
        return (Stream(resources.c.number, resources.c.number, (where,), ordered=False),)
    if isinstance(condition, Updated):
        all_of_them = (_updated(each) for each in (condition, *others) if isinstance(each, Updated))
        return (Stream(resources.c.updated, resources.c.number, (resources.c.type == kind, *all_of_them)),)
    return ()


def all_by_update(kind: str) -> tuple[Stream, ...]:
    """Every resource of ``kind`` by its last change."""
    return (Stream(resources.c.updated, resources.c.number, (resources.c.type == kind,)),)


def all_by_date(number: int) -> tuple[Stream, ...]:
    """Every resource that has the sortable date parameter ``number``, those without a date included."""
    classes = range(len(WIDTHS) + 1)
    return tuple(
        Stream(dates.c.low, dates.c.number, (dates.c.parameter == number, dates.c.width == width)) for width in classes
    )


def meets(number: ColumnElement[int], condition: Condition) -> ColumnElement[bool]:
    """Whether the resource ``number`` meets the condition."""
    if isinstance(condition, Tokens):
        found = _probe(tokens, number, _token_where(condition.alternatives))
        return not_(found) if condition.negated else found
    if isinstance(condition, Dates):
        return _probe(dates, number, and_(dates.c.parameter == condition.number, _dated(condition)))
    if isinstance(condition, Strings):
        return _probe(strings, number, _string_where(condition))
    if isinstance(condition, Missing):
        absent = resources.c.present.bitwise_and(condition.mask) == 0
        return _probe(resources, number, absent if condition.missing else not_(absent))
    if isinstance(condition, Ids):
        return _probe(resources, number, resources.c.id.in_(condition.ids))
    if isinstance(condition, Updated):
        return _probe(resources, number, _updated(condition))
    raise TypeError("a chain is resolved before it is searched")


def _probe(table: Any, number: ColumnElement[int], where: ColumnElement[bool]) -> ColumnElement[bool]:
    """``number`` of an enclosing select, of whatever table, is in ``table`` with ``where``."""
    probed = table.alias()
    inside: Select[Any] = (
        select(literal(1)).select_from(probed).where(probed.c.number == number, _of(where, table, probed))
    )
    return exists(inside.correlate_except(probed).offset(0))


def _of(where: ColumnElement[bool], table: Any, alias: Any) -> ColumnElement[bool]:
    def replaced(element: Any, **_: Any) -> Any:
        return alias.c[element.name] if getattr(element, "table", None) is table else None

    return visitors.replacement_traverse(where, {}, replaced)


def _token_streams(condition: Tokens) -> tuple[Stream, ...]:
    if len(condition.alternatives) > _STREAMS:
        where = _token_where(condition.alternatives)
        return (Stream(tokens.c.number, tokens.c.number, (where,), ordered=False),)
    return tuple(Stream(tokens.c.number, tokens.c.number, (_token_where([each]),)) for each in condition.alternatives)


def _token_where(alternatives: Sequence[tuple[int, str, str | None]]) -> ColumnElement[bool]:
    """Values first, since the index leads by them; systems are looked at after."""
    found = []
    for parameter in dict.fromkeys(each[0] for each in alternatives):
        named = [(value, system) for number, value, system in alternatives if number == parameter]
        values = list(dict.fromkeys(value for value, _ in named))
        led = tokens.c.value == values[0] if len(values) == 1 else tokens.c.value.in_(values)
        found.append(and_(tokens.c.parameter == parameter, led, _systems(named)))
    return or_(*found) if found else false()


def _systems(named: Sequence[tuple[str, str | None]]) -> ColumnElement[bool]:
    if all(system is None for _, system in named):
        return true()
    if len(named) == 1:
        return tokens.c.system == named[0][1]
    return or_(
        *(
            and_(tokens.c.value == value, true() if system is None else tokens.c.system == system)
            for value, system in named
        )
    )


def _date_stream(width: int, conditions: Sequence[Dates]) -> Stream:
    """The dates of one class of width, between bounds of their beginning that hold for all that match."""
    hulls = [[each.lows(WIDTHS[width]) for each in condition.alternatives] for condition in conditions]
    low = max(min(first for first, _ in hull) for hull in hulls)
    high = min(max(last for _, last in hull) for hull in hulls)
    where = (
        dates.c.parameter == conditions[0].number,
        dates.c.width == width,
        dates.c.low.between(max(low, EARLIEST), min(high, LATEST)),
        *(_dated(condition) for condition in conditions),
    )
    return Stream(dates.c.low, dates.c.number, where)


def _dated(condition: Dates) -> ColumnElement[bool]:
    met = or_(*(_date(each) for each in condition.alternatives))
    return and_(dates.c.low >= EARLIEST, met)


def _date(asked: Asked) -> ColumnElement[bool]:
    """Ranges as R4 section 3.1.1.4.7 compares them."""
    low, high = asked.range.low, asked.range.high
    return {
        "eq": and_(dates.c.low >= low, dates.c.high <= high),
        "ne": or_(dates.c.low < low, dates.c.high > high),
        "gt": dates.c.high > high,
        "lt": dates.c.low < low,
        "ge": or_(dates.c.high > high, dates.c.low >= low),
        "le": or_(dates.c.low < low, dates.c.high <= high),
        "sa": dates.c.low >= high,
        "eb": dates.c.high <= low,
        "ap": and_(dates.c.low < high, dates.c.high > low),
    }[asked.prefix]


def _updated(condition: Updated) -> ColumnElement[bool]:
    """An instant has no width: the prefixes come down to comparisons."""
    return or_(*(_changed(each) for each in condition.alternatives))


def _changed(asked: Asked) -> ColumnElement[bool]:
    low, high = moment_of(asked.range.low), moment_of(asked.range.high)
    changed = resources.c.updated
    return {
        "eq": and_(changed >= low, changed < high),
        "ne": or_(changed < low, changed >= high),
        "gt": changed >= high,
        "lt": changed < low,
        "ge": changed >= low,
        "le": changed < high,
        "sa": changed >= high,
        "eb": changed < low,
        "ap": and_(changed >= low, changed < high),
    }[asked.prefix]


def _string_where(condition: Strings) -> ColumnElement[bool]:
    matches = {"starts": _starts, "exact": _is, "contains": _contains}[condition.mode]
    return and_(strings.c.parameter.in_(condition.numbers), or_(*(matches(each) for each in condition.alternatives)))


def _starts(text: str) -> ColumnElement[bool]:
    return strings.c.value.between(text, text + _LAST)


def _is(text: str) -> ColumnElement[bool]:
    return and_(strings.c.value == normal(text), strings.c.exact == bounded(text))


def _contains(text: str) -> ColumnElement[bool]:
    return func.replace(strings.c.value, text, "") != strings.c.value
