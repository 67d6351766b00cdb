"""What can go wrong with a database. The driver's own text holds values, so none of it is kept."""

from shared.errors import CausewayError, RetryLater


class DatabaseUnavailable(RetryLater):
    """Not reachable, locked for too long, or a transaction that lost against another."""

    def __init__(self) -> None:
        super().__init__("database-unavailable")


class TransactionLost(DatabaseUnavailable):
    """It lost against another one (deadlock, serialization): the same may succeed at once."""


class DatabaseFull(RetryLater):
    """The disk or the quota under the database is full."""

    def __init__(self) -> None:
        super().__init__("database-full")


class StatementRefused(CausewayError):
    """A constraint, a value or the statement itself was refused: a fault of the code, rolled back.

    ``kind`` is the driver-independent class of the fault, such as ``IntegrityError``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__("statement-refused")
        self.kind = kind
