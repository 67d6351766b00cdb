"""What the catalogue shows while a recall goes on, on a real bus."""

from pathlib import Path

from contracts.events import BatchArchived, CopyVerified, PackDeidentified
from tests.integration.deid.recall_site import RecallSite
from tests.support.instances import make_instances
from tests.support.nats import NatsServer
from tests.support.services import eventually


async def test_what_is_called_back_is_shown_no_more_and_what_takes_its_place_is(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    """Also where a target is away, so that nothing was removed from it yet."""
    site = RecallSite(tmp_path, nats_server)
    slices = make_instances(2)
    uid = str(slices[0].SOPInstanceUID)
    places = {("identified", "onsite"), ("deidentified", "onsite"), ("deidentified", "remote")}

    async def shown() -> set[tuple[str, str]]:
        return {(one["form"], one["target"]) for one in (await site.where(uid))["copies"]}

    async def shows_all() -> bool:
        return await shown() == places

    async with site.running("tier_routing", "encryption", "catalog"):
        async with site.running("deid", profile_dir=site.profile("1")), site.running("replication", "verification"):
            await site.stored(slices)
            await site.until(CopyVerified, lambda found: len(found) == 3)
            await site.until(BatchArchived, lambda found: len(found) == 1)
            await eventually(shows_all)
            before = await site.where(uid)
        async with site.running("deid", profile_dir=site.profile("2")):
            assert (await site.recall()).status_code == 202

            async def none_is_shown() -> bool:
                return await shown() == {("identified", "onsite")}

            await eventually(none_is_shown)
            (first,) = {one.pack_id for one in (await site.said(PackDeidentified))[:1]}
            between = await site.where(uid)
            async with site.running("replication", "verification"):
                await site.in_state("released")
                await eventually(shows_all)
                after = await site.where(uid)
    assert before["recalled"] == []
    (back,) = between["recalled"]
    assert (back["pack_id"], back["project"], back["profile"], back["profile_version"]) == (
        first, "research", "research", "1",
    )  # fmt: skip
    assert after["recalled"] == between["recalled"]
    sealed = [{one["sealed_id"] for one in each["copies"] if one["form"] == "deidentified"} for each in (before, after)]
    assert not sealed[0] & sealed[1]
    assert await site.dead_letters() == 0
