"""What never finishes is found, told and started again, without harm to what is well."""

import pytest

from contracts.events import AssociationEnded
from services.tier_routing.domain.given_up import GivenUp
from tests.integration.tier_routing.conftest import Site
from tests.unit.tier_routing.makers import NOON, damaged, failed, instance, written


async def planned(site: Site):
    await site.store("a", instance(1))
    return (await site.plan())[0]


async def sweep(site: Site, seconds: float) -> list:
    """Time passes, the sweep looks; what it tells."""
    site.now += seconds
    await site.ledger.sweep(site.moment)
    return await site.told()


def letter(pack_id: str | None = None, batch_id: str | None = None, service: str = "encryption") -> GivenUp:
    return GivenUp(7, service, "imaging.pack.planned.v1", "Unprocessable", "input-digest", batch_id, pack_id, NOON)


async def test_a_lost_event_is_found_and_the_work_started_again_under_another_id(site: Site):
    await site.store("a", instance(1))
    site.now += 10
    await site.ledger.close_due(site.moment)
    (first,) = await site.told("pack.planned")
    again, overdue = await sweep(site, 60)
    assert (again.fact, again.data["run"], again.id != first.id) == ("pack.planned", 1, True)
    same = ("pack_id", "plan_id", "batches")
    assert [again.data[name] for name in same] == [first.data[name] for name in same]
    assert len(again.data["copies"]) == len(first.data["copies"])
    assert (overdue.fact, overdue.data["run"]) == ("batch.overdue", 1)
    assert {"step": "pack.sealed", "target": None} in overdue.data["waiting_for"]


async def test_only_what_is_due_is_started_again(site: Site):
    plan = await planned(site)
    await site.prove(plan, "onsite", "cloud-b")
    await site.told()
    again, overdue = await sweep(site, 120)
    assert [(copy["form"], copy["target"]) for copy in again.data["copies"]] == [
        ("identified", "cloud-a"),
        ("deidentified", "cloud-b"),
    ]
    assert {each["step"] for each in overdue.data["waiting_for"]} == {"copy.written", "pack.deidentified"}


async def test_the_work_is_started_again_ever_more_rarely(site: Site):
    await planned(site)
    runs = []
    for _ in range(60):
        runs += [told.data["run"] for told in await sweep(site, 60) if told.fact == "pack.planned"]
    assert runs == list(range(1, 10))  # after 1, 2, 4, 8, 16, 26, 36, 46, 56 minutes


async def test_a_target_that_is_merely_away_is_listed_but_not_started_again(site: Site):
    plan = await planned(site)
    await site.hear(failed(site.key(plan, "cloud-a"), retrying=True))
    await site.prove(plan, "onsite", "cloud-b")
    await site.told()
    again, _ = await sweep(site, 120)
    assert [copy["form"] for copy in again.data["copies"]] == ["deidentified"]
    listed = (await site.overdue())[0]
    assert listed["unreachable"] == ["cloud-a"]


async def test_a_target_that_refuses_shows_up_with_the_batch_it_keeps_waiting(site: Site):
    plan = await planned(site)
    await site.prove(plan, "onsite", "cloud-b")
    await site.hear(failed(site.key(plan, "cloud-a")))
    site.now += 120
    (listed,) = await site.overdue()
    assert {"step": "copy.written", "target": "cloud-a"} in listed["waiting_for"]
    assert (listed["batch_id"], listed["study_uid"], listed["failures"]) == (
        "a",
        "1.2",
        {"cloud-a": "target-refused"},
    )


async def test_a_copy_that_nobody_writes_again_shows_up_with_the_reason(site: Site):
    """It was written, is damaged, and another one would be no better."""
    plan = await planned(site)
    await site.prove(plan, "onsite", "cloud-b", generation=1)
    key = site.key(plan, "cloud-a", 1)
    await site.hear(written(key, site.now), damaged(key, site.now + 1))
    site.now += 2
    await site.hear(failed(key, reason="pack-damaged"))
    site.now += 120
    (listed,) = await site.overdue()
    assert listed["failures"] == {"cloud-a": "pack-damaged"}
    assert {"step": "copy.written", "target": "cloud-a"} in listed["waiting_for"]


async def test_nothing_is_listed_while_it_is_in_time(site: Site):
    await planned(site)
    assert await site.overdue() == []


async def test_a_duplicate_is_listed_with_the_batch_it_waits_for(site: Site):
    await planned(site)
    await site.store("again", instance(1))
    site.now += 120
    assert [each["batch_id"] for each in await site.overdue()] == ["a", "again"]


async def test_a_batch_in_a_pack_that_nobody_closes_is_listed(site: Site):
    await site.store("a")
    site.now += 61
    (listed,) = await site.overdue()
    assert listed["waiting_for"] == [{"step": "pack.planned", "target": None}]


def ended(site: Site, *studies: str, **more) -> AssociationEnded:
    return AssociationEnded(
        association_id="x",
        how="released",
        stored=1,
        refused=0,
        batches=("a", "lost"),
        study_refs=studies,
        started=site.moment,
        ended=site.moment,
        **more,
    )


async def test_a_batch_that_an_association_named_and_that_never_came_is_told_once(site: Site):
    await site.hear(ended(site, "study"))
    told = await sweep(site, 60)
    overdue = [(each.data["batch_id"], each.data["waiting_for"][0]["step"]) for each in told]
    assert ("lost", "batch.stored") in overdue
    assert "lost" in [each["batch_id"] for each in await site.overdue()]
    assert "lost" not in [each.data.get("batch_id") for each in await sweep(site, 60)]


async def test_a_lost_batch_of_an_association_of_several_studies_is_told_with_its_own(site: Site):
    await site.hear(ended(site, "one", "two", batch_study_refs=("one", "two")))
    told = await sweep(site, 60)
    overdue = {each.data["batch_id"]: each.data["study_ref"] for each in told}
    assert overdue == {"a": "one", "lost": "two"}


async def test_a_dead_letter_is_shown_with_its_batch(site: Site):
    plan = await planned(site)
    await site.ledger.give_up(letter(pack_id=plan.pack_id))
    site.now += 60
    (listed,) = await site.overdue()
    assert [each["reason"] for each in listed["dead_letters"]] == ["input-digest"]


async def test_a_batch_that_became_a_dead_letter_before_it_was_taken_in_is_listed(site: Site):
    await site.ledger.give_up(letter(batch_id="poison", service="tier_routing"))
    assert [each["batch_id"] for each in await site.overdue()] == ["poison"]


async def test_a_duplicate_of_what_sealing_refuses_is_packed_on_its_own(site: Site):
    plan = await planned(site)
    await site.store("again", instance(1))
    await site.ledger.give_up(letter(pack_id=plan.pack_id))
    await sweep(site, 60)
    (rescue,) = await site.plan()
    assert [each.batch_id for each in rescue.batches] == ["again"]
    await site.prove(rescue, "onsite", "cloud-a")
    assert [told.data["batch_id"] for told in await site.told("batch.secured")] == ["again"]


@pytest.mark.parametrize("closed", [True, False])
async def test_what_was_left_out_because_of_what_sealing_refuses_is_packed_after_all(site: Site, closed: bool):
    """The rest of a batch goes into a pack of its own, or into the one of its first part while that is open."""
    refused = await planned(site)
    site.now = 59
    await site.store("mixed", instance(1), instance(2), instance(3))
    first = await site.plan() if closed else []
    await site.ledger.give_up(letter(pack_id=refused.pack_id))
    await sweep(site, 1)
    (rescue,) = await site.plan()
    assert rescue.left_out == (("2-3",) if closed else ())
    for plan in (*first, rescue):
        assert "mixed" not in {told.data["batch_id"] for told in await site.told("batch.secured")}
        await site.prove(plan, "onsite", "cloud-a")
    assert [told.data["batch_id"] for told in await site.told("batch.secured")] == ["mixed"]


async def test_a_copy_damaged_after_all_was_proven_is_overdue_when_nobody_repairs_it(site: Site):
    site.text = site.text.replace("    - {form: deidentified, target: cloud-b, tier: hot, project: research}\n", "")
    plan = await planned(site)
    await site.prove(plan)
    await site.told()
    assert await sweep(site, 1e6) == []
    await site.hear(damaged(site.key(plan, "cloud-a"), site.now))
    assert await sweep(site, 119) == []
    again, _ = await sweep(site, 1)
    assert [copy["target"] for copy in again.data["copies"]] == ["cloud-a"]


async def test_a_target_that_takes_copies_again_is_no_longer_held_to_be_away(site: Site):
    plan = await planned(site)
    await site.hear(failed(site.key(plan, "cloud-a"), retrying=True))
    await site.prove(plan, "onsite", "cloud-b")
    await site.store("b", instance(2))
    other = (await site.plan())[0]
    await site.hear(written(site.key(other, "cloud-a"), site.now))
    told = [each for each in await sweep(site, 120) if each.fact == "pack.planned"]
    restarted = {each.data["pack_id"]: [copy["target"] for copy in each.data["copies"]] for each in told}
    assert "cloud-a" in restarted[plan.pack_id]


async def test_one_failure_tells_that_a_target_is_away_for_every_pack(site: Site):
    plan = await planned(site)
    await site.store("b", instance(2))
    other = (await site.plan())[0]
    for each in (plan, other):
        await site.prove(each, "onsite", "cloud-b")
    await site.hear(failed(site.key(plan, "cloud-a"), retrying=True))
    told = [each for each in await sweep(site, 200) if each.fact == "pack.planned"]
    assert {copy["target"] for each in told for copy in each.data["copies"]} == {"cloud-b"}
