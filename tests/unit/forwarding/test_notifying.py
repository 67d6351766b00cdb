"""What is told to a RIS, without a network: in which order, how often, and what is settled."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.events import Batch, BatchStored, Blob, ProvenCopy, StepReported, StudyArchived
from services.dicom_ingest.domain.step_report import as_file
from services.forwarding.domain.answers import DELIVERED, DestinationAway, Outcome, failed
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.forwards import InputDamaged, InputMissing
from services.forwarding.domain.notices import EXPLICIT, MOST_TRIES, Answer, Item, Notice
from services.forwarding.handlers.events import PATIENCE, NotThere
from services.forwarding.handlers.gate import Gate
from services.forwarding.handlers.notifying import Notifying
from shared.breaker import Breaker, Interrupted
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received

NOW = datetime.now(UTC)
GONE, BROKEN = Blob(store="landing", key="gone", size=1), Blob(store="landing", key="broken", size=1)
COPY = ProvenCopy(sealed_id="s", pack_id="p", form="identified", target="t", generation=1, proven=NOW)


def step(number: int = 1, report: Blob | None = None) -> StepReported:
    """A report on a step; its file names the report's number."""
    return StepReported(
        step_ref="s" * 32, number=number, kind="created" if number == 1 else "set", state="unknown", study_uids=(),
        study_refs=(), instances=0, received=NOW, report=report or Blob(store="landing", key=str(number), size=1),
    )  # fmt: skip


STUDY = StudyArchived(
    study_uid="1.2", study_ref="r" * 32, revision=1, instances=1, copies=(COPY,), withheld=0, archived=NOW,
    summary=Blob(store="summaries", key="summary", size=1),
)  # fmt: skip


class Shelf:
    """Reports by their numbers, and one summary."""

    async def read(self, blob: Blob) -> bytes:
        if blob == GONE:
            raise InputMissing
        if blob == BROKEN:
            return b"no file"
        if blob.store == "summaries":
            return (
                b'{"series": [{"series_uid": "1.3", "instances": [{"sop_instance_uid": "1", "sop_class_uid": "2"}]}]}'
            )
        return as_file(f"1.2.{blob.key}", EXPLICIT, b"said")


@dataclass
class Ris:
    """Answers in turn; then with Success."""

    answers: list[Answer | Exception] = field(default_factory=list)
    heard: list[Notice] = field(default_factory=list)

    async def send(self, notice: Notice) -> Answer:
        self.heard.append(notice)
        answer = self.answers.pop(0) if self.answers else Answer(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def probe(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class Book:
    """The ledger in memory."""

    ends: dict[str, Outcome] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    standing: dict[str, Any] = field(default_factory=dict)
    asked: list[Item] = field(default_factory=list)

    async def known(self, item: Item) -> Outcome | None:
        return self.ends.get(item.id)

    async def trying(self, item: Item, sop_instance: str) -> int:
        self.tries[item.id] = self.tries.get(item.id, 0) + 1
        return self.tries[item.id]

    async def settle(self, item: Item, outcome: Outcome) -> None:
        self.ends[item.id] = outcome

    async def stands(self, **values: Any) -> None:
        self.standing |= values

    async def next_asked(self) -> Item | None:
        return self.asked.pop(0) if self.asked else None


async def nothing() -> None:
    """A probe that always succeeds, a decision that nobody took."""


def notifying(ris: Ris, book: Book, kind: str = "mpps", **settings: Any) -> tuple[Notifying, Gate]:
    """The queue of one RIS."""
    if kind == "ian":
        settings["retrieve_ae"] = "PACS"
    destination = Destination(name="ris", kind=kind, host="h", port=1, **settings)
    gate = Gate(by_file=destination.held, decided=nothing, look_every=0.01)
    circuit = Breaker(target="ris", away=DestinationAway, probe=nothing, first=0.001, longest=0.001)
    queue = Notifying(
        destination=destination,
        documents=Shelf(),
        notifier=ris,
        ledger=book,
        circuit=circuit,
        gate=gate,
        site_key=SiteKey(bytes(32)),
        look_every=0.01,
    )
    return queue, gate


def received(data: Any, id: str = "1", deliveries: int = 1) -> Received[Any]:  # noqa: A002
    return Received(id=id, data=data, time=NOW, sequence=int(id), deliveries=deliveries, traceparent=None)


async def test_a_report_that_comes_twice_is_told_once() -> None:
    ris, book = Ris(), Book()
    queue, _ = notifying(ris, book)
    for _ in range(2):
        await queue.step_reported(received(step()))
    assert [(one.operation, one.sop_instance, one.data_set) for one in ris.heard] == [("create", "1.2.1", b"said")]
    assert book.ends == {"1": DELIVERED} and book.standing["oldest"] is None


async def test_each_kind_is_told_its_own_facts_and_nothing_else() -> None:
    for kind, told in (("mpps", ["1.2.840.10008.3.1.2.3.3"]), ("ian", ["1.2.840.10008.5.1.4.33"])):
        ris = Ris()
        queue, _ = notifying(ris, Book(), kind)
        await queue.step_reported(received(step()))
        await queue.study_archived(received(STUDY, "2"))
        blob = STUDY.summary
        batch = Batch(batch_id="b", manifest=blob, headers=blob, archive=blob, instances=1, size=1)
        stored = BatchStored(batch=batch, study_uid=None, study_ref="s", opened=NOW, closed=NOW)
        await queue.batch_stored(received(stored, "3"))
        assert [one.sop_class for one in ris.heard] == told


async def test_what_is_older_than_the_destination_is_not_told() -> None:
    ris = Ris()
    for kind in ("mpps", "ian"):
        queue, _ = notifying(ris, Book(), kind, since=NOW + timedelta(seconds=1))
        await queue.step_reported(received(step()))
        await queue.study_archived(received(STUDY, "2"))
    assert ris.heard == []


async def test_a_ris_that_is_away_is_waited_for_and_that_is_seen() -> None:
    ris, book = Ris([DestinationAway("not-reachable"), DestinationAway("not-reachable"), Answer(0x0213)]), Book()
    queue, _ = notifying(ris, book)
    seen: list[Any] = []
    stands = book.stands

    async def noted(**values: Any) -> None:
        seen.append(values.get("away", "-"))
        await stands(**values)

    book.stands = noted
    await queue.step_reported(received(step()))
    assert seen == ["-", "not-reachable", "status-0213", None, "-"]
    assert len(ris.heard) == 4 and book.ends == {"1": DELIVERED}


async def test_a_ris_that_never_processes_a_report_holds_up_the_others_for_a_while_only() -> None:
    ris, book = Ris([Answer(0x0110)] * MOST_TRIES), Book()
    queue, _ = notifying(ris, book)
    await queue.step_reported(received(step()))
    await queue.step_reported(received(step(2), "2"))
    assert book.ends == {"1": failed("status-0110"), "2": DELIVERED}
    assert len(ris.heard) == MOST_TRIES + 1


async def test_a_report_that_is_nowhere_is_looked_for_again_and_then_given_up() -> None:
    book = Book()
    queue, _ = notifying(Ris(), book)
    with pytest.raises(NotThere):
        await queue.step_reported(received(step(report=GONE)))
    assert book.ends == {}
    await queue.step_reported(received(step(report=GONE), deliveries=PATIENCE))
    await queue.step_reported(received(step(report=BROKEN), "2"))
    assert book.ends == {"1": failed("input-missing"), "2": failed("input-damaged")}


async def test_a_notice_that_cannot_be_encoded_as_the_ris_wants_it_has_failed() -> None:
    book = Book()
    queue, _ = notifying(Ris([InputDamaged()]), book)
    await queue.step_reported(received(step()))
    assert book.ends == {"1": failed("input-damaged")}


async def test_what_an_operator_asked_for_is_sent_in_its_order() -> None:
    ris, book = Ris(), Book()
    queue, _ = notifying(ris, book)
    book.asked = [Item("1", 1, step(1)), Item("2", 2, step(2))]
    task = asyncio.create_task(queue.retry())
    queue.look()
    async with asyncio.timeout(5):
        while len(book.ends) < 2:
            await asyncio.sleep(0.01)
    task.cancel()
    assert [one.operation for one in ris.heard] == ["create", "set"]


async def test_a_held_ris_is_told_nothing_and_the_service_may_end_meanwhile() -> None:
    ris, book = Ris(), Book()
    queue, gate = notifying(ris, book, held=True)
    waiting = asyncio.create_task(queue.step_reported(received(step())))
    await asyncio.sleep(0.05)
    assert ris.heard == [] and book.tries == {}, "it is no attempt"
    gate.interrupt()
    with pytest.raises(Interrupted):
        await waiting
    assert book.ends == {}
