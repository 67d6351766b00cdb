"""What follows from all that is known of a pack: secured, archived, and what may go."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from contracts.events import BatchArchived, BatchSecured, CopyExpired, ProvenCopy
from services.tier_routing.adapters import commitment, holding, packs, tables, views
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.adapters.holding import Places
from services.tier_routing.domain.ledger import Verdict, evaluate
from services.tier_routing.domain.policy import EITHER, committed, within


def settle(connection: Connection, at: Desk, pack: Row[Any], now: datetime) -> Verdict:
    """Look at a closed pack (whose row is held), tell what follows, each thing once per plan."""
    verdict = evaluate(views.view_of(connection, pack))
    _expire(connection, at, pack, verdict)
    _tell_parts(connection, at, pack, verdict, now)
    tell_batches(connection, at, waiting_batches(connection, pack.number), now, {pack.number: verdict})
    _keep_waiting(connection, pack, verdict, now)
    return verdict


def tell_batches(
    connection: Connection,
    at: Desk,
    batches: Sequence[Row[Any]],
    now: datetime,
    known: Mapping[int, Verdict] | None = None,
) -> None:
    """Tell of each batch what every pack that holds something of it allows: that it is secured, and archived.

    ``known`` are verdicts by the number of the pack.
    """
    places = holding.places(connection, [batch.number for batch in batches])
    numbers = {number for each in places.values() for number in each.all}
    rows = connection.execute(select(tables.packs).where(tables.packs.c.number.in_(numbers)))
    found = {row.number: row for row in rows}
    verdicts = dict(known or {})
    for batch in batches:
        place = places[batch.number]
        plan = found[place.own[0]].plan_id if place.own else "owners"
        is_told = batch.secured_plan == batch.archived_plan == plan
        if is_told or not place.all or not all(found[number].pack_id for number in place.all):
            continue
        for number in place.all:
            if number not in verdicts:
                verdicts[number] = evaluate(views.view_of(connection, found[number]))
        _tell_batch(connection, at, batch, plan, {number: verdicts[number] for number in place.all}, place, now)


def _tell_parts(connection: Connection, at: Desk, pack: Row[Any], verdict: Verdict, now: datetime) -> None:
    """Tell once more of batches that were archived before a part was released that is proven by now, too.

    Those that are not archived yet are told with everything when they are.
    """
    table = tables.deidentified
    mine = (table.c.source_pack_id == pack.pack_id, table.c.part > 0, table.c.archived.is_(None))
    parts = sorted(connection.execute(select(table.c.pack_id).where(*mine)).scalars()) if verdict.archived else []
    if not parts:
        return
    connection.execute(table.update().where(*mine).values(archived=now))
    for batch in packs.members(connection, pack.number):
        if batch.archived_plan is not None:
            _tell_archived(connection, at, batch, batch.archived_plan, [verdict], parts)


def duplicates_of(connection: Connection, number: int, *, archived: bool = False) -> Sequence[Row[Any]]:
    """The duplicates whose instances lie, in part at least, in this pack and that are (not) archived yet."""
    own, held = tables.batches, tables.members
    joined = own.join(tables.owners, tables.owners.c.duplicate == own.c.number).join(
        held, held.c.batch == tables.owners.c.owner
    )
    wanted = own.c.archived.is_not(None) if archived else own.c.archived.is_(None)
    mine = select(own).select_from(joined).where(held.c.pack == number, wanted)
    return connection.execute(mine.distinct().order_by(own.c.number)).all()


def _tell_batch(
    connection: Connection,
    at: Desk,
    batch: Row[Any],
    plan: str,
    found: Mapping[int, Verdict],
    places: Places,
    now: datetime,
) -> None:
    """Tell that a batch is secured, and archived, unless that was told under this plan.

    What is in packs of others is secured by the targets that the batch's own policy names, as far as they are to be
    there: a policy of today may have named others.
    """
    commit_after = tuple(json.loads(batch.commit_after))
    verdicts = list(found.values())
    others = [found[number] for number in places.others]
    enough = all(each.secured for each in verdicts) and all(
        committed(within(commit_after, each.targets), each.reached) for each in others
    )
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


def _tell_archived(
    connection: Connection,
    at: Desk,
    batch: Row[Any],
    plan: str,
    verdicts: Sequence[Verdict],
    parts: Sequence[str] = (),
) -> None:
    event = BatchArchived(
        batch_id=batch.batch_id,
        study_uid=batch.study_uid,
        study_ref=batch.study_ref,
        pack_ids=tuple(dict.fromkeys(pack_id for verdict in verdicts for pack_id in verdict.pack_ids)),
        sealed_ids=tuple(dict.fromkeys(sealed_id for verdict in verdicts for sealed_id in verdict.sealed_ids)),
        copies=tuple(_proven(verdicts)),
        withheld=sum(verdict.withheld for verdict in verdicts),
    )
    at.tell(connection, event, batch.batch_id, plan, *parts, links=[batch.traceparent])


def _proven(verdicts: Iterable[Verdict]) -> list[ProvenCopy]:
    return list(dict.fromkeys(one for verdict in verdicts for one in verdict.proven))


def _expire(connection: Connection, at: Desk, pack: Row[Any], verdict: Verdict) -> None:
    table, back = tables.copies, views.recalls(connection, pack.pack_id) if verdict.expire else {}
    for one, reason in verdict.expire:
        key = one.key
        mine = (table.c.sealed_id == key.sealed_id, table.c.target == key.target, table.c.generation == key.generation)
        connection.execute(table.update().where(*mine).values(expired=reason))
        event = CopyExpired(copy_key=key, reason=reason, recall_id=back.get(key.pack_id))
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
    found = [*duplicates_of(connection, number), *packs.members(connection, number)]
    return sorted({batch.number: batch for batch in found}.values(), key=lambda batch: batch.number)


def of_batch(connection: Connection, batch_id: str | None = None, study_ref: str | None = None) -> list[int]:
    """The numbers of the packs that hold a batch, or a study."""
    table = tables.batches
    mine = select(table.c.number).where(or_(table.c.batch_id == batch_id, table.c.study_ref == study_ref))
    places = holding.places(connection, list(connection.execute(mine).scalars()))
    return sorted({number for each in places.values() for number in each.all})
