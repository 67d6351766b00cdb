"""A new policy changes what is here only when the operator says so."""

from services.tier_routing.ports import Selection
from tests.integration.tier_routing.conftest import Site, Told
from tests.unit.tier_routing.makers import POLICY, instance, verified

DEIDENTIFIED = "    - {form: deidentified, target: cloud-b, tier: hot, project: research}\n"
PLAIN = POLICY.replace(DEIDENTIFIED, "")
CLOUD_A = "    - {form: identified, target: cloud-a, tier: hot}\n"
CLOUD_B = "    - {form: identified, target: cloud-b, tier: hot}\n"
COLD_B, ICE_B = (CLOUD_B.replace("hot", tier) for tier in ("cold", "ice"))
REPORTS = "      - {form: identified, target: cloud-a, tier: hot}\n"
WITHOUT_B = PLAIN.replace(CLOUD_B, "")
WITHOUT_A = PLAIN.replace(CLOUD_A + CLOUD_B, CLOUD_B)


async def archived(site: Site, text: str = PLAIN):
    site.text = text
    await site.store("a", instance(1))
    (plan,) = await site.plan()
    await site.prove(plan, generation=1)
    await site.told()
    return plan


async def test_another_policy_alone_changes_nothing(site: Site):
    plan = await archived(site)
    site.text = WITHOUT_A
    await site.hear(verified(site.key(plan, "cloud-a", 1), 99))
    await site.ledger.sweep(site.moment)
    assert await site.told() == []


async def test_a_copy_that_the_new_plan_has_not_is_cancelled_and_goes(site: Site):
    plan = await archived(site)
    site.text = WITHOUT_A
    answer = await site.replan()
    assert (answer["packs"], answer["changed"]) == (1, 1)
    assert answer["changes"][0]["cancelled"] == ("identified/cloud-a/hot/clinical",)
    told = await site.told()
    assert [each.data["reason"] for each in told if each.fact == "copy.expired"] == ["cancelled"]
    (pack,) = await site.ledger.packs_of(Selection(batch_id="a"))
    assert (pack["pack_id"], pack["state"]) == (plan.pack_id, "archived")
    assert pack["plan_id"] != plan.plan_id


async def test_a_plan_that_only_cancels_has_nothing_planned_again(site: Site):
    await archived(site)
    site.text = WITHOUT_A
    await site.replan()
    assert await site.told("pack.planned") == []


async def test_a_plan_that_adds_a_copy_plans_that_one_alone(site: Site):
    plan = await archived(site, WITHOUT_A)
    site.text = PLAIN
    await site.replan()
    (planned,) = await site.told("pack.planned")
    assert [copy["target"] for copy in planned.data["copies"]] == ["cloud-a"]
    assert (planned.data["pack_id"], planned.data["run"]) == (plan.pack_id, 1)
    assert planned.data["plan_id"] != plan.plan_id


async def test_a_cancelled_copy_stays_until_what_replaces_it_is_proven(site: Site):
    plan = await archived(site, WITHOUT_A)
    site.text = PLAIN.replace(CLOUD_B, "")
    answer = await site.replan(batch_id="a")
    assert answer["changes"][0]["added"] == ("identified/cloud-a/hot/clinical",)
    assert await site.told("copy.expired") == []
    site.now += 1
    await site.hear(verified(site.key(plan, "cloud-a"), site.now))
    told = await site.told()
    assert [each.data["copy_key"]["target"] for each in told if each.fact == "copy.expired"] == ["cloud-b"]
    assert [each.fact for each in told if each.fact.startswith("batch")] == ["batch.secured", "batch.archived"]


async def test_a_dry_run_says_the_same_and_does_nothing(site: Site):
    await archived(site)
    site.text = WITHOUT_A
    said = await site.replan(dry_run=True)
    assert said["changed"] == 1
    assert await site.told() == []
    assert (await site.replan())["changes"] == said["changes"]


async def test_replanning_twice_changes_nothing_more(site: Site):
    await archived(site)
    site.text = WITHOUT_A
    await site.replan(study_uid="1.2")
    await site.told()
    assert (await site.replan())["changed"] == 0
    assert await site.told() == []


async def test_a_policy_that_says_the_same_in_another_way_tells_nothing(site: Site):
    await archived(site)
    site.text = PLAIN.replace("name: reports", "name: structured-reports")
    assert (await site.replan())["changed"] == 0
    assert await site.told() == []


async def test_a_copy_that_is_wanted_again_is_another_generation(site: Site):
    """A late word on the one that was given up, which is being deleted, is no proof."""
    plan = await archived(site)
    site.text = WITHOUT_A
    await site.replan()
    site.text = PLAIN
    await site.replan()
    (again,) = await site.told("pack.planned")
    assert _generations(again) == {"cloud-a": 2}
    for generation, state in ((1, "waiting"), (2, "proven")):
        site.now += 5
        await site.hear(verified(site.key(plan, "cloud-a", generation), site.now))
        (pack,) = await site.ledger.packs_of(Selection(batch_id="a"))
        assert {each["target"]: each["state"] for each in pack["copies"]}["cloud-a"] == state
    assert pack["state"] == "archived"


async def test_a_copy_that_its_retention_ended_is_another_generation_when_it_is_wanted_longer(site: Site):
    await archived(site, PLAIN.replace(CLOUD_A + CLOUD_B, CLOUD_A.replace("}", ", retention: 30d}") + CLOUD_B))
    site.now += 31 * 86400
    assert await site.ledger.end_retention(site.moment) == 1
    await site.told()
    site.text = PLAIN
    await site.replan()
    (again,) = await site.told("pack.planned")
    assert _generations(again) == {"cloud-a": 2}


async def test_the_sweep_asks_for_the_generation_that_the_plan_asked_for(site: Site):
    await archived(site)
    for site.text in (WITHOUT_A, PLAIN):
        await site.replan()
    await site.told()
    site.now += 120
    await site.ledger.sweep(site.moment)
    (again,) = await site.told("pack.planned")
    assert _generations(again) == {"cloud-a": 2}


async def test_another_tier_is_another_generation_and_the_old_one_goes_after_its_proof(site: Site):
    """Until then nothing says that the copy lies in its new tier."""
    plan = await archived(site)
    site.text = PLAIN.replace(CLOUD_B, COLD_B)
    answer = await site.replan()
    assert (answer["changes"][0]["added"], answer["changes"][0]["cancelled"]) == (
        ("identified/cloud-b/cold/clinical",),
        ("identified/cloud-b/hot/clinical",),
    )
    told = await site.told()
    assert [each.fact for each in told] == ["batch.secured", "pack.planned"]
    assert _generations(told[-1]) == {"cloud-b": 2}
    (pack,) = await site.ledger.packs_of(Selection(batch_id="a"))
    assert [(each["tier"], each["state"]) for each in pack["copies"] if each["target"] == "cloud-b"] == [
        ("cold", "waiting")
    ]
    site.now += 5
    await site.hear(verified(site.key(plan, "cloud-b", 2).model_copy(update={"tier": "cold"}), site.now))
    told = await site.told()
    assert [each.fact for each in told] == ["copy.expired", "batch.archived"]
    assert (told[0].data["copy_key"]["tier"], told[0].data["reason"]) == ("hot", "superseded")


async def test_tiers_that_change_before_anything_was_written_share_no_generation(site: Site):
    """The target may be away, and both plans wait in its queue: under one key the first to come would be the tier."""
    await archived(site)
    for site.text in (PLAIN.replace(CLOUD_B, COLD_B), WITHOUT_B, PLAIN.replace(CLOUD_B, ICE_B)):
        await site.replan()
    planned = await site.told("pack.planned")
    assert [_generations(each) for each in planned] == [{"cloud-b": 2}, {"cloud-b": 3}]


async def test_a_copy_that_stays_in_its_tier_after_all_is_not_written_again(site: Site):
    plan = await archived(site)
    for site.text in (PLAIN.replace(CLOUD_B, COLD_B), PLAIN):
        await site.replan()
    assert len(await site.told("pack.planned")) == 1
    await site.hear(verified(site.key(plan, "cloud-b", 2).model_copy(update={"tier": "cold"}), site.now))
    (expired,) = await site.told()
    assert (expired.data["copy_key"]["tier"], expired.data["reason"]) == ("cold", "superseded")


def _generations(planned: Told) -> dict[str, int]:
    return {copy["target"]: copy["generation"] for copy in planned.data["copies"]}


async def test_a_duplicate_that_the_new_plan_no_longer_covers_is_packed_on_its_own(site: Site):
    site.text = PLAIN
    await site.store("image", instance(1, modality="CT"))
    await site.plan()
    await site.store("again", instance(1, modality="SR"), ae="CT9")
    assert await site.plan() == []
    site.text = PLAIN.replace("match: {modality: [SR]}", "match: {modality: [CT]}")
    await site.replan(batch_id="image")
    await site.told()
    (own,) = await site.plan()
    assert [each.batch_id for each in own.batches] == ["again"]


#: Reports go to all three targets, everything else to all three at first, and then no longer to cloud-b.
BOTH = PLAIN.replace(REPORTS, REPORTS + "  " + CLOUD_B)
ONE = BOTH.replace("target: cloud-a, tier: hot}\n" + CLOUD_B, "target: cloud-a, tier: hot}\n")


async def _owner_and_duplicate(site: Site, *proven: str):
    site.text = BOTH
    await site.store("image", instance(1, modality="CT"))
    (plan,) = await site.plan()
    await site.store("report", instance(1, modality="SR"))
    assert await site.plan() == []
    await site.prove(plan, *proven)
    await site.told()
    return plan


async def test_a_duplicate_is_not_archived_with_an_owner_that_loses_a_copy_of_its_own(site: Site):
    """All that the owner still gets is proven, so the new plan archives it at once: the duplicate must not go along."""
    await _owner_and_duplicate(site, "onsite", "cloud-a")
    site.text = ONE
    await site.replan()
    told = await site.told("batch.archived")
    assert [each.data["batch_id"] for each in told] == ["image"]
    (own,) = await site.plan()
    assert ([each.batch_id for each in own.batches], [copy.target for copy in own.copies]) == (
        ["report"],
        ["onsite", "cloud-a", "cloud-b"],
    )


async def test_a_copy_that_an_archived_duplicate_needs_is_not_cancelled(site: Site):
    """Its own bytes are released: nothing is left of which it could be packed by itself."""
    await _owner_and_duplicate(site)
    site.text = ONE
    assert [each["cancelled"] for each in (await site.replan())["changes"]] == [()]
    assert await site.told("copy.expired", "pack.planned") == []
    assert (await site.replan())["changed"] == 0


async def test_what_the_new_plan_no_longer_covers_of_a_mixed_batch_is_packed_after_all(site: Site):
    site.text = BOTH
    await site.store("image", instance(1, modality="CT"))
    (image,) = await site.plan()
    await site.store("report", instance(1, modality="SR"), instance(2, modality="SR"))
    (report,) = await site.plan()
    assert report.left_out == ("1",)
    site.text = ONE
    await site.replan()
    await site.told()
    (rest,) = await site.plan()
    assert (rest.left_out, rest.copies[-1].target) == (("2",), "cloud-b")
    await site.told()
    for plan in (image, report):
        await site.prove(plan, "onsite", "cloud-a", "cloud-b")
    assert {each.data["batch_id"] for each in await site.told("batch.archived")} == {"image"}
    await site.prove(rest)
    assert {each.data["batch_id"] for each in await site.told("batch.archived")} == {"report"}


async def test_a_mixed_batch_that_gets_more_copies_than_its_owner_brings_the_rest_itself(site: Site):
    site.text = PLAIN.replace(CLOUD_B, "")
    await site.store("image", instance(1, modality="CT"))
    await site.plan()
    await site.store("report", instance(1, modality="SR"), instance(2, modality="SR"))
    await site.plan()
    site.text = PLAIN.replace(CLOUD_B, "").replace(REPORTS, REPORTS + "  " + CLOUD_B)
    await site.replan()
    await site.told()
    (rest,) = await site.plan()
    assert (rest.left_out, rest.copies[-1].target) == (("2",), "cloud-b")


async def test_a_copy_that_an_archived_mixed_batch_needs_is_not_cancelled(site: Site):
    site.text = BOTH
    await site.store("image", instance(1, modality="CT"))
    (image,) = await site.plan()
    await site.store("report", instance(1, modality="SR"), instance(2, modality="SR"))
    (report,) = await site.plan()
    await site.prove(image)
    await site.prove(report)
    site.text = ONE
    assert [each["cancelled"] for each in (await site.replan())["changes"]] == [()]


async def test_a_duplicate_is_decided_again_though_its_owner_stays_as_it_is(site: Site):
    """Only its own rule changed: it wants a copy that the owner has not."""
    site.text = PLAIN.replace(CLOUD_B, "")
    await site.store("image", instance(1, modality="CT"))
    await site.plan()
    await site.store("report", instance(1, modality="SR"))
    site.text = PLAIN.replace(CLOUD_B, "").replace(REPORTS, REPORTS + "  " + CLOUD_B)
    await site.replan()
    (own,) = await site.plan()
    assert ([each.batch_id for each in own.batches], own.copies[-1].target) == (["report"], "cloud-b")


async def test_a_duplicate_is_secured_by_the_targets_of_the_new_policy(site: Site):
    """The old one named a target that nobody gets any more."""
    site.text = PLAIN.replace("default:\n", "default:\n  commit_after: [cloud-a]\n")
    await site.store("image", instance(1))
    (plan,) = await site.plan()
    await site.store("again", instance(1))
    site.text = WITHOUT_A.replace("default:\n", "default:\n  commit_after: [cloud-b]\n")
    await site.replan()
    await site.prove(plan, "onsite", "cloud-b")
    assert {each.data["batch_id"] for each in await site.told("batch.secured")} == {"image", "again"}
