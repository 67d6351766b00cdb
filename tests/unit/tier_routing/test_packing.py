"""Packs are closed at their size, after quiet, or at the recovery point; their names follow from their content."""

from dataclasses import replace

import pytest

from services.tier_routing.domain.matching import Arrival, Trait
from services.tier_routing.domain.packing import (
    MOST_BATCHES,
    OpenPack,
    Share,
    group_of,
    has_room,
    is_due,
    is_full,
    pack_id,
    plan_id,
    share_of,
)
from shared.identity import SiteKey
from tests.unit.tier_routing.makers import NOON, POLICY, at, batch, policy

KEY = SiteKey(bytes(range(32)))
TIMINGS = policy().pack
PACK = OpenPack(batches=1, size=600, instances=6, opened=NOON, last=NOON)


def decision(text: str = POLICY):
    return policy(text).decide(Arrival(traits=(Trait(),), received=NOON.date()))


def test_a_batch_that_would_exceed_the_size_has_no_room():
    assert has_room(PACK, 424, 1, TIMINGS)
    assert not has_room(PACK, 425, 1, TIMINGS)


def test_a_pack_has_no_more_instances_than_policy_says():
    """However small they are: whoever reads the pack holds its manifest."""
    timings = replace(TIMINGS, instances=10)
    assert has_room(PACK, 1, 4, timings)
    assert not has_room(PACK, 1, 5, timings)
    assert not is_full(replace(PACK, size=1, instances=9), timings)
    assert is_full(replace(PACK, size=1, instances=10), timings)


@pytest.mark.parametrize(
    ("size", "instances", "full"), [(900, 9, False), (930, 9, True), (1024, 1, True), (5000, 1, True)]
)
def test_a_pack_is_full_when_another_instance_of_its_mean_size_would_not_fit(size: int, instances: int, full: bool):
    assert is_full(replace(PACK, size=size, instances=instances), TIMINGS) is full


def test_a_pack_is_due_when_its_study_has_been_quiet():
    assert not is_due(PACK, TIMINGS, at(9))
    assert is_due(PACK, TIMINGS, at(10))


def test_every_batch_prolongs_the_wait_until_the_recovery_point():
    assert not is_due(replace(PACK, last=at(55)), TIMINGS, at(59))
    assert is_due(replace(PACK, last=at(55)), TIMINGS, at(60))


def test_batches_share_a_pack_only_within_one_study_and_one_decision():
    other = decision(POLICY.replace("target: cloud-b, tier: hot}", "target: cloud-b, tier: cold}"))
    groups = {
        group_of("a", decision(), "1.2"),
        group_of("b", decision(), "1.3"),
        group_of("a", other, "1.2"),
        group_of("a", decision(), None),
    }
    assert len(groups) == 4


def test_a_pack_is_named_by_its_batches_and_a_plan_by_its_batches_and_policy():
    one, two = ("a", ""), ("b", "")
    assert pack_id(KEY, [one, two]) == KEY.token("pack", "a", "b") != pack_id(KEY, [two, one])
    assert pack_id(KEY, [one, ("b", "1")]) != pack_id(KEY, [one, two])
    changed = decision(POLICY.replace("target: cloud-b, tier: hot}", "target: cloud-b, tier: cold}"))
    assert plan_id(KEY, [one, two], decision()) == plan_id(KEY, [two, one], decision())
    assert len({plan_id(KEY, [one, each], decision()) for each in (two, ("b", "1"), ("b", "2"))}) == 3
    assert plan_id(KEY, [one, two], decision()) != plan_id(KEY, [one, two], changed)


def test_what_is_left_out_of_a_batch_takes_no_room_but_in_the_message_of_the_plan():
    whole = batch(instances=3000, size=3_000_000)
    assert share_of(whole, frozenset()) == Share(places=1, size=3_000_000, instances=3000)
    assert share_of(whole, frozenset(range(1, 1501))) == Share(places=1, size=1_500_000, instances=1500)
    assert share_of(whole, frozenset(range(1, 3001, 2))).places > 10


def test_the_digest_of_a_decision_stays_what_it_was_in_earlier_versions():
    """Plans are called after it: with another one every replan would make another plan of the same."""
    assert decision().digest == "4dff32232e8485f578197534fd29fe841396027ebe488ee33a66754d4f44be7f"


def test_a_pack_has_no_more_batches_than_one_message_can_name():
    assert has_room(replace(PACK, batches=MOST_BATCHES - 1), 1, 1, TIMINGS)
    assert not has_room(replace(PACK, batches=MOST_BATCHES), 1, 1, TIMINGS)
    assert is_full(replace(PACK, batches=MOST_BATCHES), TIMINGS)
