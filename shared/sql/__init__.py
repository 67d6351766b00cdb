"""SQL state: SQLite embedded, PostgreSQL in a cluster, the same code on both."""

from shared.sql.database import Database
from shared.sql.errors import DatabaseFull, DatabaseUnavailable, StatementRefused, TransactionLost

__all__ = [
    "Database",
    "DatabaseFull",
    "DatabaseUnavailable",
    "StatementRefused",
    "TransactionLost",
]
