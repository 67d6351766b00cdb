"""How a search is answered: along which of its conditions, and in which order.

A search goes along one condition, its driver, and looks at the others for each resource that it meets. The driver is
a condition that few resources meet, if there is one; else a date, whose order is that of time; else a code, whose
order is that of the resources' numbers. So a page costs about as much at any depth and at any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, union_all

from services.hl7_fhir.adapters.criteria import Stream, all_by_date, all_by_update, streams
from services.hl7_fhir.domain.fhir.conditions import Condition, Dates, Sort, Tokens, Updated

#: So many resources are few.
FEW = 2000
NUMBER, UPDATED = "number", "updated"
ALL = -1


@dataclass(frozen=True)
class Plan:
    """Go along ``streams``, look at ``filters``, answer in ``order``: number, updated or the number of a date.

    ``size`` is how many resources the streams have, None when they are many or it was not counted.
    """

    driver: int
    streams: tuple[Stream, ...]
    filters: tuple[Condition, ...]
    order: str | int
    descending: bool
    natural: bool
    size: int | None = None


def plan(connection: Connection, kind: str, conditions: Sequence[Condition], sort: Sort | None) -> Plan:
    """The plan for the first page."""
    led = {
        place: found
        for place, each in enumerate(conditions)
        if (found := streams(kind, each, _rest(conditions, place)))
    }
    if not led:
        return planned(kind, conditions, sort, ALL)
    (only, *more) = led
    if not more and sort is None and all(stream.ordered for stream in led[only]):
        return planned(kind, conditions, sort, only)
    sizes = _sizes(connection, led)
    best = min(sizes, key=lambda place: sizes[place])
    if sizes[best] <= FEW:
        return planned(kind, conditions, sort, best, sizes[best])
    return planned(kind, conditions, sort, _of_many(conditions, led, sort))


def planned(
    kind: str, conditions: Sequence[Condition], sort: Sort | None, driver: int, size: int | None = None
) -> Plan:
    """The plan along the condition at ``driver``."""
    wanted = _wanted(sort)
    if driver == ALL:
        order = wanted or UPDATED
        along = all_by_date(order) if isinstance(order, int) else all_by_update(kind)
        filters = tuple(conditions)
    else:
        order = _natural(conditions[driver])
        along = streams(kind, conditions[driver], _rest(conditions, driver))
        filters = tuple(each for each in _rest(conditions, driver) if not _same_date(each, conditions[driver]))
    natural = wanted in (None, order) and all(stream.ordered for stream in along)
    descending = sort is None or sort.descending
    return Plan(driver, along, filters, wanted or order, descending, natural, size)


def _rest(conditions: Sequence[Condition], place: int) -> list[Condition]:
    return [each for at, each in enumerate(conditions) if at != place]


def _same_date(one: Condition, other: Condition) -> bool:
    if isinstance(one, Updated):
        return isinstance(other, Updated)
    return isinstance(one, Dates) and isinstance(other, Dates) and one.number == other.number


def _wanted(sort: Sort | None) -> str | int | None:
    if sort is None:
        return None
    return UPDATED if sort.number is None else sort.number


def _natural(condition: Condition) -> str | int:
    if isinstance(condition, Dates):
        return condition.number
    return UPDATED if isinstance(condition, Updated) else NUMBER


def _of_many(conditions: Sequence[Condition], led: dict[int, tuple[Stream, ...]], sort: Sort | None) -> int:
    """The driver when each condition is met by many: the one in whose order the answer is to be, else dates first."""
    able = [place for place in led if all(stream.ordered for stream in led[place])]
    if sort is not None:
        return next((place for place in able if _natural(conditions[place]) == _wanted(sort)), ALL)
    ranked = sorted(able, key=lambda place: (Dates, Updated, Tokens).index(type(conditions[place])))
    return ranked[0] if ranked else ALL


def _sizes(connection: Connection, led: dict[int, tuple[Stream, ...]]) -> dict[int, int]:
    """How many resources meet each condition, counted to a little beyond FEW."""
    counts = []
    for found in led.values():
        rows = [select(each.number.label("number")).where(*each.where) for each in found]
        first = (union_all(*rows) if len(rows) > 1 else rows[0]).limit(FEW + 1).subquery()
        counts.append(select(func.count()).select_from(first).scalar_subquery())
    return dict(zip(led, connection.execute(select(*counts)).one(), strict=True))
