"""A de-identified pack that is called back, on each of the databases."""

from itertools import permutations

import pytest

from contracts.events import PackRecalled
from tests.integration.tier_routing.conftest import Site
from tests.integration.tier_routing.test_proofs import DEIDENTIFIED, clean, planned, quarantined
from tests.unit.tier_routing.makers import at, key, verified, written


def recalled(plan) -> PackRecalled:
    """The pack ``clean`` of a plan is called back."""
    return PackRecalled(
        recall_id="recall", pack_id="clean", source_pack_id=plan.pack_id, project="research",
        study_ref=plan.study_ref, profile="weak", profile_version="1", release=0, key_domains=("research",),
        recalled=at(60),
    )  # fmt: skip


def successor(plan):
    """What takes its place."""
    return clean(plan).model_copy(update={"pack_id": "cleaner", "release": 1})


SUCCESSOR = key("cloud-b", pack="cleaner", form="deidentified", sealed_id="sealed-cleaner")


async def archived(site: Site):
    """A plan of which everything is proven."""
    plan = await planned(site)
    await site.prove(plan)
    await site.hear(clean(plan), verified(DEIDENTIFIED))
    await site.told()
    return plan


async def test_its_copies_go_and_its_plan_starts_anew(site: Site):
    """Only the de-identified copies; the batch is archived again when the successor is proven, under another plan."""
    plan = await archived(site)
    await site.hear(recalled(plan))
    (gone,) = await site.told("copy.expired")
    assert (gone.data["recall_id"], gone.data["copy_key"]["pack_id"]) == ("recall", "clean")


async def test_the_plan_that_starts_anew_asks_for_its_deidentified_copies_alone(site: Site):
    plan = await archived(site)
    await site.hear(recalled(plan))
    (again,) = await site.told("pack.planned")
    assert {one["form"] for one in again.data["copies"]} == {"deidentified"}
    assert again.data["run"] == 1 and again.data["plan_id"] != plan.plan_id
    await site.hear(successor(plan), verified(SUCCESSOR, 90))
    (told,) = await site.told("batch.archived")
    assert told.data["pack_ids"] == [plan.pack_id, "cleaner"]


async def test_a_recall_that_is_heard_twice_changes_nothing(site: Site):
    plan = await archived(site)
    await site.hear(recalled(plan))
    await site.told()
    await site.hear(recalled(plan))
    assert await site.told() == []


async def test_a_copy_that_is_written_later_goes_as_well(site: Site):
    """Whatever was on its way when the pack was called back, and a repair."""
    plan = await archived(site)
    await site.hear(recalled(plan))
    await site.told()
    late = key("cloud-b", 2, pack="clean", form="deidentified")
    await site.hear(written(late, 70), verified(late, 71))
    assert [one.data["copy_key"]["generation"] for one in await site.told("copy.expired")] == [2]


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_in_whatever_order_it_is_heard_of_only_the_successor_stays(site: Site, order: tuple[int, ...]):
    """The pack, its proof and its recall, and the successor with its proof."""
    plan = await planned(site)
    await site.prove(plan)
    events = [(clean(plan),), (verified(DEIDENTIFIED),), (recalled(plan),), (successor(plan), verified(SUCCESSOR, 90))]
    for place in order:
        site.now += 1
        await site.hear(*events[place])
    told = await site.told()
    assert {one.data["copy_key"]["pack_id"] for one in told if one.fact == "copy.expired"} == {"clean"}
    last = [one for one in told if one.fact == "batch.archived"][-1]
    assert last.data["pack_ids"] == [plan.pack_id, "cleaner"]


async def released_later(site: Site):
    """A plan of which all was withheld, and one instance released by a person afterwards; everything is proven."""
    plan = await planned(site)
    await site.prove(plan)
    await site.hear(quarantined(plan, released=0))
    site.now += 1
    await site.hear(clean(plan).model_copy(update={"part": 1}), verified(DEIDENTIFIED))
    site.now += 1
    await site.told()
    return plan


async def test_a_plan_of_which_only_a_part_was_out_starts_anew(site: Site):
    """What was withheld before the recall is looked at anew, so that somebody can decide of it again."""
    plan = await released_later(site)
    await site.hear(recalled(plan))
    (again,) = await site.told("pack.planned")
    assert {one["form"] for one in again.data["copies"]} == {"deidentified"}
    site.now += 1
    await site.hear(quarantined(plan, released=0))
    (told,) = await site.told("batch.archived")
    assert (told.data["pack_ids"], told.data["withheld"]) == ([plan.pack_id], 1)


async def test_what_goes_out_whole_after_a_recall_is_not_withheld_any_more(site: Site):
    plan = await released_later(site)
    await site.hear(recalled(plan), successor(plan), verified(SUCCESSOR, 90))
    (told,) = await site.told("batch.archived")
    assert (told.data["pack_ids"], told.data["withheld"]) == ([plan.pack_id, "cleaner"], 0)
