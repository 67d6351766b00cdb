"""What follows from all that is known of a pack: secured, archived, and what may go."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from contracts.events import BatchArchived, BatchSecured, CopyExpired, ProvenCopy
from services.tier_routing.adapters import commitment, packs, tables, views
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain.ledger import Verdict, evaluate
from services.tier_routing.domain.policy import EITHER, Decision, committed, covers


def settle(connection: Connection, at: Desk, pack: Row[Any], now: datetime) -> Verdict:
    """Look at a closed pack (whose row is held), tell what follows, each thing once per plan."""
    verdict = evaluate(views.view_of(connection, pack))
    _expire(connection, at, pack, verdict)
    own = packs.members(connection, pack.number)
    apart = _apart(connection, pack.number)
    for batch in own:
        if batch.number not in apart:
            _tell_batch(connection, at, batch, pack.plan_id, [verdict], now)
    others = [batch for batch in own if batch.number in apart]
    for batch in _distinct([*others, *duplicates_of(connection, pack.number)]):
        settle_apart(connection, at, batch, now)
    _keep_waiting(connection, pack, verdict, now)
    return verdict


def settle_apart(connection: Connection, at: Desk, batch: Row[Any], now: datetime) -> None:
    """A batch that lies in several packs, or in those of others, is secured and archived when each of them is."""
    own = packs.of_batches(connection, [batch.number])
    numbers = sorted({*own, *owning_packs(connection, batch.number)})
    found = {number: packs.row(connection, number) for number in numbers}
    if found and all(pack.pack_id for pack in found.values()):
        verdicts = [evaluate(views.view_of(connection, pack)) for pack in found.values()]
        _tell_batch(connection, at, batch, found[own[0]].plan_id if own else "owners", verdicts, now)


def covers_all(connection: Connection, batches: Iterable[int], decision: Decision) -> bool:
    """Whether the plan of every pack of these batches, and there is one, has all the copies of the decision."""
    numbers = packs.of_batches(connection, batches)
    return bool(numbers) and all(covers(packs.planned_copies(connection, n), decision.copies) for n in numbers)


def duplicates_of(connection: Connection, number: int, *, archived: bool = False) -> Sequence[Row[Any]]:
    """The duplicates whose instances lie, in part at least, in this pack and that are (not) archived yet."""
    own, held = tables.batches, tables.members
    joined = own.join(tables.owners, tables.owners.c.duplicate == own.c.number).join(
        held, held.c.batch == tables.owners.c.owner
    )
    wanted = own.c.archived.is_not(None) if archived else own.c.archived.is_(None)
    mine = select(own).select_from(joined).where(held.c.pack == number, wanted)
    return connection.execute(mine.distinct().order_by(own.c.number)).all()


def owners_of(connection: Connection, duplicate: int) -> list[int]:
    """The numbers of the batches that hold what this one brought again."""
    table = tables.owners
    return list(connection.execute(select(table.c.owner).where(table.c.duplicate == duplicate)).scalars())


def owning_packs(connection: Connection, duplicate: int) -> list[int]:
    """The numbers of the packs that hold what this batch brought again, in one order for everybody."""
    return packs.of_batches(connection, owners_of(connection, duplicate))


def _apart(connection: Connection, number: int) -> frozenset[int]:
    """The batches of a pack that lie in another one as well, or rely on the batches of others."""
    here, there, owners = tables.members, tables.members.alias("there"), tables.owners
    mine = select(here.c.batch).where(here.c.pack == number)
    twice = select(there.c.batch).where(there.c.batch.in_(mine), there.c.pack != number)
    relying = select(owners.c.duplicate).where(owners.c.duplicate.in_(mine))
    return frozenset(connection.execute(twice.union(relying)).scalars())


def _distinct(batches: Iterable[Row[Any]]) -> Sequence[Row[Any]]:
    return list({batch.number: batch for batch in batches}.values())


def _tell_batch(
    connection: Connection, at: Desk, batch: Row[Any], plan: str, verdicts: Sequence[Verdict], now: datetime
) -> None:
    """Tell that a batch is secured, and archived, unless that was told under this plan."""
    commit_after = tuple(json.loads(batch.commit_after))
    enough = all(verdict.secured and committed(commit_after, verdict.reached) for verdict in verdicts)
    if enough and batch.secured_plan != plan:
        _mark(connection, batch, secured=batch.secured or now, secured_plan=plan)
        _tell_secured(connection, at, batch, plan, verdicts)
        commitment.secured(connection, batch.number, now)
    if all(verdict.archived for verdict in verdicts) and batch.archived_plan != plan:
        _mark(connection, batch, archived=batch.archived or now, archived_plan=plan)
        _tell_archived(connection, at, batch, plan, verdicts)


def _mark(connection: Connection, batch: Row[Any], **values: Any) -> None:
    connection.execute(tables.batches.update().where(tables.batches.c.number == batch.number).values(values))


def _tell_secured(connection: Connection, at: Desk, batch: Row[Any], plan: str, verdicts: Iterable[Verdict]) -> None:
    named = {target for item in json.loads(batch.commit_after) for target in item.split(EITHER)}
    copies = [one for one in _proven(verdicts) if one.form == "identified" and one.target in named]
    event = BatchSecured(batch_id=batch.batch_id, study_ref=batch.study_ref, copies=tuple(copies))
    at.tell(connection, event, batch.batch_id, plan, links=[batch.traceparent])


def _tell_archived(connection: Connection, at: Desk, batch: Row[Any], plan: str, verdicts: Sequence[Verdict]) -> None:
    event = BatchArchived(
        batch_id=batch.batch_id,
        study_uid=batch.study_uid,
        study_ref=batch.study_ref,
        pack_ids=tuple(dict.fromkeys(pack_id for verdict in verdicts for pack_id in verdict.pack_ids)),
        sealed_ids=tuple(dict.fromkeys(sealed_id for verdict in verdicts for sealed_id in verdict.sealed_ids)),
        copies=tuple(_proven(verdicts)),
        withheld=sum(verdict.withheld for verdict in verdicts),
    )
    at.tell(connection, event, batch.batch_id, plan, links=[batch.traceparent])


def _proven(verdicts: Iterable[Verdict]) -> list[ProvenCopy]:
    return list(dict.fromkeys(one for verdict in verdicts for one in verdict.proven))


def _expire(connection: Connection, at: Desk, pack: Row[Any], verdict: Verdict) -> None:
    table = tables.copies
    for one, reason in verdict.expire:
        key = one.key
        mine = (table.c.sealed_id == key.sealed_id, table.c.target == key.target, table.c.generation == key.generation)
        connection.execute(table.update().where(*mine).values(expired=reason))
        event = CopyExpired(copy_key=key, reason=reason)
        at.tell(connection, event, key.sealed_id, key.target, key.generation, reason, pack.plan_id)


def _keep_waiting(connection: Connection, pack: Row[Any], verdict: Verdict, now: datetime) -> None:
    """A pack with nothing due waits no more; one whose copy was damaged since waits again, from now."""
    waits = bool(verdict.due)
    if waits == (pack.waiting_since is not None):
        return
    table = tables.packs
    values = {"waiting_since": now, "told": None, "look_after": None} if waits else {"waiting_since": None}
    connection.execute(table.update().where(table.c.number == pack.number).values(values))


def waiting_batches(connection: Connection, number: int) -> list[Row[Any]]:
    """The batches that wait for a pack: its own, and those that rely on them."""
    return list(_distinct([*duplicates_of(connection, number), *packs.members(connection, number)]))


def of_batch(connection: Connection, batch_id: str | None = None, study_ref: str | None = None) -> list[int]:
    """The numbers of the packs that hold a batch, or a study."""
    table = tables.batches
    mine = select(table).where(or_(table.c.batch_id == batch_id, table.c.study_ref == study_ref))
    found: set[int] = set()
    for batch in connection.execute(mine):
        found.update(packs.of_batches(connection, [batch.number, *owners_of(connection, batch.number)]))
    return sorted(found)
