"""Batches become packs with one decision each; what came before is recognized."""

import pytest

from contracts.events import OrderCancelled, OrderPlaced
from services.tier_routing.ports import Selection
from tests.integration.tier_routing.conftest import SITE_KEY, Site
from tests.unit.tier_routing.makers import instance


async def test_the_batches_of_a_quiet_study_become_one_pack(site: Site):
    await site.store("a")
    await site.store("b")
    (plan,) = await site.plan()
    assert [each.batch_id for each in plan.batches] == ["a", "b"]
    assert [(copy.form, copy.target) for copy in plan.copies][-1] == ("deidentified", "cloud-b")
    assert (plan.commit_after, plan.run) == (("onsite", "cloud-a|cloud-b"), 0)


async def test_a_pack_goes_on_in_the_trace_of_its_first_batch_and_links_the_others(site: Site):
    await site.store("a")
    await site.store("b")
    site.now += 10
    await site.ledger.close_due(site.moment)
    (told,) = await site.told("pack.planned")
    assert (told.traceparent, told.links) == ("trace-a", ["trace-b"])


async def test_nothing_is_planned_while_the_study_is_not_quiet(site: Site):
    for number in range(5):
        await site.store(f"batch-{number}")
        site.now += 9
        assert await site.ledger.close_due(site.moment) == 0


async def test_the_recovery_point_closes_a_pack_that_is_never_quiet(site: Site):
    for number in range(8):
        await site.store(f"batch-{number}")
        site.now += 9
        await site.ledger.close_due(site.moment)
    plans = await site.told("pack.planned")
    assert len(plans) == 1


async def test_five_hundred_instances_seconds_apart_end_in_few_packs(site: Site):
    site.text = site.text.replace(
        "size: 1KiB, quiet: 10s, recovery_point: 1m", "size: 64MiB, quiet: 10s, recovery_point: 5m"
    )
    for number in range(500):
        await site.store(f"batch-{number}", instance(number))
        site.now += 2
        if number % 10 == 0:
            await site.ledger.close_due(site.moment)
    plans = [told.data for told in await site.told("pack.planned")] + [plan.model_dump() for plan in await site.plan()]
    assert len(plans) <= 4
    assert sum(len(plan["batches"]) for plan in plans) == 500


async def test_a_full_pack_is_planned_at_once(site: Site):
    for number in range(3):
        await site.store(f"batch-{number}", size=400)
    (told,) = await site.told("pack.planned")
    assert [each["batch_id"] for each in told.data["batches"]] == ["batch-0", "batch-1"]


async def test_studies_and_decisions_do_not_share_a_pack(site: Site):
    await site.store("a", instance(1, modality="CT"))
    await site.store("b", instance(2, modality="SR"))
    await site.store("c", instance(3, study_uid="1.3"), study="1.3")
    await site.store("d", instance(4, study_uid=None), study=None)
    plans = await site.plan()
    assert len(plans) == 4
    assert {plan.study_uid for plan in plans} == {"1.2", "1.3", None}


async def test_a_batch_that_comes_again_changes_nothing(site: Site):
    assert await site.store("a")
    assert not await site.store("a")
    (plan,) = await site.plan()
    assert not await site.store("a")
    assert await site.plan() == []
    assert len(plan.batches) == 1


async def test_two_processes_close_a_pack_once(site: Site):
    await site.store("a")
    site.now += 10
    other = site.beside()
    closed = [await ledger.close_due(site.moment) for ledger in (site.ledger, other.ledger)]
    assert closed == [1, 0]


@pytest.mark.parametrize("by", ["accession", "study"])
async def test_an_urgent_order_decides_by_accession_or_by_study(site: Site, by: str):
    known = {"accession_token": "token"} if by == "accession" else {"study_uid": "1.2"}
    await site.hear(OrderPlaced(order_ref="order", patient_ref="patient", priority="STAT", **known))
    await site.store("a", instance(1, accession_token="token"))
    (plan,) = await site.plan()
    assert [copy.target for copy in plan.copies] == ["onsite"]


async def test_a_cancelled_order_decides_nothing(site: Site):
    about = {"order_ref": "order", "patient_ref": "patient", "study_uid": "1.2", "priority": "STAT"}
    await site.hear(OrderPlaced(**about))
    site.now += 1
    await site.hear(OrderCancelled(**about))
    await site.store("a")
    assert len((await site.plan())[0].copies) == 4


async def test_a_duplicate_is_dropped_and_shares_its_owners_fate(site: Site):
    await site.store("a", instance(1), instance(2))
    (plan,) = await site.plan()
    await site.store("again", instance(2), instance(1))
    assert await site.plan() == []
    await site.prove(plan, "onsite")
    assert await site.told("batch.secured") == []
    await site.prove(plan, "cloud-b")
    assert {told.data["batch_id"] for told in await site.told("batch.secured")} == {"a", "again"}


async def test_a_duplicate_of_what_is_proven_already_is_secured_at_once(site: Site):
    await site.store("a", instance(1))
    (plan,) = await site.plan()
    await site.prove(plan)
    await site.told()
    await site.store("again", instance(1))
    (told,) = await site.told()
    assert (told.fact, told.data["batch_id"]) == ("batch.secured", "again")


async def test_a_duplicate_of_batches_in_several_packs_waits_for_all_of_them(site: Site):
    await site.store("a", instance(1))
    (first,) = await site.plan()
    await site.store("b", instance(2))
    (second,) = await site.plan()
    await site.store("both", instance(1), instance(2))
    await site.prove(first)
    assert "both" not in {told.data["batch_id"] for told in await site.told("batch.secured")}
    await site.prove(second)
    assert "both" in {told.data["batch_id"] for told in await site.told("batch.secured")}


async def test_a_duplicate_whose_own_copies_its_owner_does_not_get_is_stored(site: Site):
    await site.store("report", instance(1, modality="SR"))
    await site.plan()
    await site.store("image", instance(1, modality="CT"))
    (plan,) = await site.plan()
    assert [each.batch_id for each in plan.batches] == ["image"]


async def test_a_duplicate_whose_copies_are_among_its_owners_is_dropped(site: Site):
    await site.store("image", instance(1, modality="CT"))
    await site.plan()
    await site.store("report", instance(1, modality="SR"))
    assert await site.plan() == []


async def test_of_a_mixed_batch_only_what_is_new_is_stored(site: Site):
    await site.store("a", instance(1))
    await site.plan()
    await site.store("mixed", instance(1), instance(2), instance(3))
    (plan,) = await site.plan()
    assert [(each.batch_id, left_out) for each, left_out in plan.contents] == [("mixed", "1")]
    (pack,) = [p for p in await site.ledger.packs_of(Selection(batch_id="mixed")) if p["pack_id"] == plan.pack_id]
    assert pack["instances"] == 2
    (shown,) = pack["batches"]
    assert (shown["duplicate"], shown["left_out"]) == (False, "1")


async def test_a_mixed_batch_that_joins_the_pack_of_the_first_brings_only_what_is_new(site: Site):
    await site.store("a", instance(1), instance(2))
    await site.store("mixed", instance(2), instance(3))
    (plan,) = await site.plan()
    assert plan.left_out == ("", "1")
    await site.prove(plan)
    assert {told.data["batch_id"] for told in await site.told("batch.secured")} == {"a", "mixed"}


async def test_what_one_batch_brings_twice_is_stored_once(site: Site):
    await site.store("a", instance(1), instance(1), instance(2))
    (plan,) = await site.plan()
    assert plan.left_out == ("2",)
    await site.prove(plan, "onsite", "cloud-a")
    assert [told.data["batch_id"] for told in await site.told("batch.secured")] == ["a"]


@pytest.mark.parametrize("own_first", [True, False])
async def test_a_mixed_batch_waits_for_its_own_pack_and_for_those_that_hold_the_rest(site: Site, own_first: bool):
    await site.store("a", instance(1))
    (first,) = await site.plan()
    await site.store("b", instance(2))
    (second,) = await site.plan()
    await site.store("mixed", instance(1), instance(2), instance(3))
    (own,) = await site.plan()
    order = [own, first, second] if own_first else [first, second, own]
    for plan in order:
        assert "mixed" not in {told.data["batch_id"] for told in await site.told("batch.secured")}
        await site.prove(plan)
    (told,) = [each for each in await site.told("batch.secured") if each.data["batch_id"] == "mixed"]
    assert {copy["pack_id"] for copy in told.data["copies"]} == {first.pack_id, second.pack_id, own.pack_id}


async def test_a_mixed_batch_is_archived_with_the_last_of_its_packs_and_names_all_of_them(site: Site):
    site.text = site.text.replace("    - {form: deidentified, target: cloud-b, tier: hot, project: research}\n", "")
    await site.store("a", instance(1))
    (first,) = await site.plan()
    await site.store("mixed", instance(1), instance(2))
    (own,) = await site.plan()
    await site.prove(own)
    assert await site.told("batch.archived") == []
    await site.prove(first)
    told = {each.data["batch_id"]: each.data for each in await site.told("batch.archived")}
    assert set(told["mixed"]["pack_ids"]) == {first.pack_id, own.pack_id}
    assert len(told["mixed"]["copies"]) == 6


async def test_what_an_owner_gets_fewer_copies_of_is_stored_again_and_the_rest_is_not(site: Site):
    await site.store("report", instance(1, modality="SR"))
    await site.plan()
    await site.store("image", instance(2))
    await site.plan()
    await site.store("mixed", instance(1), instance(2), instance(3))
    (plan,) = await site.plan()
    assert plan.left_out == ("2",)


async def test_a_version_is_stored_like_any_other_and_told_once(site: Site):
    await site.store("a", instance(1))
    await site.store("version", instance(1, content=9))
    await site.store("again", instance(1, content=9))
    (conflict,) = await site.told("instance.conflicted")
    assert conflict.data["kind"] == "instance_version"
    assert (conflict.data["batch_id"], conflict.data["other"]) == ("version", "a")
    assert [len(plan.batches) for plan in await site.plan()] == [2]


async def test_a_study_under_another_patient_is_told_and_stored(site: Site):
    await site.store("a", instance(1, patient_token="one"))
    await site.store("b", instance(2, patient_token="other"))
    await site.store("c", instance(3, patient_token="one"))
    (conflict,) = await site.told("instance.conflicted")
    assert (conflict.data["kind"], conflict.data["batch_id"]) == ("study_patient", "b")


async def test_a_series_under_another_study_is_told(site: Site):
    await site.store("a", instance(1))
    await site.store("b", instance(2, study_uid="1.3"), study="1.3")
    (conflict,) = await site.told("instance.conflicted")
    assert (conflict.data["kind"], conflict.data["batch_id"]) == ("series_study", "b")
    assert conflict.data["other"] == SITE_KEY.study_ref("1.2")


async def test_a_batch_that_would_give_a_pack_too_many_instances_opens_the_next(site: Site):
    site.text = site.text.replace("pack: {size: 1KiB,", "pack: {size: 1KiB, instances: 3,")
    for number in range(0, 8, 2):
        await site.store(f"batch-{number}", instance(number), instance(number + 1), size=1)
    assert [[batch.batch_id for batch in plan.batches] for plan in await site.plan()] == [
        [f"batch-{number}"] for number in range(0, 8, 2)
    ]
