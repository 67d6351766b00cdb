"""Remembers what the maps left behind, by message, and how often, by sender and field."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.hl7_fhir.adapters.mapping_tables import loss_counts, loss_sets, losses
from services.hl7_fhir.domain.intake.arrival import Arrival

#: MSH-3 has no bound that an index would need.
_LONGEST = 227


@dataclass(frozen=True)
class Lost:
    """A message with the names of the fields that were valued and went nowhere."""

    arrival: Arrival
    fields: tuple[str, ...]

    @property
    def told(self) -> str:
        """The names between spaces."""
        return " ".join(self.fields)

    @property
    def set_id(self) -> str:
        """The digest of the names."""
        return hashlib.sha256(self.told.encode()).hexdigest()[:32]


def remember_losses(connection: Connection, lost: Sequence[Lost]) -> None:
    """Write what messages lost, once for each, in the transaction in which they are mapped. Names of fields only."""
    refs = [one.arrival.ref for one in lost]
    known = set(connection.execute(select(losses.c.ref).where(losses.c.ref.in_(refs))).scalars()) if refs else set()
    new = [one for one in lost if one.arrival.ref not in known]
    if not new:
        return
    statements = _STATEMENTS[connection.dialect.name]
    connection.execute(insert(losses), [{"ref": one.arrival.ref, "set_id": one.set_id} for one in new])
    sets = {one.set_id: one for one in new}
    rows = [{"id": set_id, "fields": one.told, "size": len(one.fields)} for set_id, one in sorted(sets.items())]
    connection.execute(statements["set"], rows)
    connection.execute(statements["count"], _counts(new))


def _counts(new: Sequence[Lost]) -> list[dict[str, Any]]:
    """How many messages of each sender lost the same, and when the last did."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in new:
        key = (one.arrival.name.sender[:_LONGEST], one.set_id)
        row = found.setdefault(key, {"sender": key[0], "set_id": key[1], "messages": 0})
        row |= {"messages": row["messages"] + 1, "last": one.arrival.received}
    return [found[key] for key in sorted(found)]


def losses_of(connection: Connection, ref: str) -> tuple[str, ...]:
    """What one message lost, in the order of its fields."""
    wanted = select(loss_sets.c.fields).join(losses, losses.c.set_id == loss_sets.c.id).where(losses.c.ref == ref)
    found = connection.execute(wanted).scalar_one_or_none()
    return tuple(found.split(" ")) if found else ()


def loss_report(connection: Connection, sender: str | None = None) -> list[tuple[str, str, int]]:
    """(sender, field, messages) of all senders or one, the most frequent first."""
    wanted = select(loss_counts.c.sender, loss_counts.c.messages, loss_sets.c.fields).join(
        loss_sets, loss_sets.c.id == loss_counts.c.set_id
    )
    if sender is not None:
        wanted = wanted.where(loss_counts.c.sender == sender[:_LONGEST])
    counted: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(wanted):
        for name in row.fields.split(" "):
            counted[row.sender, name] += row.messages
    return sorted(((told, name, count) for (told, name), count in counted.items()), key=lambda row: (-row[2], row[:2]))


def _statements(upsert: Callable[..., Any]) -> dict[str, Any]:
    count = upsert(loss_counts)
    return {
        "set": upsert(loss_sets).on_conflict_do_nothing(index_elements=["id"]),
        "count": count.on_conflict_do_update(
            index_elements=["sender", "set_id"],
            set_={
                "messages": loss_counts.c.messages + count.excluded["messages"],
                "last": count.excluded["last"],
            },
        ),
    }


_STATEMENTS = {"sqlite": _statements(sqlite_insert), "postgresql": _statements(postgres_insert)}
