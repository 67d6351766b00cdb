"""Another plan for what is here, under the policy of today."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from contracts.events import PlannedCopy
from services.tier_routing.adapters import desk, holding, packs, settling, sweeping, tables, views
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain import packing
from services.tier_routing.domain.ledger import Wanted, next_generation
from services.tier_routing.domain.policy import Decision, covers


@dataclass(frozen=True)
class Change:
    """What another plan does to a pack; copies as ``form/target/tier/key domain``."""

    pack_id: str
    study_ref: str
    rule: str
    added: tuple[str, ...]
    cancelled: tuple[str, ...]
    commit_after: tuple[str, ...]


def every_pack(connection: Connection) -> list[int]:
    """The numbers of all closed packs."""
    table = tables.packs
    return list(connection.execute(select(table.c.number).where(table.c.pack_id.is_not(None))).scalars())


def replan(connection: Connection, at: Desk, number: int, now: datetime, dry_run: bool) -> Change | None:
    """Decide again on a closed pack; None when that changes nothing (or the pack is still open)."""
    pack = packs.row(connection, number)
    content = packs.members(connection, number)
    if pack.pack_id is None:
        return None
    decision = _decide(connection, at, number, content)
    change = _change(connection, pack, decision, now)
    if dry_run:
        return change
    if decision.digest != packs.decision_of(pack).digest:
        _adopt(connection, at, pack, decision, content, change, now)
    return change


def _decide(connection: Connection, at: Desk, number: int, content: Sequence[Row[Any]]) -> Decision:
    """What policy says today, and besides the present copies that an archived duplicate still needs.

    The bytes of such a duplicate are released: it cannot be packed on its own any more.
    """
    decision = at.policy.decide(*(sweeping.arrival_now(connection, batch) for batch in content))
    released = settling.duplicates_of(connection, number, archived=True)
    needed = [at.policy.decide(sweeping.arrival_now(connection, batch)).copies for batch in released]
    places = {_place(copy) for copy in decision.copies}
    kept = [
        copy
        for copy in packs.planned_copies(connection, number)
        if _place(copy) not in places and any(covers((copy,), (want,)) for wants in needed for want in wants)
    ]
    return replace(decision, copies=(*decision.copies, *kept))


def _change(connection: Connection, pack: Row[Any], decision: Decision, now: datetime) -> Change | None:
    before = views.wanted_of(connection, pack.number)
    wanted = {each.copy for each in before if each.state == "wanted"}
    added = [copy for copy in decision.copies if copy not in wanted and not _is_over(copy, before, pack, now)]
    rests = {(_place(copy), copy.tier) for copy in decision.copies}
    cancelled = [copy for copy in wanted if (_place(copy), copy.tier) not in rests]
    if not added and not cancelled and decision.commit_after == tuple(json.loads(pack.commit_after)):
        return None
    return Change(
        pack_id=pack.pack_id,
        study_ref=pack.study_ref,
        rule=decision.rule,
        added=tuple(_shown(copy) for copy in added),
        cancelled=tuple(sorted(_shown(copy) for copy in cancelled)),
        commit_after=decision.commit_after,
    )


def _adopt(
    connection: Connection,
    at: Desk,
    pack: Row[Any],
    decision: Decision,
    content: Sequence[Row[Any]],
    change: Change | None,
    now: datetime,
) -> None:
    plan_id = packing.plan_id(at.site_key, [(batch.batch_id, batch.left_out) for batch in content], decision)
    packs.record_plan(connection, pack.number, plan_id, decision, now)
    _set_wanted(connection, pack, decision, now)
    _move(connection, pack, plan_id, decision, renew=change is not None, now=now)
    # Before anything is told: a duplicate that the new plan does not cover must not be archived with it.
    _decide_duplicates(connection, at, pack.number, now)
    if change is None:
        return
    planned = packs.row(connection, pack.number)
    verdict = settling.settle(connection, at, planned, now)
    if verdict.due:
        # What is proven already stays: to plan it again would have every copy read back.
        packs.tell_plan(connection, at, planned, verdict.due)


def _set_wanted(connection: Connection, pack: Row[Any], decision: Decision, now: datetime) -> None:
    view = views.view_of(connection, pack)
    before = {_place(each.copy): each for each in view.wanted}
    places = {_place(copy) for copy in decision.copies}
    for place, each in before.items():
        if each.state == "wanted" and place not in places:
            packs.want(connection, pack.number, each.copy, "cancelled")
    for copy in decision.copies:
        if not _is_over(copy, view.wanted, pack, now):
            old = before.get(_place(copy))
            # What lies in another tier can't be moved there: it is written again, and goes after the proof of that.
            moved = old is not None and old.copy.tier != copy.tier
            packs.want(connection, pack.number, copy, generation=next_generation(view, old) if old and moved else None)


def _move(
    connection: Connection, pack: Row[Any], plan_id: str, decision: Decision, *, renew: bool, now: datetime
) -> None:
    """Put the pack and its batches under the new plan; ``renew`` its work, unless the copies stay as they were."""
    values: dict[str, Any] = {
        "plan_id": plan_id,
        "policy": decision.policy,
        "rule": decision.rule,
        "copies": desk.copies_text(decision.copies),
        "commit_after": json.dumps(decision.commit_after),
    }
    if renew:
        values |= {"run": pack.run + 1, "waiting_since": now, "restarted": now, "told": None, "look_after": None}
    connection.execute(tables.packs.update().where(tables.packs.c.number == pack.number).values(values))
    table, held = tables.batches, tables.members
    members = select(held.c.batch).where(held.c.pack == pack.number)
    mine = table.update().where(table.c.number.in_(members))
    connection.execute(mine.values(commit_after=values["commit_after"]))
    if not renew:
        for column in (table.c.secured_plan, table.c.archived_plan):
            connection.execute(mine.where(column == pack.plan_id).values({column.name: plan_id}))


def _decide_duplicates(connection: Connection, at: Desk, number: int, now: datetime) -> None:
    """Put what relies on a pack under the new policy; pack on its own what does not get all its copies there."""
    for batch in settling.duplicates_of(connection, number):
        released = sweeping.release(connection, at, batch, now, number)
        if not released and not holding.places(connection, [batch.number])[batch.number].own:
            packs.commit_after(connection, batch, at.policy.decide(sweeping.arrival_now(connection, batch)))


def decide_members(connection: Connection, at: Desk, number: int, now: datetime) -> bool:
    """Once all packs are decided on: pack what the batches of one left out and others do not hold as they now want it.

    Whether there was anything.
    """
    packs.row(connection, number)
    waiting = [batch for batch in packs.members(connection, number) if batch.archived is None]
    return sum(sweeping.release(connection, at, batch, now) for batch in waiting) > 0


def _is_over(copy: PlannedCopy, before: Iterable[Wanted], pack: Row[Any], now: datetime) -> bool:
    """Whether a copy of this kind ended with its retention, and would again."""
    ended = any(each.state == "expired" and _place(each.copy) == _place(copy) for each in before)
    return ended and copy.retention_days is not None and (now - pack.planned).days >= copy.retention_days


def _place(copy: PlannedCopy) -> tuple[str | None, ...]:
    return copy.form, copy.target, copy.key_domain, copy.project


def _shown(copy: PlannedCopy) -> str:
    return "/".join((copy.form, copy.target, copy.tier, copy.key_domain))


def document(changes: Sequence[Change], looked_at: int, dry_run: bool) -> dict[str, Any]:
    """What the operator is told of a replan."""
    return {
        "dry_run": dry_run,
        "packs": looked_at,
        "changed": len(changes),
        "changes": [asdict(change) for change in changes],
    }
