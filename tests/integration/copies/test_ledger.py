"""The port ``Ledger``: SQL and the fake of the unit tests behave alike; SQL keeps what it knows."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.verification.adapters.ledger import CopyLedger
from services.verification.adapters.tables import outbox
from services.verification.domain.copies import Cause, KnownCopy
from services.verification.domain.proving import Proof
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.outbox import Outbox
from shared.settings import ServiceSettings
from shared.sql import Database
from tests.unit.verification.samples import NOW, RememberedLedger, SealedPack, copy_key, known

PROOF = Proof(instances=1, size=1)


class SqlLedger(CopyLedger):
    """The ledger on a database, with what waits in its outbox told as the fake tells it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        bus = Bus(ServiceSettings(), "verification")
        super().__init__(
            database=database,
            outbox=Outbox(outbox, database, bus),
            site_key=SiteKey(bytes(32)),
            reprove_after=0,
        )

    async def rows(self) -> list[dict[str, Any]]:
        found = await self.database.read(lambda c: c.execute(select(outbox).order_by(outbox.c.number)).all())
        return [{"id": row.id, "subject": row.subject, **json.loads(row.data)} for row in found]

    async def told(self) -> list[tuple[str, int, object, int]]:
        """Target, generation, outcome and run of each event."""
        return [
            (row["copy_key"]["target"], row["copy_key"]["generation"], row.get("reason", "proven"), row["run"])
            for row in await self.rows()
        ]


class FakeLedger(RememberedLedger):
    """The fake, with the same view of what it told."""

    async def told(self) -> list[tuple[str, int, object, int]]:
        return [(target, generation, outcome, run) for target, generation, outcome, _, run in self.said]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """The fake, and the adapter on both databases."""
    if request.param == "memory":
        yield FakeLedger()
        return
    url = request.getfixturevalue("postgres") if request.param == "postgres" else f"sqlite:///{tmp_path}/copies.db"
    async for made in _on(url):
        yield made


@pytest.fixture
async def sql(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    """The adapter on SQLite."""
    async for made in _on(f"sqlite:///{tmp_path}/copies.db"):
        yield made


async def _on(url: str) -> AsyncIterator[SqlLedger]:
    database = Database(url)
    await database.migrate("services.verification.migrations")
    yield SqlLedger(database)
    await database.close()


async def test_a_copy_is_known_once_it_was_read(ledger: Any) -> None:
    copy = known()
    assert await ledger.find(copy.copy_key) is None
    await ledger.record(copy, PROOF, Cause("one", 0))
    found: KnownCopy = await ledger.find(copy.copy_key)
    assert (found.state, found.sealed, found.written) == ("proven", copy.sealed, NOW)
    assert found.proven is not None


async def test_an_event_is_taken_in_once(ledger: Any) -> None:
    for _ in range(2):
        await ledger.record(known(), PROOF, Cause("one", 0))
    await ledger.repeat(known(), Cause("one", 0))
    assert await ledger.settled("one", copy_key())
    assert not await ledger.settled("two", copy_key())
    assert await ledger.told() == [("a", 1, "proven", 0)]


async def test_a_repeat_is_told_under_its_run(ledger: Any) -> None:
    await ledger.record(known(), PROOF, Cause("one", 0))
    await ledger.repeat(await ledger.find(copy_key()), Cause("two", 1))
    assert await ledger.told() == [("a", 1, "proven", 0), ("a", 1, "proven", 1)]


async def test_an_expired_copy_is_settled_and_says_nothing(ledger: Any) -> None:
    """Also when the expiry overtakes the copy's own event, or its reading."""
    await ledger.expire(copy_key())
    assert await ledger.settled("one", copy_key())
    await ledger.record(known(), "missing", Cause("one", 0))
    assert await ledger.find(copy_key()) is None
    assert await ledger.told() == []


async def test_what_is_made_due_is_due_once(ledger: Any) -> None:
    await ledger.record(known(), PROOF, Cause("one", 0))
    await ledger.record(known(copy_key("b")), PROOF, Cause("two", 0))
    assert await ledger.make_due() == 2
    assert [copy.copy_key.target for copy in await ledger.due("a", 5)] == ["a"]
    assert list(await ledger.due("a", 5)) == []


async def test_copies_are_made_due_by_pack_and_by_study(ledger: Any) -> None:
    await ledger.record(known(), PROOF, Cause("one", 0))
    await ledger.record(known(copy_key(sealed_id="other")), PROOF, Cause("two", 0))
    assert await ledger.make_due(sealed_id="other") == 1
    assert await ledger.make_due(study_ref="study") == 2
    assert await ledger.make_due(study_ref="nobody") == 0


async def test_a_damaged_copy_is_not_read_again_by_schedule(ledger: Any) -> None:
    """The next generation takes its place."""
    await ledger.record(known(), "ciphertext", Cause("one", 0))
    assert await ledger.make_due() == 0
    assert list(await ledger.due("a", 5)) == []


async def test_readings_by_schedule_are_counted(ledger: Any) -> None:
    await ledger.record(known(), PROOF, Cause("one", 0))
    for number in (1, 2):
        await ledger.record(await ledger.find(copy_key()), PROOF, Cause(None, number))
    assert (await ledger.find(copy_key())).proofs == 2


async def test_damage_names_the_proven_copies_and_no_others(sql: SqlLedger) -> None:
    """Other targets and other generations of the same pack, unless damaged or expired themselves."""
    for target, generation, outcome in (("b", 1, "missing"), ("b", 2, PROOF), ("c", 1, PROOF), ("d", 1, PROOF)):
        copy = known(copy_key(target, generation))
        await sql.record(copy, outcome, Cause(f"{target}{generation}", 0))
    await sql.expire(copy_key("d"))
    await sql.record(known(copy_key("e", sealed_id="other")), PROOF, Cause("e", 0))
    await sql.record(known(), "ciphertext", Cause("a", 0))
    [*_, event] = await sql.rows()
    assert [(source["target"], source["generation"]) for source in event["sources"]] == [("b", 2), ("c", 1)]


async def test_damage_tells_how_many_generations_in_a_row_were_never_proven(sql: SqlLedger) -> None:
    """One that was proven once, or given up, is not among them; another reading of the same makes it no more."""
    told = []
    outcomes = ((1, "missing"), (2, "seal"), (2, "seal"), (3, PROOF), (3, "missing"), (4, "seal"), (5, "seal"))
    for number, (generation, outcome) in enumerate(outcomes):
        await sql.record(known(copy_key(generation=generation)), outcome, Cause(f"event-{number}", 0))
        told.append((await sql.rows())[-1].get("unproven"))
    await sql.expire(copy_key(generation=5))
    await sql.record(known(copy_key(generation=6)), "seal", Cause("six", 0))
    assert [*told, (await sql.rows())[-1]["unproven"]] == [1, 2, 2, None, 0, 1, 2, 1]


async def test_every_reading_has_an_event_of_its_own(sql: SqlLedger) -> None:
    """Runs of events and readings by schedule never share an id."""
    copy = known()
    for cause in (Cause("one", 0), Cause("two", 1), Cause(None, 1), Cause(None, 2)):
        await sql.record(copy, PROOF, cause)
    ids = [row["id"] for row in await sql.rows()]
    assert len(ids) == len(set(ids)) == 4


async def test_proofs_come_due_by_their_age(sql: SqlLedger) -> None:
    """With an age of zero at once; the claim keeps another process away."""
    await sql.record(known(), PROOF, Cause("one", 0))
    assert len(await sql.due("a", 1)) == 1
    assert len(await sql.due("a", 1)) == 0


async def test_a_pack_of_many_parts_is_kept_whole(sql: SqlLedger) -> None:
    copy = replace(known(), sealed=SealedPack(part=100).told)
    await sql.record(copy, PROOF, Cause("one", 0))
    found = await sql.find(copy_key())
    assert found is not None
    assert found.sealed == copy.sealed
