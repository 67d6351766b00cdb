"""Requests for storage commitment that a peer makes again once they were decided: they are decided anew."""

from datetime import timedelta

from contracts.events import CommitmentRequested
from tests.integration.tier_routing.conftest import Site, Told
from tests.integration.tier_routing.test_commitment import DECIDED, ask, request, secure
from tests.unit.tier_routing.makers import damaged, instance


def again(asked: CommitmentRequested, days: float = 10) -> CommitmentRequested:
    return asked.model_copy(update={"requested": asked.requested + timedelta(days=days), "peer": "ab" * 16})


async def told(site: Site) -> list[Told]:
    await site.ledger.decide_commitments(site.moment)
    return await site.told(DECIDED)


def outcomes(decision: Told) -> list[tuple[int | None, list[str]]]:
    return [(each["reason"], each["sop_instance_uids"]) for each in decision.data["outcomes"]]


async def decided(site: Site) -> tuple[CommitmentRequested, Told]:
    """A request, and its decision: one instance is committed, two are not here."""
    asked = request("1.2.3.1", "1.2.3.3", "1.2.3.2")
    await site.store("batch-1", instance(1))
    await secure(site)
    await ask(site, asked)
    site.now += 900
    (first,) = await told(site)
    assert sorted(outcomes(first), key=str) == sorted([(None, ["1.2.3.1"]), (0x0112, ["1.2.3.3", "1.2.3.2"])], key=str)
    return asked, first


async def test_a_request_that_is_made_again_once_it_is_decided_is_told_again(site: Site):
    asked, first = await decided(site)
    site.now += 864_000
    assert await ask(site, again(asked))
    assert await told(site) == [], "what is not here may come yet"
    site.now += 900
    (second,) = await told(site)
    assert sorted(outcomes(second), key=str) == sorted(outcomes(first), key=str)
    assert second.id != first.id, "or the bus passes over it"
    assert second.data["decided"] > first.data["decided"], "and it is tried for as long as a new one"
    same = ("commitment_id", "transaction_uid", "calling_ae", "called_ae")
    assert [second.data[name] for name in same] == [first.data[name] for name in same]
    assert second.data["peer"] == "ab" * 16, "to whoever asked last"
    assert (await site.ledger.commitments())["waiting"] == []


async def test_the_events_of_both_requests_that_come_again_change_nothing(site: Site):
    asked = request("1.2.3.1")
    await site.store("batch-1", instance(1))
    await secure(site)
    await ask(site, asked)
    assert len(await told(site)) == 1
    other = site.beside()
    await ask(site, again(asked))
    assert len(await told(site)) == 1
    assert [await ask(other, each) for each in (asked, again(asked), asked)] == [False] * 3
    assert await told(site) == []
    assert await ask(other, again(asked, 11)), "a third one is told too"
    assert len(await told(site)) == 1
    await other.database.close()


async def test_what_came_since_is_committed_to(site: Site):
    asked, _ = await decided(site)
    await site.store("batch-2", instance(2), instance(3))
    await secure(site)
    await ask(site, again(asked))
    (second,) = await told(site)
    assert [(reason, sorted(uids)) for reason, uids in outcomes(second)] == [(None, ["1.2.3.1", "1.2.3.2", "1.2.3.3"])]


async def test_what_was_lost_since_is_not_committed_to_again(site: Site):
    """Whoever hears that it is may delete it."""
    asked = request("1.2.3.1")
    await site.store("batch-1", instance(1))
    (plan,) = await site.plan()
    await site.prove(plan, "onsite", "cloud-a")
    await ask(site, asked)
    assert [outcomes(each) for each in await told(site)] == [[(None, ["1.2.3.1"])]]
    await site.hear(damaged(site.key(plan, "onsite"), site.now + 5))
    await ask(site, again(asked))
    assert await told(site) == []


async def test_a_request_that_is_made_again_before_it_is_decided_has_one_answer(site: Site):
    asked = request("1.2.3.1")
    await ask(site, asked)
    assert await ask(site, again(asked)) is False
    await site.store("batch-1", instance(1))
    await secure(site)
    (decision,) = await told(site)
    assert decision.data["peer"] == "ab" * 16
    assert await ask(site, again(asked)) is False
    assert await told(site) == []


async def test_another_request_under_one_transaction_uid_is_a_duplicate_again(site: Site):
    await ask(site, request("1.2.3.1"))
    asked = request("1.2.3.2", name="asked-2")
    await ask(site, asked)
    assert [outcomes(each) for each in await told(site)] == [[(0x0131, ["1.2.3.2"])]]
    await ask(site, again(asked))
    assert [outcomes(each) for each in await told(site)] == [[(0x0131, ["1.2.3.2"])]]
