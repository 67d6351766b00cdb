"""Who holds an instance: the batch that claimed it, or the one that stored it again because that one does not stand.

What a batch brings again is left out of its packs while its keeper stands for it (ADR 0023). Everything here happens
while the study is held, so that no plan changes between a look at it and what follows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from services.tier_routing.adapters import desk, packs, tables, views
from services.tier_routing.adapters.commitment_tables import brought
from services.tier_routing.domain.ledger import is_rejected
from services.tier_routing.domain.policy import Decision, covers

#: A dead letter of this service about a pack that nothing was sealed of: its input is no good.
_SEALER = "encryption"

_KEEPER = func.coalesce(tables.claims.c.keeper, tables.claims.c.batch)


@dataclass(frozen=True)
class Places:
    """The packs of a batch by number: its ``own``, and those of the batches that hold what it left out (``others``)."""

    own: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Every pack that holds something of the batch, each once."""
        return tuple(sorted({*self.own, *self.others}))


@dataclass(frozen=True)
class Again:
    """What a batch brought that another keeps; ``entry`` is None for what came before that was noted."""

    identity: bytes
    entry: int | None
    keeper: int


def places(connection: Connection, batches: Collection[int]) -> Mapping[int, Places]:
    """Where each of these batches lies."""
    owners: dict[int, list[int]] = {number: [] for number in batches}
    table = tables.owners
    for row in connection.execute(select(table).where(table.c.duplicate.in_(owners))):
        owners[row.duplicate].append(row.owner)
    packed = _packs_of(connection, {*owners, *(owner for each in owners.values() for owner in each)})
    return {
        number: Places(
            tuple(sorted(packed.get(number, ()))),
            tuple(sorted({pack for owner in found for pack in packed.get(owner, ())})),
        )
        for number, found in owners.items()
    }


def owners_of(connection: Connection, number: int) -> frozenset[int]:
    """The batches in other packs that hold what this one left out, as far as that is noted."""
    table = tables.owners
    return frozenset(connection.execute(select(table.c.owner).where(table.c.duplicate == number)).scalars())


def brought_again(connection: Connection, number: int) -> Sequence[Again]:
    """What a batch left out because another kept it."""
    table = tables.claims
    found = select(brought.c.identity, brought.c.entry, _KEEPER.label("keeper"))
    joined = found.join_from(brought, table, table.c.identity == brought.c.identity)
    rows = connection.execute(joined.where(brought.c.batch == number, brought.c.stored.is_(False)))
    return [Again(row.identity, row.entry, row.keeper) for row in rows]


def standing(
    connection: Connection, batch: Row[Any], keepers: Iterable[int], decision: Decision, within: int | None = None
) -> frozenset[int]:
    """Those of the batches that hold what ``batch`` leaves out as ``decision`` wants it: every pack of theirs (or only
    ``within``) is of the same study, gets all its copies, and is not rejected."""
    packed = _packs_of(connection, set(keepers))
    numbers = {number for each in packed.values() for number in each if within in (None, number)}
    fit = {number for number in numbers if _stands(connection, batch, number, decision)}
    return frozenset(keeper for keeper, found in packed.items() if fit.issuperset(found & numbers))


def keep(connection: Connection, number: int, again: Iterable[Again]) -> None:
    """From now on the batch itself keeps what it brought again."""
    identities = [each.identity for each in again]
    table = tables.claims
    connection.execute(table.update().where(table.c.identity.in_(identities)).values(keeper=number))
    mine = (brought.c.batch == number, brought.c.identity.in_(identities))
    connection.execute(brought.update().where(*mine).values(stored=True))


def rely(connection: Connection, number: int, keepers: Collection[int]) -> None:
    """Note which batches hold what this one left out, but those in its own pack: they share its fate anyway."""
    connection.execute(delete(tables.owners).where(tables.owners.c.duplicate == number))
    packed = _packs_of(connection, {number, *keepers})
    mine = packed.get(number)
    rows = [{"duplicate": number, "owner": keeper} for keeper in sorted(keepers) if packed.get(keeper) != mine]
    desk.insert_new(connection, tables.owners, rows)


def rejected(connection: Connection, pack: Row[Any]) -> bool:
    """Whether a pack is no good: sealing gave it up, or no copy of it is proven and one is damaged or given up."""
    if pack.pack_id is None:
        return False
    return _is_refused(connection, pack) or is_rejected(views.view_of(connection, pack))


def _stands(connection: Connection, batch: Row[Any], number: int, decision: Decision) -> bool:
    pack = connection.execute(select(tables.packs).where(tables.packs.c.number == number)).one()
    same_study = desk.study_name(pack.study_ref, pack.study_uid) == desk.study_name(batch.study_ref, batch.study_uid)
    return (
        same_study
        and covers(packs.planned_copies(connection, number), decision.copies)
        and not rejected(connection, pack)
    )


def _packs_of(connection: Connection, batches: Collection[int]) -> dict[int, set[int]]:
    """The packs that each of these batches was put into."""
    found: dict[int, set[int]] = {}
    held = tables.members
    for row in connection.execute(select(held).where(held.c.batch.in_(batches))):
        found.setdefault(row.batch, set()).add(row.pack)
    return found


def _is_refused(connection: Connection, pack: Row[Any]) -> bool:
    """Whether sealing gave the pack up and nothing of it was ever sealed."""
    letters, seals = tables.dead_letters, tables.seals
    given_up = select(letters.c.number).where(letters.c.pack_id == pack.pack_id, letters.c.service == _SEALER)
    sealed = select(seals.c.sealed_id).where(seals.c.pack_id == pack.pack_id)
    return bool(connection.execute(given_up).first()) and not connection.execute(sealed).first()
