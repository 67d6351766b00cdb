"""Forwarding without a network: what is sent, from where, and what is settled."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.events import Batch, BatchStored, Blob, Event, ForwardDelivered, ForwardFailed
from contracts.formats.manifest import Instance
from services.forwarding.domain.answers import DELIVERED, BrokenOff, DestinationAway, Outcome, failed
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.forwards import PROOF, InputAway, InputDamaged, InputMissing, Order, Result, key_of
from services.forwarding.handlers.events import PATIENCE, Forwarding, NotThere
from services.forwarding.handlers.gate import Gate
from services.forwarding.ports.content import Source
from shared.breaker import Breaker, Interrupted
from shared.messaging.cloudevent import Received
from tests.support.packs import make_file

FILES = {seed: make_file(seed) for seed in range(3)}
INSTANCES = [one for _, one in FILES.values()]
NOW = datetime.now(UTC)
BLOB = Blob(store="landing", key="b/x", size=1)
BATCH = Batch(batch_id="b1", manifest=BLOB, headers=BLOB, archive=BLOB, instances=3, size=1)
EVENT = BatchStored(batch=BATCH, study_uid=None, study_ref="s", opened=NOW, closed=NOW)


@dataclass
class Opened:
    """A batch with the given trouble in its first source; the second is sound if there is one."""

    trouble: type[Exception] | None = None
    copies: int = 1
    source_ae: str | None = "CT1"
    instances: Sequence[Instance] = field(default_factory=lambda: INSTANCES)

    async def open(self, _: Batch) -> "Opened":
        return self

    async def sources(self, _: Instance) -> AsyncIterator[Source]:
        for number in range(self.copies):
            yield _source(self.trouble if number == 0 else None)


def _source(trouble: type[Exception] | None) -> Source:
    async def read(_: int) -> AsyncIterator[bytes]:
        if trouble:
            raise trouble
        yield b"data"

    return read


@dataclass
class Peer:
    """Answers in turn; then everything is delivered."""

    answers: list[Outcome | Exception] = field(default_factory=list)
    stored: list[Instance] = field(default_factory=list)

    async def prepare(self, instances: Sequence[Instance], others: Sequence[Instance] = ()) -> None:
        pass

    async def store(self, instance: Instance, source: Source) -> Outcome:
        async for _ in source(0):
            pass
        answer = self.answers.pop(0) if self.answers else DELIVERED
        if isinstance(answer, Exception):
            raise answer
        self.stored.append(instance)
        return answer


@dataclass
class Book:
    """The ledger in memory."""

    ends: dict[str, Outcome] = field(default_factory=dict)
    told: list[Any] = field(default_factory=list)
    standing: dict[str, Any] = field(default_factory=dict)

    async def known(self, instances: Sequence[Instance]) -> Mapping[str, Outcome]:
        return {key_of(one): self.ends[key_of(one)] for one in instances if key_of(one) in self.ends}

    async def record(self, batch_id: str, results: Sequence[Result]) -> None:
        self.ends |= {key_of(one.instance): one.outcome for one in results}

    async def finish(self, order: Order, results: Mapping[str, Outcome], told: Sequence[Event]) -> None:
        self.told += told

    async def stands(self, **values: Any) -> None:
        self.standing |= values

    async def next_asked(self) -> Order | None:
        return None


async def nothing() -> None:
    """A probe that always succeeds, a decision that nobody took."""


def forwarding(peer: Peer, book: Book, inputs: Opened | None = None, **settings: Any) -> tuple[Forwarding, Gate]:
    """The handlers of one destination."""
    destination = Destination(name="pacs", kind="dicom", host="h", port=1, **settings)
    gate = Gate(by_file=destination.held, decided=nothing, look_every=0.01)
    circuit = Breaker(target="pacs", away=DestinationAway, probe=nothing, first=0.001, longest=0.001)
    made = Forwarding(
        destination=destination,
        inputs=inputs or Opened(),
        sender=peer,
        ledger=book,
        circuit=circuit,
        gate=gate,
        look_every=0.01,
    )
    return made, gate


def received(deliveries: int = 1, event: BatchStored = EVENT) -> Received[BatchStored]:
    """A delivery of the batch."""
    return Received(id="e", data=event, time=NOW, sequence=1, deliveries=deliveries, traceparent=None)


async def test_what_is_settled_is_not_sent_again_and_told_again() -> None:
    peer, book = Peer(), Book(ends={key_of(INSTANCES[0]): DELIVERED})
    await forwarding(peer, book)[0].batch_stored(received())
    assert peer.stored == INSTANCES[1:]
    assert [(type(one), one.instances) for one in book.told] == [(ForwardDelivered, 3)]
    assert book.standing["oldest"] is None


async def test_a_destination_that_is_away_gets_the_rest_when_it_is_back() -> None:
    """In order, nothing twice, and where it stands is known meanwhile."""
    peer, book = Peer([DELIVERED, DestinationAway("no-answer"), DestinationAway("no-answer")]), Book()
    await forwarding(peer, book)[0].batch_stored(received())
    assert peer.stored == INSTANCES
    assert (book.standing["away"], book.standing["away_since"]) == (None, None)


async def test_an_instance_that_a_destination_cannot_bear_holds_up_no_other() -> None:
    """It is there after every attempt and breaks off again: that is the instance's failure."""
    peer, book = Peer([DELIVERED, *[BrokenOff("association-aborted")] * PROOF]), Book()
    await forwarding(peer, book)[0].batch_stored(received())
    assert peer.stored == [INSTANCES[0], INSTANCES[2]]
    delivered, missing = book.told
    assert delivered.instances == 2
    assert [one.reason for one in missing.undelivered] == ["association-aborted"]


async def test_a_destination_that_breaks_off_now_and_then_gets_everything() -> None:
    """One attempt fewer than it takes, and at another instance the count begins again."""
    some = [BrokenOff("no-answer")] * (PROOF - 1)
    peer, book = Peer([*some, DELIVERED, *some, DestinationAway("not-reachable")]), Book()
    await forwarding(peer, book)[0].batch_stored(received())
    assert peer.stored == INSTANCES
    assert [type(one) for one in book.told] == [ForwardDelivered]


async def test_failures_are_told_beside_deliveries() -> None:
    peer, book = Peer([failed("status-c000"), Outcome(is_delivered=True, reason="status-b000")]), Book()
    await forwarding(peer, book)[0].batch_stored(received())
    delivered, missing = book.told
    assert (delivered.instances, delivered.warnings) == (2, 1)
    assert isinstance(missing, ForwardFailed)
    assert [one.sop_instance_uid for one in missing.undelivered] == [INSTANCES[0].sop_instance_uid]


@pytest.mark.parametrize("trouble", [InputMissing, InputDamaged, InputAway])
async def test_the_next_source_is_asked_when_one_has_not_what_was_received(trouble: type[Exception]) -> None:
    peer, book = Peer(), Book()
    await forwarding(peer, book, Opened(trouble, copies=2))[0].batch_stored(received())
    assert peer.stored == INSTANCES


@pytest.mark.parametrize("trouble", [InputMissing, InputAway])
async def test_what_is_nowhere_is_waited_for_and_given_up_in_the_end(trouble: type[Exception]) -> None:
    peer, book = Peer(), Book()
    made = forwarding(peer, book, Opened(trouble))[0]
    with pytest.raises(NotThere):
        await made.batch_stored(received())
    await made.batch_stored(received(deliveries=PATIENCE))
    assert {one.reason for one in book.told[0].undelivered} == {"input-missing"}


async def test_batches_from_before_a_destination_came_are_passed_over() -> None:
    peer, book = Peer(), Book()
    await forwarding(peer, book, since=NOW + timedelta(seconds=1))[0].batch_stored(received())
    assert (peer.stored, book.told) == ([], [])


async def test_a_service_that_ends_gives_a_held_batch_back() -> None:
    made, gate = forwarding(peer := Peer(), Book(), held=True)
    gate.interrupt()
    with pytest.raises(Interrupted):
        await made.batch_stored(received())
    assert peer.stored == []
