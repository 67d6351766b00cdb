"""Messages as they came, made durable in groups: those that arrive while a group is committed are the next one."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, or_, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.tables import messages
from services.hl7_fhir.domain.intake.keeping import Entry
from services.hl7_fhir.domain.outgoing.receivers import Taken
from shared.errors import CausewayError, RetryLater
from shared.sql import Database, TransactionLost

#: Messages, and bytes of them, that one transaction takes at most.
_MOST, _MOST_BYTES = 256, 4 * 1024 * 1024
#: Seconds that a sender is held at most, and between two attempts.
_HOLD, _LOOK_AGAIN = 25.0, 0.5
#: How often a group is written that loses against other transactions.
_ATTEMPTS = 3
#: An IPv6 address with its zone.
_LONGEST_PEER = 64


class PassesOn(Protocol):
    """The queues of those to whom messages are passed on."""

    @property
    def is_wanted(self) -> bool:
        """Whether there is anybody."""
        ...

    def queue(self, connection: Connection, taken: Sequence[Taken]) -> None:
        """Queue messages that were just kept, in their order."""
        ...


class _Before(NamedTuple):
    """What was answered to a message that is known, and what became of it."""

    code: str
    state: str


class SqlJournal:
    """The journal in SQL."""

    def __init__(self, database: Database, sealer: Sealer, passes_on: PassesOn | None = None) -> None:
        self._database = database
        self._sealer = sealer
        self._passes_on = passes_on
        self._kept: list[Callable[[int], object]] = []
        self._refused: list[Callable[[Sequence[int]], object]] = []
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._in_commit = 0

    def on_kept(self, tell: Callable[[int], object]) -> None:
        """Have ``tell`` called after each commit, with how many messages were kept."""
        self._kept.append(tell)

    def on_refused(self, tell: Callable[[Sequence[int]], object]) -> None:
        """Have ``tell`` called after a commit with the sizes of the messages in it that are refused, bytes."""
        self._refused.append(tell)

    def pending(self) -> int:
        """How many messages wait to be made durable."""
        return len(self._waiting) + self._in_commit

    async def keep(self, entry: Entry, *, hold: bool = False) -> None:
        """Return when the message is durable; RetryLater when it cannot be kept now, StatementRefused when never.

        With ``hold`` trouble is waited for, but not for ever: an answer that never comes looks like a lost one.
        """
        deadline = time.monotonic() + (_HOLD if hold else 0)
        while True:
            try:
                return await self._keep(entry)
            except RetryLater:
                if time.monotonic() + _LOOK_AGAIN > deadline:
                    raise
            await asyncio.sleep(_LOOK_AGAIN)

    async def _keep(self, entry: Entry) -> None:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, told))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        await told

    async def _commit(self) -> None:
        try:
            while self._waiting:
                group = self._next_group()
                self._in_commit = len(group)
                await self._commit_group(group)
        finally:
            self._committing, self._in_commit = None, 0

    def _next_group(self) -> list[tuple[Entry, asyncio.Future[None]]]:
        count, size = 0, 0
        for entry, _ in self._waiting[:_MOST]:
            size += len(entry.arrival.content)
            if count and size > _MOST_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _commit_group(self, group: list[tuple[Entry, asyncio.Future[None]]]) -> None:
        entries = [entry for entry, _ in group]
        try:
            await self._insert_all(entries)
        except Exception as error:  # told to each sender
            await self._failed(group, error)
            return
        for tell in self._kept:
            tell(len(entries))
        refused = [len(entry.arrival.content) for entry in entries if entry.code == "AE"]
        for tell_sizes in self._refused if refused else ():
            tell_sizes(refused)
        for _, told in group:
            if not told.done():
                told.set_result(None)

    async def _insert_all(self, entries: Sequence[Entry]) -> None:
        """At once again when it lost against another transaction, which has ended then."""
        for left in reversed(range(_ATTEMPTS)):
            try:
                await self._database.run(lambda connection: self._insert(connection, entries))
                return
            except TransactionLost:
                if not left:
                    raise

    async def _failed(self, group: list[tuple[Entry, asyncio.Future[None]]], error: Exception) -> None:
        """Trouble is everybody's; what a single message may be at fault for is tried with each alone."""
        if len(group) > 1 and not isinstance(error, RetryLater):
            for one in group:
                await self._commit_group([one])
            return
        for _, told in group:
            if not told.done():
                told.set_exception(error if isinstance(error, CausewayError) else RetryLater("message-not-kept"))

    def _insert(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Write the rows; one that was refused before takes the place of its refusal, one that was taken stays."""
        passes_on = self._passes_on if self._passes_on is not None and self._passes_on.is_wanted else None
        refs = [entry.arrival.ref for entry in entries]
        # On PostgreSQL an insert locks the row that is there already, be it left as it is: whoever maps it meanwhile
        # would be waited for, or, with two of them in another order, never be done. So those are not tried at all.
        looks = passes_on is not None or connection.dialect.name == "postgresql"
        before = _known(connection, refs) if looks else {}
        rows = [self._row(entry) for entry in entries if _may_be_written(before.get(entry.arrival.ref))]
        if rows:
            connection.execute(_STATEMENTS[connection.dialect.name], rows)
        if passes_on is not None:
            passes_on.queue(connection, list(_taken(connection, refs, entries, before)))

    def _row(self, entry: Entry) -> dict[str, Any]:
        arrival, name = entry.arrival, entry.arrival.name
        return {
            "ref": arrival.ref,
            "name": arrival.name_ref,
            "received": arrival.received,
            "sender": name.sender,
            "facility": name.facility,
            "control_id": name.control_id,
            "type": name.type,
            "trigger_event": name.trigger,
            "version": name.version,
            "sha256": arrival.sha256,
            "content": self._sealer.seal(arrival.ref, arrival.content),
            "sealed": True,
            "size": len(arrival.content),
            "code": entry.code,
            "reason": entry.reason,
            "place": entry.place,
            "mapped": False,
            "flags": " ".join(entry.flags),
            "state": entry.state,
            "origin": entry.origin,
            "corrects": entry.corrects,
            "peer": entry.peer[:_LONGEST_PEER],
        }


def _known(connection: Connection, refs: list[str]) -> dict[str, _Before]:
    """Those that are known."""
    wanted = select(messages.c.ref, messages.c.code, messages.c.state).where(messages.c.ref.in_(refs))
    return {row.ref: _Before(row.code, row.state) for row in connection.execute(wanted)}


def _may_be_written(before: _Before | None) -> bool:
    return before is None or before.state in _MAY_COME_AGAIN


def _taken(
    connection: Connection, refs: list[str], entries: Sequence[Entry], before: dict[str, _Before]
) -> Iterator[Taken]:
    """Those of ``entries`` that are new, or are taken now and were refused before, in their order."""
    numbers = select(messages.c.ref, messages.c.sequence).where(messages.c.ref.in_(refs))
    sequences = {row.ref: row.sequence for row in connection.execute(numbers)}
    known = {ref: row.code for ref, row in before.items()}
    for entry in entries:
        ref, name = entry.arrival.ref, entry.arrival.name
        if ref not in known or (known[ref] != "AA" and entry.code == "AA"):
            refused = entry.code != "AA"
            yield Taken(sequences[ref], ref, name.type, name.trigger, name.sender, name.facility, refused)
            known[ref] = entry.code


#: What a message that comes again says anew; when it came first stays, since that may be all that tells its age.
_AGAIN = (
    "code", "reason", "place", "state", "origin", "corrects", "flags", "content", "sealed", "size", "peer",
)  # fmt: skip


#: A message in such a state is taken anew when it comes again.
_MAY_COME_AGAIN = ("refused", "failed", "discarded")


def _statement(insert: Callable[..., Any]) -> Any:
    wanted = insert(messages)
    again = {name: wanted.excluded[name] for name in _AGAIN}
    may_come_again = or_(*(messages.c.state == state for state in _MAY_COME_AGAIN))
    return wanted.on_conflict_do_update(index_elements=["ref"], set_=again, where=may_come_again)


_STATEMENTS = {"sqlite": _statement(sqlite_insert), "postgresql": _statement(postgres_insert)}
