"""A new policy changes what is here only when the operator says so."""

from services.tier_routing.ports import Selection
from tests.integration.tier_routing.conftest import Site
from tests.unit.tier_routing.makers import POLICY, instance, verified

DEIDENTIFIED = "    - {form: deidentified, target: cloud-b, tier: hot, project: research}\n"
PLAIN = POLICY.replace(DEIDENTIFIED, "")
CLOUD_A = "    - {form: identified, target: cloud-a, tier: hot}\n"
CLOUD_B = "    - {form: identified, target: cloud-b, tier: hot}\n"
WITHOUT_A = PLAIN.replace(CLOUD_A + CLOUD_B, CLOUD_B)


async def archived(site: Site, text: str = PLAIN):
    site.text = text
    await site.store("a", instance(1))
    (plan,) = await site.plan()
    await site.prove(plan)
    await site.told()
    return plan


async def test_another_policy_alone_changes_nothing(site: Site):
    plan = await archived(site)
    site.text = WITHOUT_A
    await site.hear(verified(site.key(plan, "cloud-a"), 99))
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


async def test_a_copy_that_is_wanted_again_must_be_proven_again(site: Site):
    plan = await archived(site)
    site.text = WITHOUT_A
    await site.replan()
    site.text = PLAIN
    await site.replan()
    again = (await site.told("pack.planned"))[-1]
    assert "cloud-a" in [copy["target"] for copy in again.data["copies"]]
    (pack,) = await site.ledger.packs_of(Selection(batch_id="a"))
    assert {each["target"]: each["state"] for each in pack["copies"]}["cloud-a"] == "waiting"
    site.now += 5
    await site.hear(verified(site.key(plan, "cloud-a"), site.now))
    (pack,) = await site.ledger.packs_of(Selection(batch_id="a"))
    assert pack["state"] == "archived"


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
