"""Packs of the ledger: open, join, close, plan."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from contracts.events import Batch, PackPlanned, PlannedCopy
from contracts.formats.left_out import read_numbers, write_numbers
from services.tier_routing.adapters import desk, tables
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain import packing
from services.tier_routing.domain.ledger import FIRST_GENERATION
from services.tier_routing.domain.packing import OpenPack, Share
from services.tier_routing.domain.policy import Decision


def put(
    connection: Connection, at: Desk, batch: Row[Any], decision: Decision, now: datetime, left_out: str = ""
) -> None:
    """Put a batch, but for what is ``left_out``, into the open pack of its study and decision; close it when full."""
    content = packing.share_of(Batch.model_validate_json(batch.batch), read_numbers(left_out))
    group = packing.group_of(batch.study_ref, decision, batch.study_uid)
    pack = connection.execute(desk.locked(select(tables.packs).where(tables.packs.c.open_group == group))).first()
    if pack and not packing.has_room(open_pack(pack), content.size, content.instances, at.policy.pack):
        close(connection, at, pack, now)
        pack = None
    number = pack.number if pack else _open(connection, batch, decision, group, now)
    _join(connection, number, batch, content, left_out, now)
    joined = row(connection, number)
    if packing.is_full(open_pack(joined), at.policy.pack):
        close(connection, at, joined, now)


def row(connection: Connection, number: int) -> Row[Any]:
    """A pack by its number, held to the end of the transaction after its study."""
    table = tables.packs
    found = connection.execute(select(table.c.study_ref, table.c.study_uid).where(table.c.number == number)).one()
    desk.hold_study(connection, found.study_ref, found.study_uid)
    return connection.execute(desk.locked(select(tables.packs).where(tables.packs.c.number == number))).one()


def open_pack(pack: Row[Any]) -> OpenPack:
    """What decides on the closing of a pack."""
    return OpenPack(batches=pack.batches, size=pack.size, instances=pack.instances, opened=pack.opened, last=pack.last)


def due(connection: Connection, at: Desk, now: datetime) -> list[int]:
    """The numbers of the open packs that are due."""
    table, timings = tables.packs, at.policy.pack
    ripe = (table.c.last <= now - timings.quiet) | (table.c.opened <= now - timings.recovery_point)
    found = select(table.c.number).where(table.c.open_group.is_not(None), ripe).order_by(table.c.opened)
    return list(connection.execute(found).scalars())


def close_if_due(connection: Connection, at: Desk, number: int, now: datetime) -> bool:
    """Close a pack unless another process closed it, or another batch came, in the meantime."""
    pack = row(connection, number)
    if pack.open_group is None or not packing.is_due(open_pack(pack), at.policy.pack, now):
        return False
    close(connection, at, pack, now)
    return True


def close(connection: Connection, at: Desk, pack: Row[Any], now: datetime) -> None:
    """Name an open pack, record its plan and tell it; from now on it waits for its proofs."""
    content = members(connection, pack.number)
    parts = [(batch.batch_id, batch.left_out) for batch in content]
    decision = decision_of(pack)
    plan_id = packing.plan_id(at.site_key, parts, decision)
    values = {
        "open_group": None,
        "pack_id": packing.pack_id(at.site_key, parts),
        "plan_id": plan_id,
        "planned": now,
        "waiting_since": pack.opened,
    }
    connection.execute(tables.packs.update().where(tables.packs.c.number == pack.number).values(values))
    record_plan(connection, pack.number, plan_id, decision, now)
    for copy in decision.copies:
        want(connection, pack.number, copy)
    first = tuple(copy.model_copy(update={"generation": FIRST_GENERATION}) for copy in decision.copies)
    tell_plan(connection, at, row(connection, pack.number), first, content[0].traceparent)


def tell_plan(
    connection: Connection, at: Desk, pack: Row[Any], copies: tuple[PlannedCopy, ...], traceparent: str | None = None
) -> None:
    """Publish ``copies`` of a pack's plan: all of them at first, those still due when they are started again.

    The trace goes on from ``traceparent`` (the first batch's); without one it is a new trace. The others are linked.
    """
    content = members(connection, pack.number)
    event = PackPlanned(
        pack_id=pack.pack_id,
        plan_id=pack.plan_id,
        policy=pack.policy,
        study_uid=pack.study_uid,
        study_ref=pack.study_ref,
        batches=tuple(map(_share, content)),
        copies=copies,
        commit_after=tuple(json.loads(pack.commit_after)),
        run=pack.run,
        left_out=tuple(batch.left_out for batch in content) if any(batch.left_out for batch in content) else (),
    )
    links = [batch.traceparent for batch in content]
    at.tell(connection, event, pack.plan_id, pack.run, traceparent=traceparent, links=links)


def _share(batch: Row[Any]) -> Batch:
    """A batch as its plan tells it: ``instances`` are those that go into the pack.

    Who does not know what is left out finds another number in the manifest, and refuses.
    """
    content = Batch.model_validate_json(batch.batch)
    left_out = read_numbers(batch.left_out)
    return content.model_copy(update={"instances": content.instances - len(left_out)}) if left_out else content


def members(connection: Connection, number: int) -> Sequence[Row[Any]]:
    """The batches of a pack in the order in which they came, each with what is ``left_out`` of it."""
    table, held = tables.batches, tables.members
    found = select(table, held.c.left_out).join_from(held, table, table.c.number == held.c.batch)
    return connection.execute(found.where(held.c.pack == number).order_by(table.c.number)).all()


def decision_of(pack: Row[Any]) -> Decision:
    """The decision that a pack was made under."""
    return Decision(
        policy=pack.policy,
        rule=pack.rule,
        copies=desk.copies_of(pack.copies),
        commit_after=tuple(json.loads(pack.commit_after)),
    )


def planned_copies(connection: Connection, number: int) -> tuple[PlannedCopy, ...]:
    """The copies that a pack gets, or will get when it is closed."""
    pack = connection.execute(select(tables.packs).where(tables.packs.c.number == number)).one()
    if pack.open_group is not None:
        return desk.copies_of(pack.copies)
    mine = (tables.wanted.c.pack == number) & (tables.wanted.c.state == "wanted")
    return tuple(copy_of(each) for each in connection.execute(select(tables.wanted).where(mine)))


def record_plan(connection: Connection, number: int, plan_id: str, decision: Decision, now: datetime) -> None:
    """Keep a plan for good."""
    values = {
        "plan_id": plan_id,
        "pack": number,
        "policy": decision.policy,
        "rule": decision.rule,
        "copies": desk.copies_text(decision.copies),
        "commit_after": json.dumps(decision.commit_after),
        "made": now,
    }
    desk.insert_new(connection, tables.plans, [values])


def commit_after(connection: Connection, batch: Row[Any], decision: Decision) -> None:
    """Set which proofs secure a batch."""
    mine = tables.batches.c.number == batch.number
    values = {"commit_after": json.dumps(decision.commit_after)}
    connection.execute(tables.batches.update().where(mine).values(values))


def want(
    connection: Connection, number: int, copy: PlannedCopy, state: str = "wanted", *, generation: int | None = None
) -> None:
    """Set what the ledger wants of one copy of a pack; without a generation that of before stays, 1 at first."""
    values: dict[str, Any] = {
        "pack": number,
        "form": copy.form,
        "target": copy.target,
        "key_domain": copy.key_domain,
        "project": copy.project or "",
        "tier": copy.tier,
        "retention_days": copy.retention_days,
        "state": state,
        **({} if generation is None else {"generation": generation}),
    }
    desk.upsert(connection, tables.wanted, values)


def copy_of(row: Row[Any]) -> PlannedCopy:
    """The planned copy of a row of ``wanted``."""
    return PlannedCopy(
        form=row.form,
        target=row.target,
        tier=row.tier,
        key_domain=row.key_domain,
        retention_days=row.retention_days,
        project=row.project or None,
    )


def _open(connection: Connection, batch: Row[Any], decision: Decision, group: str, now: datetime) -> int:
    values = {
        "open_group": group,
        "study_ref": batch.study_ref,
        "study_uid": batch.study_uid,
        "policy": decision.policy,
        "rule": decision.rule,
        "copies": desk.copies_text(decision.copies),
        "commit_after": json.dumps(decision.commit_after),
        "batches": 0,
        "size": 0,
        "instances": 0,
        "opened": now,
        "last": now,
        "run": 0,
    }
    return int(connection.execute(tables.packs.insert().values(values).returning(tables.packs.c.number)).scalar_one())


def _join(connection: Connection, number: int, batch: Row[Any], content: Share, left_out: str, now: datetime) -> None:
    table = tables.packs
    values = {
        "batches": table.c.batches + content.places,
        "size": table.c.size + content.size,
        "instances": table.c.instances + content.instances,
        "last": now,
    }
    connection.execute(table.update().where(table.c.number == number).values(values))
    held = tables.members
    mine = select(held.c.left_out).where(held.c.batch == batch.number, held.c.pack == number)
    before = connection.execute(mine).scalar_one_or_none()
    if before is not None:
        # The rest of a batch comes to where its first part is: out stays what neither of them brings.
        left_out = write_numbers(read_numbers(before) & read_numbers(left_out))
    desk.upsert(connection, held, {"batch": batch.number, "pack": number, "left_out": left_out})
