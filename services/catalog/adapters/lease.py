"""One writer at a time by name, on the database's clock, so that no two machines need agree on the time."""

from dataclasses import dataclass

from sqlalchemy import Column, Connection, Float, Integer, MetaData, String, Table, case, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ColumnElement


@dataclass(frozen=True)
class Lease:
    """A held lease; ``term`` grows with every change of holder and fences off what an earlier one still does."""

    name: str
    holder: str
    term: int


def lease_table(metadata: MetaData) -> Table:
    """The table of leases, one row per name; also for use in a migration."""
    return Table(
        "lease",
        metadata,
        Column("name", String(100), primary_key=True),
        Column("holder", String(100), nullable=False),
        Column("term", Integer, nullable=False),
        Column("expires", Float, nullable=False),
    )


def acquire(connection: Connection, table: Table, name: str, holder: str, seconds: float) -> Lease | None:
    """Take or prolong the lease ``name`` for ``seconds``; None while another holder's runs.

    One statement, so that of many who try at once exactly one gets it.
    """
    now = _now(connection)
    mine = table.c.holder == holder
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    statement = insert(table).values(name=name, holder=holder, term=1, expires=now + seconds)
    taken = statement.on_conflict_do_update(
        index_elements=[table.c.name],
        set_={
            "holder": holder,
            "term": case((mine, table.c.term), else_=table.c.term + 1),
            "expires": now + seconds,
        },
        where=mine | (table.c.expires < now),
    ).returning(table.c.term)
    term = connection.execute(taken).scalar_one_or_none()
    return None if term is None else Lease(name, holder, term)


def holds(connection: Connection, table: Table, lease: Lease) -> bool:
    """Whether ``lease`` still runs; ask in the transaction of the effect that it guards."""
    found = select(literal(1)).where(
        table.c.name == lease.name,
        table.c.holder == lease.holder,
        table.c.term == lease.term,
        table.c.expires >= _now(connection),
    )
    if connection.dialect.name == "postgresql":
        found = found.with_for_update()
    return connection.execute(found).scalar_one_or_none() is not None


def _now(connection: Connection) -> ColumnElement[float]:
    """Seconds since 1970 by the database, at this statement and not at the transaction's begin."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", func.clock_timestamp()).cast(Float)
    return (func.julianday("now") - 2440587.5) * 86400.0
