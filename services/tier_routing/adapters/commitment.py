"""Requests for storage commitment: entered once, looked at when something of them changes, decided once.

One that is made again once it was decided is decided anew.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from contracts.events import CommitmentDecided, CommitmentRequested
from services.tier_routing.adapters import commitment_tables as own
from services.tier_routing.adapters import desk, tables, views
from services.tier_routing.adapters.desk import Desk
from services.tier_routing.domain import commitment
from services.tier_routing.domain.commitment import Held
from services.tier_routing.domain.identity import uid_hash
from services.tier_routing.domain.ledger import Verdict, evaluate
from services.tier_routing.domain.policy import committed

_CHUNK = 500
_FULL = "store-full"
#: More requests than this are neither looked at in one round nor listed.
MOST = 1000


def ask(connection: Connection, request: CommitmentRequested, now: datetime, traceparent: str | None) -> bool:
    """Enter a request, to be looked at at once; False when it is there already and nothing comes of it.

    Another request of the same peer under the same Transaction UID is entered too: it is told that it is a duplicate.
    One that was decided, and that the peer has made again since, is looked at again.
    """
    names = sorted({uid_hash(one.sop_instance) for one in commitment.wanted(request)})
    row = {
        "commitment_id": request.commitment_id,
        "transaction": f"{request.calling_ae}\x1f{request.transaction_uid}",
        "asked": request.model_dump_json(),
        "instances": len(names),
        "heard": now,
        "requested": request.requested,
        "traceparent": traceparent,
        "look_after": now,
    }
    number = _insert(connection, row) or _insert(connection, {**row, "transaction": None})
    if number is None:
        return _ask_again(connection, request, row, names)
    _name(connection, number, names)
    return True


def _insert(connection: Connection, row: dict[str, Any]) -> int | None:
    statement = desk.insert(connection, own.commitments).values(row).on_conflict_do_nothing()
    return connection.execute(statement.returning(own.commitments.c.number)).scalar_one_or_none()


def _name(connection: Connection, number: int, names: Sequence[bytes]) -> None:
    rows = [{"name": name, "commitment": number} for name in names]
    desk.insert_new(connection, own.commitment_names, rows)


def _ask_again(
    connection: Connection, request: CommitmentRequested, row: dict[str, Any], names: Sequence[bytes]
) -> bool:
    """Enter a later request that was decided once to be decided anew: what was committed to may be gone since.

    One that is not decided yet has one answer, and the event of one that comes again changes nothing.
    """
    table = own.commitments
    known = connection.execute(desk.locked(select(table).where(table.c.commitment_id == request.commitment_id))).one()
    if request.requested <= (known.requested or known.heard):
        return False
    mine = table.update().where(table.c.number == known.number)
    if known.decided is None:
        connection.execute(mine.values(requested=request.requested, asked=row["asked"]))
        return False
    anew = {name: row[name] for name in ("asked", "heard", "requested", "traceparent", "look_after")}
    connection.execute(mine.values(anew | {"decided": None, "failed": None}))
    _name(connection, known.number, names)
    return True


def due(connection: Connection, now: datetime) -> list[int]:
    """The numbers of the requests to be looked at, longest first."""
    table = own.commitments
    found = select(table.c.number).where(table.c.look_after <= now).order_by(table.c.look_after).limit(MOST)
    return list(connection.execute(found).scalars())


def look(connection: Connection, at: Desk, number: int, now: datetime) -> bool:
    """Look at a request, and tell the decision once there is one; whether there is."""
    table = own.commitments
    mine = select(table).where(table.c.number == number, table.c.decided.is_(None))
    row = connection.execute(desk.locked(mine)).first()
    if row is None:
        return False
    request = CommitmentRequested.model_validate_json(row.asked)
    if row.transaction is None:
        _decide(connection, at, row, commitment.refuse(request, commitment.DUPLICATE_TRANSACTION, now))
        return True
    found = _Finding(connection, sorted({uid_hash(one.sop_instance) for one in commitment.wanted(request)}))
    seen = commitment.look(request, found.versions(), at.policy.commitment, row.heard, now)
    if seen.decided is not None:
        _decide(connection, at, row, seen.decided)
        return True
    rows = [{"batch": batch, "commitment": number} for batch in found.batches]
    desk.insert_new(connection, own.commitment_batches, rows)
    connection.execute(table.update().where(table.c.number == number).values(look_after=seen.again))
    return False


def _decide(connection: Connection, at: Desk, row: Row[Any], event: CommitmentDecided) -> None:
    # It has an id for each request that it answers: the bus passes over what has the id of another.
    at.tell(connection, event, event.commitment_id, event.requested.isoformat(), traceparent=row.traceparent)
    values = {"asked": None, "look_after": None, "decided": event.decided, "failed": commitment.failures(event)}
    connection.execute(own.commitments.update().where(own.commitments.c.number == row.number).values(values))
    for table in (own.commitment_names, own.commitment_batches):
        connection.execute(delete(table).where(table.c.commitment == row.number))


def arrived(connection: Connection, names: Iterable[bytes], now: datetime) -> None:
    """Wake the requests that name one of these instances."""
    table = own.commitment_names
    _wake(connection, select(table.c.commitment).where(table.c.name.in_(list(names))), now)


def secured(connection: Connection, batch: int, now: datetime) -> None:
    """Wake the requests that wait for a batch."""
    table = own.commitment_batches
    _wake(connection, select(table.c.commitment).where(table.c.batch == batch), now)


def _wake(connection: Connection, numbers: Any, now: datetime) -> None:
    table = own.commitments
    mine = (table.c.number.in_(numbers), table.c.decided.is_(None))
    connection.execute(table.update().where(*mine).values(look_after=now))


class _Finding:
    """What the ledger holds of these instances."""

    def __init__(self, connection: Connection, names: Sequence[bytes]) -> None:
        self._connection = connection
        self._claims = [row for part in _parts(names) for row in self._claims_of(part)]
        self._bringers: dict[bytes, set[int]] = defaultdict(set)
        self._holders: dict[bytes, set[int]] = defaultdict(set)
        for row in self._claims:
            self._bringers[row.identity].add(row.batch)
            self._holders[row.identity].add(row.batch)
        for part in _parts([row.identity for row in self._claims]):
            for identity, batch, stored in self._brought(part):
                self._bringers[identity].add(batch)
                self._holders[identity].update([batch] if stored else [])
        self.batches = sorted({batch for each in self._bringers.values() for batch in each})
        self._rows = {row.number: row for part in _parts(self.batches) for row in self._batches_of(part)}
        self._sources = {number: json.loads(row.arrival)["source_ae"] for number, row in self._rows.items()}
        self._packs: dict[int, list[int]] = defaultdict(list)
        for part in _parts(self.batches):
            for batch, pack in self._packed(part):
                self._packs[batch].append(pack)
        self._verdicts = {number: self._verdict(number) for each in self._packs.values() for number in each}

    def versions(self) -> dict[bytes, list[Held]]:
        """The versions of each instance by its name."""
        found: dict[bytes, list[Held]] = defaultdict(list)
        for row in self._claims:
            found[row.name].append(self._held(row))
        return found

    def _held(self, claim: Row[Any]) -> Held:
        bringers, holders = self._bringers[claim.identity], self._holders[claim.identity]
        return Held(
            batch=claim.batch,
            sop_class=claim.sop_class,
            sources=frozenset(self._sources[number] for number in bringers if self._sources[number]),
            secured=any(self._is_secured(self._rows[number]) for number in holders),
            full=any(self._is_full(self._rows[number]) for number in holders),
        )

    def _is_secured(self, batch: Row[Any]) -> bool:
        verdicts = [self._verdicts[number] for number in self._packs[batch.number]]
        commit_after = tuple(json.loads(batch.commit_after))
        return bool(verdicts) and all(
            verdict and verdict.secured and committed(commit_after, verdict.reached) for verdict in verdicts
        )

    def _is_full(self, batch: Row[Any]) -> bool:
        verdicts = [self._verdicts[number] for number in self._packs[batch.number]]
        return any(verdict and _FULL in verdict.failures.values() for verdict in verdicts)

    def _verdict(self, number: int) -> Verdict | None:
        """What is known of a pack now; None for one that is open."""
        pack = self._connection.execute(select(tables.packs).where(tables.packs.c.number == number)).one()
        return evaluate(views.view_of(self._connection, pack)) if pack.pack_id else None

    def _claims_of(self, names: Sequence[bytes]) -> Sequence[Row[Any]]:
        return self._connection.execute(select(tables.claims).where(tables.claims.c.name.in_(names))).all()

    def _brought(self, identities: Sequence[bytes]) -> Iterator[tuple[bytes, int, bool]]:
        found = select(own.brought).where(own.brought.c.identity.in_(identities))
        return ((row.identity, row.batch, row.stored) for row in self._connection.execute(found))

    def _packed(self, batches: Sequence[int]) -> Iterator[tuple[int, int]]:
        found = select(tables.members).where(tables.members.c.batch.in_(batches))
        return ((row.batch, row.pack) for row in self._connection.execute(found))

    def _batches_of(self, numbers: Sequence[int]) -> Sequence[Row[Any]]:
        return self._connection.execute(select(tables.batches).where(tables.batches.c.number.in_(numbers))).all()


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Parts of what a statement can carry."""
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))


def listing(connection: Connection) -> dict[str, Any]:
    """How many requests there are, and those that wait, longest first."""
    table = own.commitments
    waiting = select(table).where(table.c.decided.is_(None)).order_by(table.c.number).limit(MOST)
    counted = select(func.count(), func.count(table.c.decided), func.coalesce(func.sum(table.c.failed), 0))
    total, done, failed = connection.execute(counted).one()
    return {
        "requests": int(total),
        "decided": int(done),
        "failed_instances": int(failed),
        "waiting": [
            {"commitment_id": row.commitment_id, "instances": row.instances, "since": row.heard.isoformat()}
            for row in connection.execute(waiting)
        ],
    }
