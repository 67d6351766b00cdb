"""Requests for storage commitment in the ledger, on both databases."""

import time
from datetime import timedelta

import pytest

from contracts.events import CommitmentRequested, Referenced
from shared.yaml_lines import DocumentRefused
from tests.integration.tier_routing.conftest import Site
from tests.unit.tier_routing.makers import NOON, POLICY, damaged, failed, instance, policy

CT = "1.2.840.10008.5.1.4.1.1.2"
DECIDED = "commitment.decided"


def request(
    *uids: str, name: str = "asked-1", ae: str = "CT1", sop_class: str = CT, transaction: str = "1.2.9"
) -> CommitmentRequested:
    return CommitmentRequested(
        commitment_id=name,
        transaction_uid=transaction,
        calling_ae=ae,
        called_ae="CAUSEWAY",
        referenced=(Referenced(sop_class_uid=sop_class, stored=True, sop_instance_uids=uids),),
        requested=NOON,
    )


async def ask(site: Site, asked: CommitmentRequested) -> bool:
    return await site.ledger.ask(asked, site.moment, "trace-asked")


async def decisions(site: Site) -> list[dict[str | None, tuple[str, ...]]]:
    """What is told now, each decision as its instances by the reason of their failure."""
    await site.ledger.decide_commitments(site.moment)
    return [
        {each["reason"]: tuple(each["sop_instance_uids"]) for each in told.data["outcomes"]}
        for told in await site.told(DECIDED)
    ]


async def secure(site: Site) -> None:
    for plan in await site.plan():
        await site.prove(plan, "onsite", "cloud-a")


async def test_a_request_is_decided_as_soon_as_its_instances_are_secured(site: Site):
    await site.store("batch-1", instance(1), instance(2))
    assert await ask(site, request("1.2.3.1", "1.2.3.2"))
    assert await decisions(site) == []
    await secure(site)
    await site.ledger.decide_commitments(site.moment)
    (told,) = await site.told(DECIDED)
    assert [(each["reason"], each["sop_instance_uids"]) for each in told.data["outcomes"]] == [
        (None, ["1.2.3.1", "1.2.3.2"])
    ]
    assert told.traceparent == "trace-asked"
    assert (await site.ledger.commitments())["waiting"] == []


async def test_a_request_that_comes_first_waits_for_its_instances(site: Site):
    await ask(site, request("1.2.3.1"))
    assert await decisions(site) == []
    site.now += 20
    await site.store("batch-1", instance(1))
    await secure(site)
    assert await decisions(site) == [{None: ("1.2.3.1",)}]


async def test_one_cloud_is_not_enough(site: Site):
    await site.store("batch-1", instance(1))
    (plan,) = await site.plan()
    await site.prove(plan, "onsite")
    await ask(site, request("1.2.3.1"))
    assert await decisions(site) == []
    await site.prove(plan, "cloud-b")
    assert await decisions(site) == [{None: ("1.2.3.1",)}]


async def test_what_never_comes_fails_when_policy_says_so_and_the_rest_is_told_with_it(site: Site):
    await site.store("batch-1", instance(1))
    await secure(site)
    await ask(site, request("1.2.3.1", "1.2.3.2"))
    site.now += 899
    assert await decisions(site) == []
    site.now += 1
    assert await decisions(site) == [{None: ("1.2.3.1",), 0x0112: ("1.2.3.2",)}]


async def test_a_site_chooses_how_long_is_waited(site: Site):
    site.text += "commitment: {wait: 2m, secured: 1h}\n"
    await site.store("batch-1", instance(1))
    await ask(site, request("1.2.3.2"))
    await ask(site, request("1.2.3.1", name="asked-2", transaction="1.2.10"))
    site.now += 120
    assert await decisions(site) == [{0x0112: ("1.2.3.2",)}]
    site.now += 3480
    assert await decisions(site) == [{0x0110: ("1.2.3.1",)}]


async def test_what_no_target_has_room_for_fails_for_that_reason(site: Site):
    site.text += "commitment: {wait: 2m, secured: 1h}\n"
    await site.store("batch-1", instance(1))
    (plan,) = await site.plan()
    await site.hear(failed(site.key(plan, "cloud-a"), retrying=True, reason="store-full"))
    await ask(site, request("1.2.3.1"))
    site.now += 3600
    assert await decisions(site) == [{0x0213: ("1.2.3.1",)}]


async def test_an_instance_of_another_class_than_was_named_fails_at_once(site: Site):
    await site.store("batch-1", instance(1))
    await ask(site, request("1.2.3.1", sop_class="1.2.840.10008.5.1.4.1.1.4"))
    assert await decisions(site) == [{0x0119: ("1.2.3.1",)}]


async def test_a_class_that_nobody_takes_fails_at_once(site: Site):
    event = request("1.2.3.1")
    unsupported = event.referenced[0].model_copy(update={"stored": False})
    await ask(site, event.model_copy(update={"referenced": (unsupported,)}))
    assert await decisions(site) == [{0x0122: ("1.2.3.1",)}]


async def test_another_request_under_one_transaction_uid_fails_and_the_first_goes_on(site: Site):
    await site.store("batch-1", instance(1), instance(2))
    await ask(site, request("1.2.3.1"))
    await ask(site, request("1.2.3.2", name="asked-2"))
    assert await decisions(site) == [{0x0131: ("1.2.3.2",)}]
    await ask(site, request("1.2.3.2", name="asked-3", ae="MR1"))
    await secure(site)
    assert sorted(each[None] for each in await decisions(site)) == [("1.2.3.1",), ("1.2.3.2",)]


async def test_a_version_that_is_not_served_first_waits_for_a_decision_then_fails(site: Site):
    await site.store("batch-1", instance(1, content=7), ae="MR1")
    await site.store("batch-2", instance(1, content=8), ae="CT1")
    await secure(site)
    await ask(site, request("1.2.3.1"))
    await ask(site, request("1.2.3.1", name="asked-2", ae="MR1"))
    assert await decisions(site) == [{None: ("1.2.3.1",)}], "the first served is MR1's"
    site.now += 900
    assert await decisions(site) == [{0x0110: ("1.2.3.1",)}]


async def test_who_brought_the_first_version_again_is_committed_to(site: Site):
    """Although the instance is claimed by another's batch, and his own was dropped or is of mixed content."""
    await site.store("batch-1", instance(1, content=7), ae="MR1")
    await site.store("batch-2", instance(1, content=8), ae="MR2")
    await site.store("batch-3", instance(1, content=7), instance(2), ae="CT1")
    await secure(site)
    await ask(site, request("1.2.3.1"))
    assert await decisions(site) == [{None: ("1.2.3.1",)}]


async def test_what_a_mixed_batch_left_out_is_committed_to_only_with_the_pack_that_holds_it(site: Site):
    await site.store("batch-1", instance(1))
    (first,) = await site.plan()
    await site.store("mixed", instance(1), instance(2))
    (own,) = await site.plan()
    await ask(site, request("1.2.3.1", "1.2.3.2"))
    await site.prove(own, "onsite", "cloud-a")
    assert await decisions(site) == []
    await site.prove(first, "onsite", "cloud-a")
    assert await decisions(site) == [{None: ("1.2.3.1", "1.2.3.2")}]


async def test_what_was_stored_again_is_committed_to_though_the_first_is_not_secured(site: Site):
    await site.store("report", instance(1, modality="SR"))
    await site.plan()
    await site.store("image", instance(1), ae="CT1")
    (second,) = await site.plan()
    await ask(site, request("1.2.3.1"))
    await site.prove(second, "onsite", "cloud-a")
    assert await decisions(site) == [{None: ("1.2.3.1",)}]


async def test_a_copy_that_was_damaged_since_is_not_committed_to(site: Site):
    await site.store("batch-1", instance(1))
    (plan,) = await site.plan()
    await site.prove(plan, "onsite", "cloud-a")
    await site.hear(damaged(site.key(plan, "onsite"), site.now + 5))
    await ask(site, request("1.2.3.1"))
    assert await decisions(site) == []
    await site.prove(plan, "onsite", generation=1)
    site.now += 30
    assert await decisions(site) == [{None: ("1.2.3.1",)}]


async def test_redelivery_replay_and_another_process_change_nothing(site: Site):
    await site.store("batch-1", instance(1))
    asked = request("1.2.3.1")
    other = site.beside()
    assert [await ask(site, asked), await ask(site, asked), await ask(other, asked)] == [True, False, False]
    await secure(site)
    assert len(await decisions(site)) == 1
    assert await ask(other, asked) is False
    site.now += 100_000
    assert await decisions(site) == []
    assert await decisions(other) == []
    await other.database.close()


async def test_a_request_wakes_by_itself_when_nobody_woke_it(site: Site):
    """The wake-up of a transaction that ran beside may be lost; time is not."""
    await ask(site, request("1.2.3.1"))
    assert await decisions(site) == []
    assert await site.ledger.decide_commitments(site.moment) == 0
    (waiting,) = (await site.ledger.commitments())["waiting"]
    assert waiting == {"commitment_id": "asked-1", "instances": 1, "since": NOON.isoformat()}


async def test_two_thousand_instances_are_decided_quickly_and_leave_little_behind(site: Site):
    uids = [f"1.2.3.{number}" for number in range(2000)]
    for start in range(0, 2000, 500):
        await site.store(f"batch-{start}", *(instance(number) for number in range(start, start + 500)), size=10)
    await ask(site, request(*uids))
    await secure(site)
    began = time.monotonic()
    (decided,) = await decisions(site)
    assert sorted(decided[None]) == sorted(uids)
    assert time.monotonic() - began < 5
    assert (await site.ledger.commitments()) == {"requests": 1, "decided": 1, "failed_instances": 0, "waiting": []}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("commitment: {wait: 2h, secured: 1h}\n", "'wait' is longer than 'secured'"),
        ("commitment: {wait: soon}\n", "wait"),
        ("commitment: {when: 1h}\n", "when"),
    ],
)
def test_a_policy_with_senseless_limits_is_refused(text: str, problem: str):
    with pytest.raises(DocumentRefused, match=problem):
        policy(POLICY + text)


def test_limits_are_read_from_the_policy_and_do_not_change_its_digest():
    other = policy(POLICY + "commitment: {wait: 20m}\n")
    assert other.commitment.wait == timedelta(minutes=20)
    assert other.digest == policy().digest
