"""Remembers what the maps left behind, by message, and how often, by sender and field."""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.hl7_fhir.adapters.mapping_tables import loss_counts, loss_sets, losses
from services.hl7_fhir.domain.arrival import Arrival

#: MSH-3 has no bound that an index would need.
_LONGEST = 227


def remember_losses(connection: Connection, arrival: Arrival, lost: tuple[str, ...]) -> None:
    """Write what a message lost, once for each message, in its transaction. Names of fields only."""
    if not lost:
        return
    fields = " ".join(lost)
    set_id = hashlib.sha256(fields.encode()).hexdigest()[:32]
    statements = _STATEMENTS[connection.dialect.name]
    new = connection.execute(statements["loss"], {"ref": arrival.ref, "set_id": set_id}).rowcount
    if not new:
        return
    connection.execute(statements["set"], {"id": set_id, "fields": fields, "size": len(lost)})
    sender = arrival.name.sender[:_LONGEST]
    connection.execute(
        statements["count"], {"sender": sender, "set_id": set_id, "messages": 1, "last": arrival.received}
    )


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


def _statements(insert: Callable[..., Any]) -> dict[str, Any]:
    count = insert(loss_counts)
    return {
        "loss": insert(losses).on_conflict_do_nothing(index_elements=["ref"]).execution_options(preserve_rowcount=True),
        "set": insert(loss_sets).on_conflict_do_nothing(index_elements=["id"]),
        "count": count.on_conflict_do_update(
            index_elements=["sender", "set_id"],
            set_={"messages": loss_counts.c.messages + 1, "last": count.excluded["last"]},
        ),
    }


_STATEMENTS = {"sqlite": _statements(sqlite_insert), "postgresql": _statements(postgres_insert)}
