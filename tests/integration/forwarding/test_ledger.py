"""The ledger on both databases: outcomes, sums, failures, what is tried again; migrations and tables agree."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from contracts.events import Batch, BatchStored, Blob, StepReported
from services.forwarding.adapters.ledger import DestinationLedger
from services.forwarding.adapters.notice_ledger import SqlNotices
from services.forwarding.adapters.tables import metadata, outbox
from services.forwarding.domain.answers import DELIVERED, Outcome, failed
from services.forwarding.domain.forwards import Order, Result, facts, key_of
from services.forwarding.domain.notices import Item
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.settings import ServiceSettings
from shared.sql import Database
from tests.support.databases import Migrated
from tests.support.packs import make_file

INSTANCES = [make_file(seed)[1] for seed in range(3)]
BLOB = Blob(store="landing", key="b/x", size=1)
NOW = datetime.now(UTC)
BATCH = Batch(batch_id="b1", manifest=BLOB, headers=BLOB, archive=BLOB, instances=3, size=1)
EVENT = BatchStored(batch=BATCH, study_uid=None, study_ref="s", opened=NOW, closed=NOW)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Database]:
    """Without a row."""
    made = Database(migrated(request.param, "forwarding"))
    yield made
    await made.close()


def ledger_of(database: Database, name: str = "pacs") -> DestinationLedger:
    """The ledger of a destination, whose events stay in the outbox."""
    rows = Outbox(outbox, database, Bus(ServiceSettings(), "forwarding"))
    return DestinationLedger(name, database, rows, SiteKey(bytes(32)))


async def finish(ledger: DestinationLedger, order: Order, ends: dict[str, Outcome]) -> None:
    """Record and settle a batch."""
    await ledger.record("b1", [Result(one, ends[key_of(one)]) for one in INSTANCES])
    await ledger.finish(order, ends, facts(order, "pacs", INSTANCES, ends, NOW))


async def test_the_migrations_and_the_tables_agree(database: Database) -> None:
    def difference(connection: Connection) -> Any:
        own = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        )
        return compare_metadata(own, metadata)

    assert await database.read(difference) == []


async def test_outcomes_belong_to_one_destination(database: Database) -> None:
    await ledger_of(database).record("b1", [Result(INSTANCES[0], DELIVERED), Result(INSTANCES[1], failed("x"))])
    assert await ledger_of(database).known(INSTANCES) == {
        key_of(INSTANCES[0]): DELIVERED,
        key_of(INSTANCES[1]): failed("x"),
    }
    assert await ledger_of(database, "vna").known(INSTANCES) == {}


async def test_what_failed_is_asked_for_once_and_counted_anew(database: Database) -> None:
    """One process takes the batch, another finds nothing; its second run has events of its own."""
    ledger = ledger_of(database)
    ends = {key_of(one): DELIVERED for one in INSTANCES[1:]} | {key_of(INSTANCES[0]): failed("status-c000")}
    await finish(ledger, Order(EVENT), ends)
    assert (await ledger.standing())["failed"] == 1
    assert [one["reason"] for one in await ledger.failures()] == ["status-c000"]
    assert await ledger.next_asked() is None
    assert await ledger.ask_again() == 1
    order = await ledger.next_asked()
    assert order == Order(EVENT, run=1)
    assert await ledger.next_asked() is None
    await finish(ledger, order, dict.fromkeys(ends, DELIVERED))
    standing = await ledger.standing()
    assert (standing["delivered"], standing["failed"], await ledger.failures()) == (3, 0, [])
    ids = await database.read(lambda connection: connection.execute(outbox.select()).all())
    assert len({row.id for row in ids}) == 3, "delivered and failed of the first run, delivered of the second"


async def test_batches_are_tried_again_in_the_order_in_which_they_were_complete(database: Database) -> None:
    ledger, ends = ledger_of(database), dict.fromkeys(map(key_of, INSTANCES), failed("status-c000"))
    names = ["b3", "b1", "b2"]
    for minute, name in reversed(list(enumerate(names))):
        batch = BATCH.model_copy(update={"batch_id": name})
        order = Order(EVENT.model_copy(update={"batch": batch, "closed": NOW + timedelta(minutes=minute)}))
        await ledger.finish(order, ends, [])
    await ledger.ask_again()
    asked = [await ledger.next_asked() for _ in names]
    assert [order.event.batch.batch_id for order in asked if order] == names


async def test_an_operators_word_stays_beside_where_the_queue_stands(database: Database) -> None:
    ledger = ledger_of(database)
    assert await ledger.is_held() is None
    await ledger.stands(oldest=5.0)
    await ledger.stands(held=True)
    await ledger.stands(away="not-reachable", away_since=7.0)
    assert await ledger.is_held() is True
    assert {"oldest": 5.0, "away": "not-reachable"}.items() <= (await ledger.standing()).items()


def item(number: int) -> Item:
    """A report on a step."""
    event = StepReported(
        step_ref="s" * 32, number=number, kind="set", state="unknown", study_uids=(), study_refs=(), instances=0,
        report=BLOB, received=NOW,
    )  # fmt: skip
    return Item(f"{number:032x}", number, event)


async def test_notices_are_counted_tried_and_settled_once(database: Database) -> None:
    book, other = SqlNotices("ris", database), SqlNotices("other", database)
    assert await book.known(item(1)) is None
    assert [await book.trying(item(1), "1.2.3"), await book.trying(item(1), "1.2.3")] == [1, 2]
    assert await book.known(item(1)) is None, "it has not ended"
    assert (await book.standing())["failed"] == 0
    await book.settle(item(1), DELIVERED)
    assert await book.known(item(1)) == DELIVERED
    await book.settle(item(2), failed("input-missing"))
    await book.stands(held=True)
    found = await book.standing()
    assert (found["delivered"], found["failed"], found["held"], await book.is_held()) == (1, 1, True, True)
    assert await book.failures() == [{"batch_id": "s" * 32, "sop_instance_uid": None, "reason": "input-missing"}]
    assert (await other.standing())["delivered"] == 0 and await other.known(item(1)) is None


async def test_failed_notices_are_tried_again_in_their_order_and_by_one_process(database: Database) -> None:
    book = SqlNotices("ris", database)
    for number in (3, 1, 2):
        await book.trying(item(number), "1.2.3")
        await book.settle(item(number), failed("status-0106"))
    assert await book.next_asked() is None
    assert await book.ask_again() == 3
    assert [await book.next_asked(), await book.next_asked()] == [item(1), item(2)], "each is claimed"
    assert await book.trying(item(1), "1.2.3") == 1, "with all its attempts"
    await book.settle(item(1), DELIVERED)
    assert await book.ask_again() == 2
