"""The plan of streams and consumers that the contracts hold."""

from functools import lru_cache

from contracts.streams import documents
from shared.messaging.plan import Plan, read_plan


@lru_cache
def site_plan() -> Plan:
    """Every document of ``contracts/streams`` as one plan."""
    return read_plan(*documents())
