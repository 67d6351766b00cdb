"""Matching a worklist query in SQL, a page of answers at a time (PS3.4 section C.2.2.2)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, false, or_, select, tuple_

from services.hl7_fhir.adapters.step_rows import load_data
from services.hl7_fhir.adapters.worklist_tables import step_names, step_stations, steps
from services.hl7_fhir.domain.worklist.keys import STEP
from services.hl7_fhir.domain.worklist.query import STATIONS, Condition, Query, answer
from shared.sql import Database

_STATE = 0x00400020
_WILD = re.compile(r"[*?]")
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class Page:
    """Some answers, and after which step the next page begins; None when there is no more."""

    answers: tuple[bytes, ...]
    after: tuple[str, str] | None


class SqlWorklist:
    """The steps of a database that are to be done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, query: Query, *, caller: str, explicit: bool, after: tuple[str, str] | None, count: int
    ) -> Page:
        """The next ``count`` identifiers that match, by time; ``caller`` is the AE title that asks. RetryLater."""
        return await self._database.read(lambda connection: _page(connection, query, caller, explicit, after, count))


def _page(
    connection: Connection,
    query: Query,
    caller: str,
    explicit: bool,
    after: tuple[str, str] | None,
    count: int,
) -> Page:
    wanted = statement(query, datetime.now(UTC), on_postgresql=connection.dialect.name == "postgresql")
    if after is not None:
        wanted = wanted.where(tuple_(steps.c.starts, steps.c.id) > tuple_(*after))
    found = connection.execute(wanted.limit(count)).all()
    answers = tuple(_answer(row, query, caller, explicit) for row in found)
    return Page(answers, (found[-1].starts, found[-1].id) if len(found) == count else None)


def _answer(row: Row[Any], query: Query, caller: str, explicit: bool) -> bytes:
    data = dict(load_data(row.data))
    items = data[STEP]
    step: dict[int, Any] = dict(items[0]) if not isinstance(items, str) else {}
    step[_STATE] = row.state
    step[STATIONS] = step[STATIONS] or query.station or caller
    data[STEP] = [step]
    return answer(query, data, row.charset, explicit=explicit)


def statement(query: Query, now: datetime, *, on_postgresql: bool) -> Select[Any]:
    """The steps that match, in the order of their times."""
    shown = (steps.c.listed, or_(steps.c.leaves.is_(None), steps.c.leaves > now))
    matches = [_Matching(query, on_postgresql).of(each) for each in query.conditions]
    columns = (steps.c.id, steps.c.starts, steps.c.state, steps.c.charset, steps.c.data)
    return select(*columns).where(*shown, *matches).order_by(steps.c.starts, steps.c.id)


class _Matching:
    """Conditions in SQL; SQLite compares patterns by GLOB, which unlike its LIKE tells upper from lower case."""

    def __init__(self, query: Query, on_postgresql: bool) -> None:
        self._query = query
        self._on_postgresql = on_postgresql

    def of(self, condition: Condition) -> ColumnElement[bool]:
        """Rows of ``steps`` that meet the condition."""
        values, column = condition.values, condition.column
        if condition.kind == "name":
            return and_(*(self._named(column, value) for value in values))
        if condition.kind == "station":
            return self._for_station(values)
        if condition.kind == "moment" or column == "date":
            return _within(steps.c.starts, values)
        if condition.kind in ("date", "time"):
            return _within(steps.c[column], values)
        if condition.kind == "uid":
            return steps.c[column].in_(values)
        return self._like_any(steps.c[column], values)

    def _named(self, kind: str, value: str) -> ColumnElement[bool]:
        named = self._like(step_names.c.name, value)
        return steps.c.id.in_(select(step_names.c.step).where(step_names.c.kind == kind, named))

    def _for_station(self, values: tuple[str, ...]) -> ColumnElement[bool]:
        """Its own steps and those of no station in particular; within the time that was asked for as well."""
        stations = or_(self._like_any(step_stations.c.station, values), step_stations.c.station == "")
        if not any(_WILD.search(value) for value in values):
            stations = step_stations.c.station.in_((*values, ""))
        times = [
            _within(step_stations.c.starts, each.values)
            for each in self._query.conditions
            if each.kind == "moment" or each.column == "date"
        ]
        return steps.c.id.in_(select(step_stations.c.step).where(stations, *times))

    def _like_any(self, column: Column[Any], values: tuple[str, ...]) -> ColumnElement[bool]:
        return or_(false(), *(self._like(column, value) for value in values))

    def _like(self, column: Column[Any], value: str) -> ColumnElement[bool]:
        """Single value or wild card matching; the beginning of a pattern narrows the search by an index."""
        wild = _WILD.search(value)
        if wild is None:
            return column == value
        start = value[: wild.start()]
        begins = (column >= start, column < start + _LAST) if start else (column != "",)
        if self._on_postgresql:
            pattern = re.sub(r"([%_\\])", r"\\\1", value).replace("*", "%").replace("?", "_")
            return and_(*begins, column.like(pattern, escape="\\"))
        return and_(*begins, column.op("GLOB")(value.replace("[", "[[]")))


def _within(column: Column[Any], values: tuple[str, ...]) -> ColumnElement[bool]:
    """From the first to the last value, each as long as it is precise; what is empty lies in no range."""
    low, high = values
    bounds = [column != ""]
    if low:
        bounds.append(column >= low)
    if high:
        bounds.append(column < high + _LAST)
    return and_(*bounds)
