"""The time."""

from datetime import UTC, datetime


def now() -> datetime:
    """This moment; a test brings another clock."""
    return datetime.now(UTC)
