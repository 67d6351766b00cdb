"""The first rule that an instance of a batch matches decides for all of it."""

from datetime import date

import pytest

from services.tier_routing.domain.identity import arrival_of
from services.tier_routing.domain.matching import Age, Arrival, Match, Trait
from services.tier_routing.domain.policy import committed, covers
from tests.unit.tier_routing.makers import NOON, copy, instance, manifest, policy

TODAY = date(2026, 11, 22)


def arrival(*traits: Trait, source: str | None = None, priorities: tuple[str, ...] = ()) -> Arrival:
    return Arrival(traits=traits or (Trait(),), received=TODAY, source_ae=source, priorities=priorities)


@pytest.mark.parametrize(("match", "arrived", "accepted"), [
    (Match(modality=("CT",)), arrival(Trait(modality="CT")), True),
    (Match(modality=("ct",)), arrival(Trait(modality=" CT ")), True),
    (Match(modality=("CT", "MR")), arrival(Trait(modality="MR")), True),
    (Match(modality=("CT",)), arrival(Trait(modality="MR")), False),
    (Match(modality=("CT",)), arrival(Trait()), False),
    (Match(modality=("CT",), body_part=("HEAD",)), arrival(Trait("CT"), Trait("MR", "HEAD")), False),
    (Match(station_name=("ROOM[1]*",)), arrival(Trait(station_name="room[1]a")), True),
    (Match(source_ae=("CT*",)), arrival(source="CT_7"), True),
    (Match(source_ae=("CT?",)), arrival(source="CT_7"), False),
    (Match(source_ae=("CT*",)), arrival(), False),
    (Match(order_priority=("STAT",)), arrival(priorities=("routine", "stat")), True),
    (Match(order_priority=("STAT",)), arrival(), False),
    (Match(study_age=Age(over=365)), arrival(Trait(study_date=date(2025, 11, 22))), True),
    (Match(study_age=Age(over=366)), arrival(Trait(study_date=date(2025, 11, 22))), False),
    (Match(study_age=Age(under=30)), arrival(Trait(study_date=TODAY)), True),
    (Match(study_age=Age(under=30)), arrival(Trait()), False),
    (Match(), arrival(), True),
])  # fmt: skip
def test_a_match_accepts_a_batch_when_one_instance_fulfils_every_condition(
    match: Match, arrived: Arrival, accepted: bool
):
    assert match.accepts(arrived) is accepted


def test_a_mixed_batch_is_decided_by_the_first_rule_of_the_file_that_any_instance_matches():
    decided = policy().decide(arrival(Trait(modality="CT"), Trait(modality="SR")))
    assert decided.rule == "reports"


def test_what_no_rule_takes_falls_to_the_default():
    assert policy().decide(arrival(Trait(modality="XA"))).rule == "default"


def test_several_batches_are_decided_as_one_and_their_order_is_of_no_account():
    report, image = arrival(Trait(modality="SR")), arrival(Trait(modality="CT"))
    assert policy().decide(report, image) == policy().decide(image, report)
    assert policy().decide(image, report).rule == "reports"


def test_an_order_that_is_urgent_decides():
    assert policy().decide(arrival(priorities=("stat",))).rule == "urgent"


def test_decisions_differ_in_their_digest_when_they_differ_at_all():
    decisions = [policy().decide(arrival(Trait(modality=modality))) for modality in ("SR", "CT", "MR")]
    assert decisions[0].digest != decisions[1].digest
    assert decisions[1].digest == decisions[2].digest


def test_an_arrival_has_the_distinct_traits_of_the_instances_and_the_source_of_the_batch():
    arrived = arrival_of(
        manifest(
            instance(1, modality="CT", study_date="20250101"),
            instance(2, modality="CT", study_date="2025.01.01"),
            instance(3, modality="SR", study_date="no date"),
        ),
        NOON,
        ["stat", "stat"],
    )
    assert set(arrived.traits) == {Trait("CT", study_date=date(2025, 1, 1)), Trait("SR")}
    assert (arrived.source_ae, arrived.priorities, arrived.received) == ("CT1", ("stat",), TODAY)


@pytest.mark.parametrize(("proven", "enough"), [
    ({"onsite", "cloud-a"}, True),
    ({"onsite", "cloud-b"}, True),
    ({"onsite"}, False),
    ({"cloud-a", "cloud-b"}, False),
    (set(), False),
])  # fmt: skip
def test_one_of_several_clouds_is_enough_where_policy_says_so(proven: set[str], enough: bool):
    assert committed(("onsite", "cloud-a|cloud-b"), frozenset(proven)) is enough


@pytest.mark.parametrize(("planned", "wanted", "covered"), [
    (copy(), copy(), True),
    (copy(), copy(retention_days=30), True),
    (copy(retention_days=30), copy(), False),
    (copy(retention_days=30), copy(retention_days=20), True),
    (copy(retention_days=30), copy(retention_days=40), False),
    (copy(), copy("cloud-a"), False),
    (copy(), copy(tier="cold"), False),
    (copy(), copy(key_domain="other"), False),
    (copy(form="deidentified"), copy(form="deidentified", project="other"), False),
])  # fmt: skip
def test_a_planned_copy_stands_for_another_only_if_it_is_as_good_and_lasts_as_long(planned, wanted, covered: bool):
    assert covers((planned,), (wanted,)) is covered
