"""Queues messages for receivers, in the transaction that keeps them; and what still needs a kept message."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Table, event, exists, insert, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.hl7_fhir.adapters.outgoing_tables import outgoing, told
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.domain.outgoing.receivers import Receiver, Taken

WAITS, ASIDE = 0, 1
#: What a row is: a message passed on, or one of our own.
PASSED, STATUS, AVAILABLE, STUDY_UID = "passed-on", "status", "study-available", "study-uid"

#: Is told for which receivers something was queued, and whether a person decided something.
Wake = Callable[[Collection[str], bool], None]
#: Reads the bytes of a kept message by its sequence.
Content = Callable[[Connection, int], bytes]


def is_awaited() -> ColumnElement[bool]:
    """The condition on ``messages`` that a receiver still waits for the row, or may yet be sent it by a person."""
    return exists(select(outgoing.c.number).where(outgoing.c.sequence == messages.c.sequence))


def upsert_of(connection: Connection, table: Table) -> Any:
    """An insert that knows ``on_conflict_…``."""
    return (sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert)(table)


class CurrentReceivers(Protocol):
    """The receivers as the file names them now."""

    def get(self) -> Mapping[str, Receiver]:
        """By name."""
        ...


class Outgoing:
    """The queues of all receivers, as those see them that fill them."""

    def __init__(self, receivers: CurrentReceivers) -> None:
        self._receivers = receivers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Wake = _nobody

    def listen(self, wake: Wake) -> None:
        """Call ``wake`` on the running event loop when a transaction that queued something commits."""
        self._loop, self._wake = asyncio.get_running_loop(), wake

    @property
    def is_wanted(self) -> bool:
        """Whether there is any receiver."""
        return bool(self._receivers.get())

    def queue(self, connection: Connection, taken: Sequence[Taken]) -> None:
        """Queue messages just kept, in their order, for every receiver that gets them; one statement, or none."""
        receivers = tuple(self._receivers.get().values())
        now = time.time()
        rows = [_row(name, PASSED, one.ref, now, one.sequence) for one in taken for name in _names(receivers, one)]
        if rows:
            connection.execute(insert(outgoing), rows)
            self.announce(connection, {row["receiver"] for row in rows})

    def is_new(self, connection: Connection, ref: str) -> bool:
        """Whether a message of our own with this ``ref`` was never queued; from now on it was."""
        known = (
            upsert_of(connection, told).values(ref=ref, at=time.time()).on_conflict_do_nothing(index_elements=["ref"])
        )
        return connection.execute(known.returning(told.c.ref)).first() is not None

    def add(
        self, connection: Connection, *, receiver: str, kind: str, ref: str, content: bytes, aside: str | None = None
    ) -> None:
        """Queue a message of our own; ``aside`` says why a person must look at it first."""
        row = {**_row(receiver, kind, ref, time.time()), "content": content}
        if aside:
            row |= {"state": ASIDE, "reason": aside}
        connection.execute(insert(outgoing).values(row))
        self.announce(connection, {receiver})

    def announce(self, connection: Connection, names: Collection[str], *, hurry: bool = False) -> None:
        """Wake the senders of ``names`` when the transaction commits; ``hurry`` when a person decided something."""

        def committing(_: Connection) -> None:
            """The commit is about to happen, on a worker thread."""
            if self._loop is not None:
                with suppress(RuntimeError):  # the loop is closed: the next process will look
                    self._loop.call_soon_threadsafe(self._wake, names, hurry)

        event.listen(connection, "commit", committing, once=True)


def _nobody(_: Collection[str], __: bool) -> None:
    """Nobody listens yet."""


def _names(receivers: Iterable[Receiver], taken: Taken) -> Iterable[str]:
    return (receiver.name for receiver in receivers if receiver.gets(taken))


def _row(receiver: str, kind: str, ref: str, now: float, sequence: int | None = None) -> dict[str, Any]:
    return {
        "receiver": receiver,
        "kind": kind,
        "sequence": sequence,
        "ref": ref,
        "content": None,
        "queued": now,
        "state": WAITS,
        "attempts": 0,
        "reason": None,
    }
