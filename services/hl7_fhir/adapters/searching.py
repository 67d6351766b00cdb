"""FHIR searches in SQL: a page, what is to come with it, and how many there are."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Select,
    and_,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.exc import DBAPIError

from services.hl7_fhir.adapters import chaining
from services.hl7_fhir.adapters.criteria import meets
from services.hl7_fhir.adapters.including import include
from services.hl7_fhir.adapters.planning import FEW, NUMBER, UPDATED, Plan, plan, planned
from services.hl7_fhir.adapters.rows import stored
from services.hl7_fhir.adapters.search_tables import dates
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.fhir.conditions import Condition, Position, Search, Tokens
from services.hl7_fhir.domain.fhir.found import Page
from services.hl7_fhir.domain.fhir.reading import SearchRefused

#: Seconds that one search may take in the database.
PATIENCE = 10.0
#: Matches are counted to here where nobody asks for more.
COUNTED = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def search(connection: Connection, asked: Search) -> Page:
    """The page that ``asked`` describes; SearchRefused when it would take too long."""
    with _bounded(connection):
        conditions = chaining.resolved(connection, asked.kind, asked.conditions, _numbers)
        if any(isinstance(each, Tokens) and not each.alternatives and not each.negated for each in conditions):
            return Page(total=0)
        chosen = _chosen(connection, asked, conditions)
        if asked.only_count:
            return Page(total=_count(connection, chosen))
        return _page(connection, asked, chosen)


def _chosen(connection: Connection, asked: Search, conditions: Sequence[Condition]) -> Plan:
    """The plan of the first page, which later ones keep to."""
    if asked.after is None:
        return plan(connection, asked.kind, conditions, asked.sort)
    if not -1 <= asked.after.driver < len(conditions):
        raise SearchRefused("cursor-unusable")
    return planned(asked.kind, conditions, asked.sort, asked.after.driver)


def _page(connection: Connection, asked: Search, chosen: Plan) -> Page:
    ahead = connection.execute(_statement(chosen, asked.after, asked.count + 1)).all()
    here = ahead[: asked.count]
    wanted = select(resources).where(resources.c.number.in_([row.number for row in here]))
    by_number = {row.number: stored(row) for row in connection.execute(wanted)} if here else {}
    found = tuple(by_number[row.number] for row in here)
    more = len(ahead) > len(here)
    total = _total(connection, asked, chosen, None if more else len(here))
    following = None
    if more:
        following = Position(chosen.driver, _comparable(here[-1].key), here[-1].number, total)
    included, is_whole = include(connection, asked.kind, found, asked.inclusions)
    return Page(total, found, included, following, is_whole)


def _total(connection: Connection, asked: Search, chosen: Plan, known: int | None) -> int | None:
    if asked.total == "none":
        return None
    if asked.after is not None:
        return asked.after.total
    if known is not None:
        return known
    if asked.total == "accurate":
        return _count(connection, chosen)
    if chosen.filters and (chosen.size is None or chosen.size > FEW):
        return None
    return _count_few(connection, chosen)


def _numbers(connection: Connection, kind: str, conditions: Sequence[Condition], limit: int) -> list[int]:
    """The numbers of the resources that meet the conditions, ``limit`` at most."""
    chosen = plan(connection, kind, conditions, None)
    return [row.number for row in connection.execute(_statement(chosen, None, limit))]


def _matches(chosen: Plan) -> list[Select[Any]]:
    """The numbers of all that match, stream by stream; some of them twice."""
    return [
        select(each.number.label("number")).where(*each.where, *(meets(each.number, one) for one in chosen.filters))
        for each in chosen.streams
    ]


def _count(connection: Connection, chosen: Plan) -> int:
    """How many match, all of them counted."""
    numbers = _matches(chosen)
    whole = (union_all(*numbers) if len(numbers) > 1 else numbers[0]).subquery()
    found = select(func.count(whole.c.number.distinct()))
    return int(connection.execute(found).scalar_one())


def _count_few(connection: Connection, chosen: Plan) -> int | None:
    """How many match, None when the streams have more than COUNTED."""
    some = [select(each.limit(COUNTED + 1).subquery()) for each in _matches(chosen)]
    rows = connection.execute((union_all(*some) if len(some) > 1 else some[0]).limit(COUNTED + 1)).all()
    return len({row.number for row in rows}) if len(rows) <= COUNTED else None


def _statement(chosen: Plan, after: Position | None, limit: int) -> Select[Any]:
    """(key, number) of the next ``limit`` resources."""
    return _along(chosen, after, limit) if chosen.natural else _sorted(chosen, after, limit)


def _along(chosen: Plan, after: Position | None, limit: int) -> Select[Any]:
    """Each stream is read in its order as far as the page needs, and they are merged."""
    parts = []
    for stream in chosen.streams:
        key = stream.number if chosen.order == NUMBER else stream.key
        one = select(key.label("key"), stream.number.label("number")).where(
            *stream.where, *(meets(stream.number, each) for each in chosen.filters)
        )
        if after is not None:
            one = one.where(_beyond(chosen, key, stream.number, after))
        parts.append(_ordered(one, chosen, key, stream.number).limit(limit))
    if len(parts) == 1:
        return parts[0]
    merged = union_all(*(select(part.subquery()) for part in parts)).subquery()
    together = select(merged.c.key, merged.c.number).distinct()
    return _ordered(together, chosen, merged.c.key, merged.c.number).limit(limit)


def _sorted(chosen: Plan, after: Position | None, limit: int) -> Select[Any]:
    """All of the streams, which are few, put in order by the database."""
    parts = [
        select(_key(chosen.order, stream.number).label("key"), stream.number.label("number")).where(
            *stream.where, *(meets(stream.number, each) for each in chosen.filters)
        )
        for stream in chosen.streams
    ]
    whole = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()
    together = select(whole.c.key, whole.c.number).distinct()
    if after is not None:
        together = together.where(_beyond(chosen, whole.c.key, whole.c.number, after))
    return _ordered(together, chosen, whole.c.key, whole.c.number).limit(limit)


def _key(order: str | int, number: ColumnElement[int]) -> ColumnElement[Any]:
    """The sort key of the resource ``number``."""
    if order == NUMBER:
        return number
    if order == UPDATED:
        one = resources.alias()
        wanted: Select[Any] = select(one.c.updated).where(one.c.number == number)
        return wanted.correlate_except(one).scalar_subquery()
    date = dates.alias()
    wanted = select(date.c.low).where(date.c.number == number, date.c.parameter == order).limit(1)
    return wanted.correlate_except(date).scalar_subquery()


def _ordered(statement: Select[Any], chosen: Plan, key: Any, number: Any) -> Select[Any]:
    by = [number] if chosen.order == NUMBER else [key, number]
    return statement.order_by(*(each.desc() if chosen.descending else each for each in by))


def _beyond(chosen: Plan, key: Any, number: Any, after: Position) -> ColumnElement[bool]:
    if chosen.order == NUMBER:
        return number < after.number if chosen.descending else number > after.number
    last: Any = literal(after.key, BigInteger)
    if chosen.order == UPDATED:
        last = literal(_EPOCH + timedelta(microseconds=after.key), DateTime(timezone=True))
    here, there = tuple_(key, number), tuple_(last, literal(after.number, BigInteger))
    # The bound on the key alone says nothing new; SQLite needs it to find its place in an index.
    bound = key <= last if chosen.descending else key >= last
    return and_(bound, here < there if chosen.descending else here > there)


def _comparable(key: Any) -> int:
    if isinstance(key, datetime):
        return (key.replace(tzinfo=key.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)
    return int(key)


@contextmanager
def _bounded(connection: Connection) -> Iterator[None]:
    """Ends what takes longer than PATIENCE: a search that the index does not help with is refused, not waited for."""
    release = _limit(connection)
    try:
        yield
    except DBAPIError as error:
        name = getattr(error.orig, "sqlite_errorname", "")
        if name == "SQLITE_INTERRUPT" or getattr(error.orig, "sqlstate", "") == "57014":
            raise SearchRefused("search-too-costly") from None
        raise
    finally:
        release()


def _limit(connection: Connection) -> Callable[[], None]:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = {int(PATIENCE * 1000)}"))
        return lambda: None
    driver: Any = connection.connection.driver_connection
    end = monotonic() + PATIENCE
    driver.set_progress_handler(lambda: monotonic() > end, 100_000)
    return lambda: driver.set_progress_handler(None, 0)
