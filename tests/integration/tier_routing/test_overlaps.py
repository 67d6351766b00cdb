"""Batches that overlap: what is left out of a pack is kept by another, whoever works beside and whatever goes wrong."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, select, text

from contracts.events import PackPlanned
from contracts.formats.left_out import read_numbers
from services.tier_routing.adapters import holding, replanning, tables
from services.tier_routing.adapters.commitment_tables import brought
from services.tier_routing.ports import Selection
from shared.sql.database import Database
from tests.integration.tier_routing.conftest import Site
from tests.integration.tier_routing.test_another_plan import BOTH, ONE, PLAIN, WITHOUT_A, WITHOUT_B
from tests.integration.tier_routing.test_overdue_work import letter
from tests.unit.tier_routing.makers import damaged, instance, verified, written

TARGETS = ("onsite", "cloud-a", "cloud-b")
ROOMY = PLAIN.replace("size: 1KiB, quiet: 10s, recovery_point: 1m", "size: 64MiB, quiet: 10s, recovery_point: 5m")

on_postgres = pytest.mark.parametrize("site", ["postgres"], indirect=True)
on_sqlite = pytest.mark.parametrize("site", ["sqlite"], indirect=True)


async def archived(site: Site) -> set[str]:
    """The batches that were archived since the last question."""
    return {each.data["batch_id"] for each in await site.told("batch.archived")}


async def planned(site: Site, name: str, *numbers: int, **more: Any) -> PackPlanned:
    """A batch of these instances arrives and gets a pack of its own."""
    await site.store(name, *(instance(number, **more) for number in numbers))
    (plan,) = await site.plan()
    return plan


async def refused(site: Site, plan: PackPlanned) -> None:
    """Sealing gives a pack up, and the sweep comes to it."""
    await site.ledger.give_up(letter(pack_id=plan.pack_id))
    site.now += 60
    await site.ledger.sweep(site.moment)
    await site.told()


def stored(plans: Iterable[PackPlanned], name: str, entries: int) -> list[int]:
    """The entries of a batch that lie in these packs, as often as they do."""
    left_out = [read_numbers(text) for plan in plans for batch, text in plan.contents if batch.batch_id == name]
    return sorted(entry for out in left_out for entry in range(1, entries + 1) if entry not in out)


class Stop:
    """Whoever has done a step of the ledger goes no further until it is lifted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str) -> None:
        self._reached, self._lifted = threading.Event(), threading.Event()
        self._step: Callable[..., Any] = getattr(module, step)
        monkeypatch.setattr(module, step, self._stopping)

    def _stopping(self, *args: Any, **more: Any) -> Any:
        result = self._step(*args, **more)
        self._reached.set()
        self._lifted.wait(20)
        return result

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, 20)

    async def lift_after(self, *beside: asyncio.Task[Any]) -> None:
        """Once these are done, or wait."""
        await asyncio.wait(beside, timeout=1)
        self._lifted.set()


@on_postgres
async def test_copies_of_overlapping_packs_that_two_processes_hear_of_at_once_need_no_retry(site: Site):
    site.text = PLAIN
    plans = [await planned(site, f"owner-{number}", number) for number in range(3)]
    plans.append(await planned(site, "grown", *range(6)))
    other = site.beside(heard=1000)
    other.text = PLAIN
    told = [
        tell(site.key(plan, target), when)
        for when, tell in ((1, written), (2, verified))
        for target in TARGETS
        for plan in plans
    ]
    heard = ((site, other)[number % 2].hear(each) for number, each in enumerate(told))
    assert await asyncio.gather(*heard, return_exceptions=True) == [None] * 24
    assert await archived(site) == {"owner-0", "owner-1", "owner-2", "grown"}
    await other.database.close()


@on_postgres
async def test_the_last_proof_waits_for_who_plans_the_owner_anew(site: Site, monkeypatch: pytest.MonkeyPatch):
    """It must not archive a batch whose owner just lost a copy that the batch wants."""
    site.text = BOTH
    image = await planned(site, "image", 1, modality="CT")
    report = await planned(site, "report", 1, 2, modality="SR")
    assert report.left_out == ("1",)
    for plan in (image, report):
        await site.prove(plan, "onsite", "cloud-a")
    await site.told()
    other = site.beside(heard=1000)
    other.text = ONE
    stop = Stop(monkeypatch, replanning, "_decide_duplicates")
    replan = asyncio.create_task(other.replan(batch_id="image"))
    await stop.reached()
    last = asyncio.create_task(site.prove(report, "cloud-b"))
    await stop.lift_after(last)
    await asyncio.gather(replan, last)
    assert await archived(site) == {"image"}
    (rest,) = await site.plan()
    assert (rest.left_out, [copy.target for copy in rest.copies]) == (("2",), list(TARGETS))
    await site.prove(rest)
    assert await archived(site) == {"report"}
    await other.database.close()


@on_postgres
async def test_what_arrives_while_its_owner_is_planned_anew_gets_all_its_copies(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    site.text = BOTH
    image = await planned(site, "image", 1, modality="CT")
    await site.prove(image, "onsite", "cloud-a")
    await site.told()
    other = site.beside(heard=1000)
    site.text = other.text = ONE
    stop = Stop(monkeypatch, holding, "rely")
    store = asyncio.create_task(site.store("report", instance(1, modality="SR"), instance(2, modality="SR")))
    await stop.reached()
    replan = asyncio.create_task(other.replan(batch_id="image"))
    await stop.lift_after(replan)
    await asyncio.gather(store, replan)
    await site.told()
    (report,) = await site.plan()
    assert report.left_out == ()
    await site.prove(report)
    (told,) = await site.told("batch.archived")
    places = {(copy["pack_id"], copy["target"]) for copy in told.data["copies"]}
    assert (told.data["batch_id"], places) == ("report", {(report.pack_id, target) for target in TARGETS})
    await other.database.close()


async def test_a_grown_resend_heals_what_was_archived_and_is_damaged_everywhere(site: Site):
    site.text = PLAIN
    owner = await planned(site, "owner", 1)
    await site.prove(owner)
    assert await archived(site) == {"owner"}
    site.now += 10
    await site.hear(*(damaged(site.key(owner, target), site.now) for target in TARGETS))
    again = await planned(site, "again", 1, 2)
    assert again.left_out == ()
    await site.prove(again)
    assert await archived(site) == {"again"}


async def test_a_resend_right_after_a_refusal_is_stored_whole_at_once(site: Site):
    site.text = PLAIN
    owner = await planned(site, "owner", 1, 2)
    await site.ledger.give_up(letter(pack_id=owner.pack_id))
    again = await planned(site, "again", 1, 2, 3)
    assert again.left_out == ()
    await site.prove(again)
    assert await archived(site) == {"again"}


async def test_a_copy_that_all_owners_gain_has_nothing_packed_again_that_relies_on_them(site: Site):
    site.text = WITHOUT_B
    plans = [await planned(site, f"owner-{number}", number) for number in (1, 2)]
    await site.store("pure", instance(1), instance(2))
    plans.append(await planned(site, "mixed", 1, 2, 3))
    site.text = PLAIN
    assert (await site.replan())["changed"] == 3
    await site.told()
    assert await site.plan() == []
    for plan in plans:
        await site.prove(plan, "onsite", "cloud-a")
    assert await archived(site) == set()
    for plan in plans:
        site.now += 1
        await site.hear(verified(site.key(plan, "cloud-b"), site.now))
    assert await archived(site) == {"owner-1", "owner-2", "pure", "mixed"}


async def test_what_two_batches_left_out_of_a_refused_pack_is_packed_once(site: Site):
    site.text = PLAIN
    owner = await planned(site, "owner", 1, 2)
    site.now = 55
    await site.store("pure", instance(1), instance(2))
    mixed = await planned(site, "mixed", 1, 2, 3)
    await refused(site, owner)
    (rescue,) = await site.plan()
    assert [(batch.batch_id, left_out) for batch, left_out in rescue.contents] == [("pure", "")]
    await site.prove(mixed)
    assert await archived(site) == set()
    await site.prove(rescue)
    assert await archived(site) == {"pure", "mixed"}


async def test_after_another_policy_the_first_resend_is_stored_and_the_second_is_not(site: Site):
    site.text = WITHOUT_B
    await site.prove(await planned(site, "owner", 1, 2))
    site.text = PLAIN
    first = await planned(site, "first", 1, 2)
    assert first.left_out == ()
    await site.store("second", instance(1), instance(2))
    assert await site.plan() == []
    await site.prove(first)
    assert await archived(site) == {"first", "second"}


@pytest.mark.parametrize("closed", [True, False])
async def test_what_a_batch_repeats_is_stored_once_though_another_part_of_it_is_packed_later(site: Site, closed: bool):
    site.text = PLAIN
    owner = await planned(site, "owner", 1)
    site.now = 59
    await site.store("batch", instance(1), instance(2), instance(2))
    first = await site.plan() if closed else []
    await refused(site, owner)
    plans = [*first, *await site.plan()]
    assert len(plans) == 1 + closed
    assert stored(plans, "batch", 3) == [1, 2]
    for plan in plans:
        await site.prove(plan)
    assert await archived(site) == {"batch"}


async def test_damage_to_either_pack_of_an_archived_batch_is_on_record_as_such(site: Site):
    site.text = PLAIN
    owner = await planned(site, "owner", 1)
    site.now = 59
    first = await planned(site, "batch", 1, 2)
    await refused(site, owner)
    (second,) = await site.plan()
    for plan in (first, second):
        await site.prove(plan)
    assert await archived(site) == {"batch"}
    for plan in (first, second):
        await site.hear(damaged(site.key(plan, "cloud-a"), site.now + 1))
    facts = Counter(
        (pack["pack_id"], each["after_archived"])
        for pack in await site.ledger.packs_of(Selection(batch_id="batch"))
        for each in pack["history"]
        if each["fact"] == "damaged"
    )
    assert facts == {(first.pack_id, True): 1, (second.pack_id, True): 1}


@pytest.fixture
def statements(site: Site) -> list[str]:
    """What the ledger says to its database."""
    said: list[str] = []
    event.listen(site.database._writer, "before_cursor_execute", lambda *args: said.append(args[2]))
    return said


async def owned(site: Site) -> None:
    """Fifty batches in each of four packs."""
    site.text = ROOMY
    for number in range(200):
        await site.store(f"owner-{number}", instance(number))
        if number % 50 == 49:
            assert len(await site.plan()) == 1


@on_sqlite
async def test_a_copy_of_a_pack_of_many_mixed_batches_takes_few_statements(site: Site, statements: list[str]):
    await owned(site)
    for number in range(50):
        await site.store(f"mixed-{number}", instance(4 * number), instance(1000 + number))
    (plan,) = await site.plan()
    assert (len(plan.batches), set(plan.left_out)) == (50, {"1"})
    statements.clear()
    await site.hear(written(site.key(plan, "onsite"), site.now))
    assert 0 < len(statements) < 60


@on_sqlite
async def test_a_batch_that_many_others_own_takes_few_statements(site: Site, statements: list[str]):
    await owned(site)
    statements.clear()
    await site.store("all", *(instance(number) for number in range(201)))
    assert 0 < len(statements) < 120
    (plan,) = await site.plan()
    assert plan.left_out == ("1-200",)


@pytest.fixture(params=["sqlite", "postgres"])
async def older(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A database of the version before packs left anything out."""
    sqlite = f"sqlite:///{tmp_path / 'older.sqlite3'}"
    database = Database(sqlite if request.param == "sqlite" else request.getfixturevalue("postgres"))
    upgrade = ScriptDirectory._upgrade_revs
    with monkeypatch.context() as patch:
        patch.setattr(ScriptDirectory, "_upgrade_revs", lambda script, _, applied: upgrade(script, "0003", applied))
        await database.migrate("services.tier_routing.migrations")
    yield database
    await database.close()


def _of_revision_0003(connection: Connection) -> None:
    """A batch, a duplicate of it without a pack, and one that brought the same and was packed again."""
    batch = "INSERT INTO batches (number, batch_id, study_ref, batch, arrival, commit_after, stored, pack) "
    rows = [(1, "owner", 7), (2, "duplicate", None), (3, "packed", 8)]
    for number, name, pack in rows:
        values = {"number": number, "name": name, "pack": pack}
        connection.execute(text(f"{batch} VALUES (:number, :name, 'study', '{{}}', '{{}}', '[]', 0, :pack)"), values)
    connection.execute(text("INSERT INTO owners (duplicate, owner) VALUES (2, 1)"))
    for each in (b"1" * 16, b"2" * 16):
        claim = text("INSERT INTO claims (identity, name, batch) VALUES (:identity, :identity, 1)")
        connection.execute(claim, {"identity": each})
        for number in (2, 3):
            again = text("INSERT INTO brought (identity, batch) VALUES (:identity, :batch)")
            connection.execute(again, {"identity": each, "batch": number})


async def test_what_an_older_version_packed_lies_whole_where_it_did(older: Database):
    await older.run(_of_revision_0003)
    await older.migrate("services.tier_routing.migrations")

    def members(connection: Connection) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(select(tables.members).order_by(tables.members.c.batch))]

    def again(connection: Connection) -> Counter[tuple[Any, ...]]:
        columns = (brought.c.batch, brought.c.entry, brought.c.stored)
        return Counter(tuple(row) for row in connection.execute(select(*columns)))

    assert await older.read(members) == [(1, 7, ""), (3, 8, "")]
    assert await older.read(again) == {(2, None, False): 2, (3, None, True): 2}
    assert await older.read(lambda connection: holding.places(connection, [1, 2, 3])) == {
        1: holding.Places((7,), ()),
        2: holding.Places((), (7,)),
        3: holding.Places((8,), ()),
    }


async def told_of(site: Site, name: str) -> list[str]:
    told = await site.told("batch.secured", "batch.archived")
    return [each.fact for each in told if each.data["batch_id"] == name]


async def kept_by_another(site: Site, owner: PackPlanned) -> PackPlanned:
    """The policy moves to another cloud, the owner is refused, and a resend keeps what it brought."""
    site.text = WITHOUT_A
    await site.ledger.give_up(letter(pack_id=owner.pack_id))
    again = await planned(site, "again", 1)
    site.now += 60
    await site.ledger.sweep(site.moment)
    await site.told()
    return again


async def test_a_duplicate_that_comes_to_rely_on_another_batch_is_secured_with_it(site: Site):
    site.text = WITHOUT_B
    owner = await planned(site, "owner", 1)
    await site.store("duplicate", instance(1))
    again = await kept_by_another(site, owner)
    await site.prove(again)
    assert await told_of(site, "duplicate") == ["batch.secured", "batch.archived"]


async def test_a_mixed_batch_that_comes_to_rely_on_another_batch_is_secured_with_it(site: Site):
    site.text = WITHOUT_B
    owner = await planned(site, "owner", 1)
    mixed = await planned(site, "mixed", 1, 2)
    again = await kept_by_another(site, owner)
    await site.prove(mixed)
    await site.prove(again)
    assert await told_of(site, "mixed") == ["batch.secured", "batch.archived"]


async def test_a_mixed_batch_whose_owner_alone_is_planned_anew_is_secured(site: Site):
    site.text = WITHOUT_B
    owner = await planned(site, "owner", 1)
    mixed = await planned(site, "mixed", 1, 2)
    site.text = WITHOUT_A
    await site.replan(batch_id="owner")
    await site.told()
    await site.prove(mixed)
    for target in ("onsite", "cloud-b"):
        site.now += 1
        await site.hear(verified(site.key(owner, target, 1), site.now))
    assert await told_of(site, "mixed") == ["batch.secured", "batch.archived"]
