"""Several processes on one ledger, and events in any order: every fact is told once, and none is missing."""

import asyncio
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events import InstancesQuarantined, Withheld
from shared.sql.database import Database
from tests.integration.tier_routing.conftest import Site
from tests.unit.tier_routing.makers import damaged, failed, instance, verified, written

TARGETS = ("onsite", "cloud-a", "cloud-b")
EVENTS = 11


def withheld(plan) -> InstancesQuarantined:
    held = Withheld(sop_instance_uid="1.2.3.1", dataset_sha256="0" * 64, reason="burned-in-text")
    return InstancesQuarantined(
        pack_id=plan.pack_id, project="research", study_ref=plan.study_ref, withheld=(held,), released=0
    )


def life(site: Site, plan) -> list:
    """Everything that happens to a pack whose on-site copy is damaged once and whose one cloud is away for a while."""
    keys = {target: site.key(plan, target) for target in TARGETS}
    return [
        *(written(each, 1) for each in keys.values()),
        *(verified(each, 2) for each in keys.values()),
        failed(keys["cloud-a"], retrying=True),
        damaged(keys["onsite"], 5),
        written(site.key(plan, "onsite", 1), 6),
        verified(site.key(plan, "onsite", 1), 7),
        withheld(plan),
    ]


async def planned(site: Site, number: int):
    await site.store(f"batch-{number}", instance(number))
    (plan,) = await site.plan()
    return plan


async def test_events_in_any_order_with_repeats_tell_each_fact_once(sqlite_ledger: str):
    database = Database(sqlite_ledger)
    site, loop, number = Site(database, sqlite_ledger), asyncio.get_running_loop(), iter(range(1, 10_000))

    async def example(order: list[int]) -> None:
        plan = await planned(site, next(number))
        events = life(site, plan)
        assert set(range(len(events))) == set(order)
        await site.hear(*(events[each] for each in order))
        told = Counter(each.fact for each in await site.told())
        assert told == {"batch.secured": 1, "batch.archived": 1, "copy.expired": 1}

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.permutations(range(EVENTS)), st.lists(st.integers(0, EVENTS - 1), max_size=6))
    def examples(order: list[int], again: list[int]) -> None:
        asyncio.run_coroutine_threadsafe(example([*order, *again]), loop).result(60)

    await asyncio.to_thread(examples)
    await database.close()


async def test_of_many_who_bring_the_same_instances_at_once_one_owns_them(site: Site):
    other = site.beside()
    brought = [instance(number) for number in range(20)]
    names = [f"batch-{number}" for number in range(8)]
    await asyncio.gather(*((site, other)[n % 2].store(name, *brought) for n, name in enumerate(names)))
    (plan,) = await site.plan()
    assert len(plan.batches) == 1
    await site.prove(plan, "onsite", "cloud-a")
    assert sorted(told.data["batch_id"] for told in await site.told("batch.secured")) == names
    await other.database.close()


async def test_proofs_that_come_at_once_to_two_processes_archive_once(site: Site):
    other = site.beside(heard=1000)
    for number in range(3):
        plan = await planned(site, number)
        events = life(site, plan)
        await asyncio.gather(*((site, other)[n % 2].hear(event) for n, event in enumerate(events)))
        told = Counter(each.fact for each in await site.told())
        assert told == {"batch.secured": 1, "batch.archived": 1, "copy.expired": 1}
    await other.database.close()


async def test_two_processes_that_sweep_at_once_start_a_pack_again_once(site: Site):
    other = site.beside()
    await planned(site, 1)
    site.now += 60
    await asyncio.gather(site.ledger.sweep(site.moment), other.ledger.sweep(site.moment))
    assert [told.data["run"] for told in await site.told("pack.planned")] == [1]
    await other.database.close()
