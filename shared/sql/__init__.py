"""SQL state: SQLite embedded, PostgreSQL in a cluster, the same code on both."""

from shared.sql.database import Database
from shared.sql.errors import DatabaseFull, DatabaseUnavailable, StatementRefused
from shared.sql.lease import Lease, acquire, holds, lease_table, release

__all__ = [
    "Database",
    "DatabaseFull",
    "DatabaseUnavailable",
    "Lease",
    "StatementRefused",
    "acquire",
    "holds",
    "lease_table",
    "release",
]
