"""The ledger as handlers know it: each question or step is one transaction."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from contracts.events import (
    AssociationEnded,
    CommitmentRequested,
    CopyDamaged,
    CopyFailed,
    CopyRemoved,
    CopyVerified,
    CopyWritten,
    Event,
    InstancesQuarantined,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PackDeidentified,
    PackRecalled,
    PackSealed,
)
from services.tier_routing.adapters import (
    commitment,
    facts,
    intake,
    packs,
    reading,
    recalling,
    replanning,
    settling,
    sweeping,
)
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain.given_up import GivenUp
from services.tier_routing.domain.identity import Arrived
from services.tier_routing.ports import Selection
from shared.errors import CausewayError
from shared.sql.database import Database

log = structlog.get_logger("causeway.ledger")

_COPIES = (CopyWritten, CopyVerified, CopyDamaged, CopyFailed, CopyRemoved)
_HEARD: dict[type[Event], Callable[..., None]] = {
    PackDeidentified: facts.hear_deidentified,
    PackSealed: facts.hear_sealed,
    PackRecalled: recalling.hear_recalled,
    InstancesQuarantined: facts.hear_quarantined,
    OrderPlaced: facts.hear_order,
    OrderChanged: facts.hear_order,
    OrderCancelled: facts.hear_order,
    AssociationEnded: facts.hear_association,
}


class SqlLedger:
    """The ledger in ``database``; whatever it tells goes through the outbox of ``desk`` in the same transaction."""

    def __init__(self, *, database: Database, desk: Desk) -> None:
        self._database = database
        self._desk = desk

    async def take_in(self, arrived: Arrived) -> bool:
        """Enter a batch; False when it was there."""
        return await self._database.run(lambda connection: intake.take_in(connection, self._desk, arrived))

    async def hear(self, event: Event, event_id: str, told: datetime) -> None:
        """Take in a fact about an association, an order, a pack or a copy."""
        await self._database.run(lambda connection: self._hear(connection, event, event_id, told))

    def _hear(self, connection: Connection, event: Event, event_id: str, told: datetime) -> None:
        if isinstance(event, _COPIES):
            facts.hear_copy(connection, self._desk, event, event_id, told)
        else:
            _HEARD[type(event)](connection, self._desk, event, told)

    async def ask(self, request: CommitmentRequested, now: datetime, traceparent: str | None) -> bool:
        """Enter a request for storage commitment, or one that was made again, anew; False for a repeat."""
        return await self._database.run(lambda c: commitment.ask(c, request, now, traceparent))

    async def give_up(self, letter: GivenUp) -> None:
        """Take in a dead letter."""
        await self._database.run(lambda connection: facts.hear_dead_letter(connection, letter))

    async def close_due(self, now: datetime) -> int:
        """Close the packs that are due; how many."""
        due = await self._database.read(lambda connection: packs.due(connection, self._desk, now))
        return await self._each(due, lambda c, number: packs.close_if_due(c, self._desk, number, now))

    async def sweep(self, now: datetime) -> int:
        """Tell what is overdue and start it again; how many packs and lost batches."""
        limits = self._desk.policy.overdue
        late = await self._database.read(lambda connection: sweeping.due(connection, limits, now))
        told = await self._each(late, lambda c, number: sweeping.sweep_pack(c, self._desk, number, now))
        return told + await self._database.run(lambda c: sweeping.tell_lost(c, self._desk, now))

    async def decide_commitments(self, now: datetime) -> int:
        """Look at the requests for storage commitment that may be decided; how many were."""
        due = await self._database.read(lambda connection: commitment.due(connection, now))
        return await self._each(due, lambda c, number: commitment.look(c, self._desk, number, now))

    async def end_retention(self, now: datetime) -> int:
        """Let go of the copies whose retention is over; of how many packs."""
        ending = await self._database.read(lambda connection: sweeping.ending(connection, now))
        return await self._each(ending, lambda c, number: bool(sweeping.end_retention(c, self._desk, number, now)))

    async def replan(self, selection: Selection, now: datetime, *, dry_run: bool) -> dict[str, Any]:
        """Decide again on the selected packs; what changes (or would)."""
        numbers = await self._database.read(lambda connection: self._selected(connection, selection))
        changes = []
        for number in numbers:
            work = partial(replanning.replan, at=self._desk, number=number, now=now, dry_run=dry_run)
            change = await self._database.run(work)
            changes.extend([change] if change else [])
        for number in [] if dry_run else numbers:
            await self._database.run(partial(replanning.decide_members, at=self._desk, number=number, now=now))
        return replanning.document(changes, len(numbers), dry_run)

    async def overdue(self, now: datetime) -> list[dict[str, Any]]:
        """Every batch that is later than policy allows."""
        return await self._database.read(lambda c: reading.overdue(c, self._desk.policy.overdue, now))

    async def packs_of(self, selection: Selection) -> list[dict[str, Any]]:
        """The packs of a batch or a study with everything known of them."""
        return await self._database.read(
            lambda c: reading.ledger(c, selection.batch_id, self._study_ref(selection.study_uid))
        )

    async def summary(self, now: datetime) -> dict[str, Any]:
        """How much of what is here."""
        return await self._database.read(lambda c: reading.summary(c, self._desk.policy.overdue, now))

    async def commitments(self) -> dict[str, Any]:
        """The requests for storage commitment."""
        return await self._database.read(commitment.listing)

    def _selected(self, connection: Connection, selection: Selection) -> list[int]:
        if selection.everything:
            return replanning.every_pack(connection)
        return settling.of_batch(connection, selection.batch_id, self._study_ref(selection.study_uid))

    def _study_ref(self, study_uid: str | None) -> str | None:
        return self._desk.site_key.study_ref(study_uid) if study_uid else None

    async def _each(self, numbers: Iterable[int], step: Callable[[Connection, int], bool]) -> int:
        """Run a step for each pack in a transaction of its own: one that fails holds up no other."""
        done = 0
        for number in numbers:
            try:
                done += await self._database.run(_for(step, number))
            except CausewayError as error:
                log.warning("ledger-step-failed", reason=error.reason)
        return done


def _for(step: Callable[[Connection, int], bool], number: int) -> Callable[[Connection], bool]:
    return lambda connection: step(connection, number)
