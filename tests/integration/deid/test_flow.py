"""De-identification on a real bus, with the services that seal, write and prove what it makes."""

import json
import stat

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from contracts.events import CopyVerified, InstancesQuarantined, PackDeidentified
from shared.storage import delete_parts, read_parts
from tests.integration.copies.site import objects
from tests.integration.deid.site import PLAN, SERVICES, DeidSite, archived, study
from tests.support.instances import CANARY
from tests.support.packs import copies, planned
from tests.support.services import eventually


async def test_a_plan_ends_in_a_proven_deidentified_copy_and_a_list_of_what_was_withheld(site: DeidSite) -> None:
    """Three slices go, the screenshot stays on site with its reason and its bytes."""
    batch = await site.batch_of(study())
    async with site.running(*SERVICES):
        await site.say(planned([batch], PLAN), "plan")
        verified = await site.until(CopyVerified, lambda found: len(found) == 2)
    assert {event.copy_key.form: event.instances for event in verified} == {"identified": 4, "deidentified": 3}
    (told,) = await site.said(PackDeidentified)
    (quarantined,) = await site.said(InstancesQuarantined)
    assert (told.source_pack_id, quarantined.pack_id, quarantined.released) == ("pack", "pack", 3)
    assert [one.reason for one in quarantined.withheld] == ["pixels-unproven"]
    ((key, size),) = site.rows("SELECT blob_key, size FROM withheld")
    kept = b"".join([chunk async for chunk in read_parts(site.deid, key, size)])
    assert dcmread(DicomBytesIO(kept)).SOPInstanceUID == quarantined.withheld[0].sop_instance_uid
    assert await site.dead_letters() == 0


async def test_what_a_plan_leaves_out_is_in_no_copy_of_either_form(site: DeidSite) -> None:
    """From landing, and again from a proven copy."""
    batch = (await site.batch_of(study(3, 0))).model_copy(update={"instances": 2})
    async with site.running(*SERVICES):
        await site.say(planned([batch], PLAN, left_out=("2",)), "plan")
        verified = await site.until(CopyVerified, lambda found: len(found) == 2)
        (told,) = await site.said(PackDeidentified)
        links = json.loads(await site.content(told.links))
    assert {event.copy_key.form: event.instances for event in verified} == {"identified": 2, "deidentified": 2}
    assert len(links) == 2
    assert await site.dead_letters() == 0


async def test_what_goes_out_names_nobody_and_what_stays_can_name_everybody(site: DeidSite) -> None:
    """The map of identities is on site; the key that makes it is for this service alone."""
    slices = study(2, 0)
    batch = await site.batch_of(slices)
    async with site.running(*SERVICES):
        await site.say(planned([batch], PLAN), "plan")
        (told,) = await site.until(PackDeidentified, lambda found: len(found) == 1)
        manifest = await site.manifest(told)
        outputs = [await site.content(blob) for blob in (told.manifest, told.headers, told.archive)]
        links = json.loads(await site.content(told.links))
    shown = b"".join(outputs) + "".join(await objects(site.deid)).encode()
    hidden = [*CANARY.values, *(slice_.SOPInstanceUID for slice_ in slices), slices[0].StudyInstanceUID]
    assert [value for value in hidden if str(value).encode() in shown] == []
    assert {link["sop_instance_uid"] for link in links} == {slice_.SOPInstanceUID for slice_ in slices}
    database = site.database()
    found, _ = await site.identities(database).map.page("research", ("", ""))
    await database.close()
    known = {one.replacement: one.original for one in found}
    assert CANARY.patient_id in known.values()
    assert known[manifest.study_uid] == slices[0].StudyInstanceUID
    (key_file,) = (site.folder / "projects").iterdir()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


async def test_a_repeat_changes_nothing(site: DeidSite) -> None:
    """Same ids, same objects, one set of rows; a later run of the plan has an id of its own and the same pack."""
    event = planned([await site.batch_of(study())], PLAN)
    async with site.running("deid"):
        await site.say(event, "plan")
        await site.until(PackDeidentified, lambda found: len(found) == 1)
        before = await objects(site.deid)
        await site.replay()
        await site.say(event.model_copy(update={"run": 1}), "plan-1")
        first, second = await site.until(PackDeidentified, lambda found: len(found) == 2)
        await eventually(site.idle)
    assert second == first.model_copy(update={"run": 1})
    assert await objects(site.deid) == before
    assert len(site.rows("SELECT * FROM withheld")) == 1
    ids = [event_id for event_id, _ in await site.told()]
    assert len(set(ids)) == len(ids)


async def test_the_work_is_done_again_from_a_proven_copy_when_landing_is_released(site: DeidSite) -> None:
    """A replay at any age: compared, not written again, and told under the same id; nor is a later run's, which can be
    sealed from the proven copy."""
    batch = await site.batch_of(study())
    event = planned([batch], PLAN)
    async with site.running(*SERVICES):
        await site.say(event, "plan")
        verified = await site.until(CopyVerified, lambda found: len(found) == 2)
        await eventually(lambda: site.rows("SELECT * FROM known_copy WHERE proven IS NOT NULL"))
        await delete_parts(site.landing, batch.archive.key, batch.archive.size)
        await site.say(archived(event, verified), "archived")
        await eventually(lambda: site.rows("SELECT released FROM result") == [(True,)])
        (told,) = await site.said(PackDeidentified)
        before = await objects(site.deid)
        assert not any(key.startswith(told.archive.key) for key in before)
        ids = [event_id for event_id, _ in await site.told()]
        await site.replay()
        await eventually(site.idle)
        assert await objects(site.deid) == before
        assert set(ids) == {event_id for event_id, _ in await site.told()}
        await site.say(event.model_copy(update={"run": 1}), "plan-1")
        _, again = await site.until(PackDeidentified, lambda found: len(found) == 2)
        assert again == told.model_copy(update={"run": 1})
        assert await objects(site.deid) == before
    assert await site.dead_letters() == 0


async def test_a_flip_in_landing_is_not_passed_on(site: DeidSite) -> None:
    """Without another source the plan becomes a dead letter, never a copy of something else."""
    batch = await site.batch_of(study(2, 0))
    (part,) = (site.folder / "landing" / batch.archive.key).iterdir()
    site.flip(part, batch.archive.size // 2)
    async with site.running("deid"):
        await site.say(planned([batch], PLAN), "plan")

        async def refused() -> bool:
            return await site.dead_letters() == 1

        await eventually(refused)
    assert await site.said(PackDeidentified) == []


async def test_a_target_can_be_added_after_the_rules_changed(site: DeidSite) -> None:
    """The plan names it later on: what was de-identified under the rules of then is sealed from its proven copy, under
    the same key domain and under another, and a replay makes no dead letter."""
    batch = await site.batch_of(study())
    event = planned([batch], PLAN)
    added = tuple(c for domain in ("research", "partner") for c in copies("remote", form="deidentified", domain=domain))
    async with site.running(*SERVICES):
        await site.say(event, "plan")
        verified = await site.until(CopyVerified, lambda found: len(found) == 2)
        await site.say(archived(event, verified), "archived")
        await eventually(lambda: site.rows("SELECT released FROM result") == [(True,)])
        before = await objects(site.deid)
        (told,) = await site.said(PackDeidentified)
        site.forget_rules()
        await site.replay()
        await site.say(event.model_copy(update={"run": 1, "copies": added}), "plan-1")
        verified = await site.until(CopyVerified, lambda found: len(found) == 4)
        await eventually(site.idle)
    assert {(one.copy_key.target, one.copy_key.key_domain, one.copy_key.pack_id) for one in verified[2:]} == {
        ("remote", "research", told.pack_id),
        ("remote", "partner", told.pack_id),
    }
    assert await objects(site.deid) == before
    assert await site.dead_letters() == 0


async def test_a_damaged_copy_on_site_is_passed_over_for_the_next_proven_one(site: DeidSite) -> None:
    """Landing is released, and nobody has noticed the damage yet: what comes out is what would have come out."""
    slices = study(3, 0)
    batch = await site.batch_of(slices)
    event = planned([batch], copies("onsite", "remote"))
    async with site.running(*SERVICES):
        await site.say(event, "plan")
        await site.until(CopyVerified, lambda found: len(found) == 2)
        await eventually(lambda: len(site.rows("SELECT * FROM known_copy WHERE proven IS NOT NULL")) == 2)
        await delete_parts(site.landing, batch.archive.key, batch.archive.size)
        (part,) = (path for path in (site.folder / "onsite").rglob("*") if path.is_file() and "identified" in str(path))
        site.flip(part, part.stat().st_size // 2)
        await site.say(event.model_copy(update={"run": 1, "copies": PLAN[1:]}), "plan-1")
        (told,) = await site.until(PackDeidentified, lambda found: len(found) == 1)
    assert told.manifest.sha256 == site.expected(slices)
    assert await site.dead_letters() == 0
