"""The sweep: which packs are later than policy allows, and whether to start their work again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.events import PlannedCopy
from services.tier_routing.domain.ledger import Verdict
from services.tier_routing.domain.policy import OverdueLimits

_MOST_DOUBLINGS = 20


@dataclass(frozen=True)
class Standing:
    """How long a pack has waited, and what the sweep did so far: runs started, when last, and the run last told."""

    since: datetime
    secured: bool
    run: int = 0
    restarted: datetime | None = None
    told: int | None = None


@dataclass(frozen=True)
class Step:
    """What to do with an overdue pack: the copies to start again, and whether to tell that it is overdue."""

    restart: tuple[PlannedCopy, ...]
    tell: bool


def is_overdue(standing: Standing, limits: OverdueLimits, now: datetime) -> bool:
    """Whether the pack waits longer than policy allows."""
    return now >= standing.since + (limits.archived if standing.secured else limits.secured)


def interval(run: int, limits: OverdueLimits) -> timedelta:
    """How long to leave a pack alone after its ``run``-th start: doubled each time, never more than ``longest``."""
    doublings = min(max(run - 1, 0), _MOST_DOUBLINGS)
    return min(limits.longest, limits.repeat * 2**doublings)


def is_away(failed: datetime | None, taken: datetime | None) -> bool:
    """Whether a target gave no answer (``failed``, with replication still trying) after it last took a copy."""
    return failed is not None and (taken is None or taken < failed)


def next_look(standing: Standing, limits: OverdueLimits, now: datetime) -> datetime:
    """When a pack that was looked at now may next be told or started again."""
    first = standing.since + (limits.archived if standing.secured else limits.secured)
    again = standing.restarted + interval(standing.run, limits) if standing.restarted else now
    due = max(first, again)
    return due if due > now else now + limits.repeat


def next_step(
    standing: Standing, verdict: Verdict, limits: OverdueLimits, away: Collection[str], now: datetime
) -> Step | None:
    """What the sweep does with a pack now; None when there is nothing to do.

    Only copies still due are started again, and not those whose target is merely ``away``: replication holds their
    work, and another message would only join the queue.
    """
    if not verdict.due or not is_overdue(standing, limits, now):
        return None
    resting = standing.restarted is not None and now < standing.restarted + interval(standing.run, limits)
    restart = () if resting else tuple(copy for copy in verdict.due if copy.target not in away)
    tell = bool(restart) or standing.told != standing.run
    return Step(restart=restart, tell=tell) if tell else None
