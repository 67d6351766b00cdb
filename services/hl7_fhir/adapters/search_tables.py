"""The tables of the search index. Every row begins with a parameter's number and ends in a resource's number."""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table

from services.hl7_fhir.adapters.tables import metadata

#: Compared byte by byte on both databases: PostgreSQL's other collations know no ranges of prefixes.
_TEXT = String(512, collation="C").with_variant(String(512), "sqlite")

#: Tokens and references, the latter as ``Type/id``: the rows of one value are in the order of the resources.
tokens = Table(
    "search_tokens",
    metadata,
    Column("parameter", Integer, primary_key=True, autoincrement=False),
    Column("value", _TEXT, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("system", _TEXT, primary_key=True),
    sqlite_with_rowid=False,
)

#: Dates as milliseconds from ``low`` to ``high``, by classes of width (domain/fhir/dates.py).
dates = Table(
    "search_dates",
    metadata,
    Column("parameter", Integer, primary_key=True, autoincrement=False),
    Column("width", SmallInteger, primary_key=True, autoincrement=False),
    Column("low", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("high", BigInteger, primary_key=True, autoincrement=False),
    Index("search_dates_number", "number", "parameter"),
    sqlite_with_rowid=False,
)

#: Strings, ``value`` without case and accents.
strings = Table(
    "search_strings",
    metadata,
    Column("parameter", Integer, primary_key=True, autoincrement=False),
    Column("value", _TEXT, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("exact", _TEXT, primary_key=True),
    Index("search_strings_number", "number", "parameter"),
    sqlite_with_rowid=False,
)

#: Which resources the index is to be made anew for: all up to ``upto``, of which ``done`` is the last.
state = Table(
    "search_state",
    metadata,
    Column("only", SmallInteger, primary_key=True, autoincrement=False),
    Column("definitions", String(64), nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
)
