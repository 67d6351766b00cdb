"""Events about copies become secured, archived and expired, each told once."""

from contracts.events import InstancesQuarantined, PackDeidentified, Withheld
from services.tier_routing.ports import Selection
from tests.integration.tier_routing.conftest import Site
from tests.unit.tier_routing.makers import batch, copy, damaged, failed, instance, key, verified, written


def clean(plan, project: str = "research") -> PackDeidentified:
    blobs = batch("clean")
    return PackDeidentified(
        pack_id="clean",
        source_pack_id=plan.pack_id,
        project=project,
        study_ref=plan.study_ref,
        manifest=blobs.manifest,
        headers=blobs.headers,
        archive=blobs.archive,
        links=blobs.manifest,
        instances=1,
        size=1,
        copies=(copy("cloud-b", "deidentified"),),
    )


def quarantined(plan, released: int) -> InstancesQuarantined:
    held = Withheld(sop_instance_uid="1.2.3.1", dataset_sha256="0" * 64, reason="burned-in-text")
    return InstancesQuarantined(
        pack_id=plan.pack_id, project="research", study_ref=plan.study_ref, withheld=(held,), released=released
    )


DEIDENTIFIED = key("cloud-b", pack="clean", form="deidentified")


async def planned(site: Site):
    await site.store("a", instance(1))
    return (await site.plan())[0]


async def test_a_batch_is_secured_once_and_names_its_proofs(site: Site):
    plan = await planned(site)
    await site.prove(plan, "onsite", "cloud-a")
    await site.prove(plan, "cloud-b")
    (told,) = await site.told("batch.secured")
    assert {one["target"] for one in told.data["copies"]} == {"onsite", "cloud-a"}


async def test_a_batch_is_archived_once_when_every_copy_is_proven(site: Site):
    plan = await planned(site)
    await site.prove(plan)
    await site.hear(clean(plan))
    assert await site.told("batch.archived") == []
    await site.hear(verified(DEIDENTIFIED))
    (told,) = await site.told("batch.archived")
    assert told.data["pack_ids"] == [plan.pack_id, "clean"]
    assert len(told.data["sealed_ids"]) == 2
    assert len(told.data["copies"]) == 4
    await site.hear(verified(DEIDENTIFIED, 50), clean(plan))
    assert await site.told() == []


async def test_a_proof_may_come_before_the_pack_that_it_is_about(site: Site):
    plan = await planned(site)
    await site.prove(plan)
    await site.hear(verified(DEIDENTIFIED))
    assert await site.told("batch.archived") == []
    await site.hear(clean(plan))
    assert len(await site.told("batch.archived")) == 1


async def test_what_is_withheld_altogether_does_not_hold_up_the_archive(site: Site):
    plan = await planned(site)
    await site.prove(plan)
    await site.hear(quarantined(plan, released=0))
    (told,) = await site.told("batch.archived")
    assert told.data["withheld"] == 1


async def test_what_is_partly_withheld_is_archived_with_the_rest(site: Site):
    plan = await planned(site)
    await site.prove(plan)
    await site.hear(quarantined(plan, released=3))
    assert await site.told("batch.archived") == []
    await site.hear(clean(plan), verified(DEIDENTIFIED))
    (told,) = await site.told("batch.archived")
    assert told.data["withheld"] == 1


async def test_a_part_that_is_released_after_the_archive_is_archived_on_its_own_account(site: Site):
    """The batches are told once more, with what is proven by now, so that its buffers can go."""
    plan = await planned(site)
    await site.prove(plan)
    await site.hear(quarantined(plan, released=1), clean(plan), verified(DEIDENTIFIED))
    assert len(await site.told("batch.archived")) == 1
    await site.hear(clean(plan).model_copy(update={"pack_id": "released", "part": 1}))
    assert await site.told("batch.archived") == []
    proven = verified(key("cloud-b", pack="released", form="deidentified"))
    await site.hear(proven)
    (told,) = await site.told("batch.archived")
    assert told.data["pack_ids"] == [plan.pack_id, "clean", "released"]
    assert len(told.data["sealed_ids"]) == 3
    assert {one["pack_id"] for one in told.data["copies"]} == {plan.pack_id, "clean", "released"}
    await site.hear(proven, clean(plan).model_copy(update={"pack_id": "released", "part": 1}))
    assert await site.told() == []


async def test_a_part_that_is_released_before_the_archive_is_archived_with_it(site: Site):
    plan = await planned(site)
    await site.hear(quarantined(plan, released=0))
    await site.hear(clean(plan).model_copy(update={"pack_id": "released", "part": 1}))
    await site.prove(plan)
    assert await site.told("batch.archived") == []
    await site.hear(verified(key("cloud-b", pack="released", form="deidentified")))
    assert len(await site.told("batch.archived")) == 1


async def test_a_dead_cloud_and_a_quarantine_do_not_hold_up_secured(site: Site):
    plan = await planned(site)
    await site.hear(failed(site.key(plan, "cloud-a"), retrying=True), quarantined(plan, released=0))
    await site.prove(plan, "onsite", "cloud-b")
    assert len(await site.told("batch.secured")) == 1


async def test_a_damaged_copy_is_replaced_and_its_old_generation_goes_with_its_keys(site: Site):
    plan = await planned(site)
    await site.prove(plan)
    site.now += 1
    await site.hear(damaged(site.key(plan, "cloud-a"), site.now))
    assert await site.told("copy.expired") == []
    site.now += 1
    await site.hear(verified(site.key(plan, "cloud-a", 1), site.now))
    (told,) = await site.told("copy.expired")
    assert told.data["reason"] == "superseded"
    assert told.data["copy_key"]["keys"] == ["identified/cloud-a-0/0001"]


async def test_a_generation_is_replaced_twice_and_each_goes_once(site: Site):
    plan = await planned(site)
    await site.prove(plan)
    for generation in (1, 2):
        site.now += 2
        await site.hear(damaged(site.key(plan, "onsite", generation - 1), site.now))
        await site.hear(verified(site.key(plan, "onsite", generation), site.now + 1))
    told = await site.told("copy.expired")
    assert [each.data["copy_key"]["generation"] for each in told] == [0, 1]
    assert len({each.id for each in told}) == 2


async def test_the_damage_may_be_heard_of_after_its_repair(site: Site):
    plan = await planned(site)
    await site.hear(verified(site.key(plan, "onsite", 1), 30), damaged(site.key(plan, "onsite"), 20))
    assert [each.data["reason"] for each in await site.told("copy.expired")] == ["superseded"]


async def test_damage_after_the_archive_stays_on_record_and_is_told_in_the_ledger(site: Site):
    plan = await planned(site)
    await site.hear(quarantined(plan, released=0))
    await site.prove(plan)
    site.now += 1
    await site.hear(damaged(site.key(plan, "cloud-a"), site.now))
    (pack,) = await site.ledger.packs_of(Selection(batch_id="a"))
    assert pack["batches"][0]["archived"]
    assert {each["target"]: each["state"] for each in pack["copies"] if each["form"] == "identified"} == {
        "onsite": "proven",
        "cloud-a": "waiting",
        "cloud-b": "proven",
    }
    assert [each["after_archived"] for each in pack["history"] if each["fact"] == "damaged"] == [True]


async def test_an_event_that_comes_twice_is_one_line_of_history(site: Site):
    plan = await planned(site)
    for _ in range(2):
        await site.ledger.hear(written(site.key(plan, "onsite")), "same", site.moment)
    (pack,) = await site.ledger.packs_of(Selection(study_uid="1.2"))
    assert [each["fact"] for each in pack["history"]] == ["written"]


async def test_copies_go_with_their_retention_and_the_resting_one_stays(site: Site):
    site.text = site.text.replace(
        "default:\n  copies:\n    - {form: identified, target: onsite}",
        """default:
  copies:
    - {form: identified, target: onsite, retention: 30d}""",
    )
    plan = await planned(site)
    await site.hear(quarantined(plan, released=0))
    await site.prove(plan)
    await site.told()
    site.now += 29 * 86400
    assert await site.ledger.end_retention(site.moment) == 0
    site.now += 86400
    assert await site.ledger.end_retention(site.moment) == 1
    (told,) = await site.told()
    assert (told.data["copy_key"]["target"], told.data["reason"]) == ("onsite", "retention")
    assert await site.ledger.end_retention(site.moment) == 0


async def test_the_summary_counts_what_is_here(site: Site):
    plan = await planned(site)
    await site.prove(plan, "onsite")
    await site.hear(written(site.key(plan, "cloud-a")))
    counts = await site.ledger.summary(site.moment)
    assert (counts["batches"], counts["packs"], counts["copies_proven"], counts["copies_unproven"]) == (1, 1, 1, 1)
