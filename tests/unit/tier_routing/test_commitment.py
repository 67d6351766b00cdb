"""What is answered for each instance of a request for storage commitment (PS3.4 annex J.3)."""

from datetime import timedelta

import pytest

from contracts.events import CommitmentRequested, Referenced
from services.tier_routing.domain.commitment import (
    LOOK_AGAIN,
    Committed,
    Failed,
    Held,
    Pending,
    Wanted,
    answer,
    look,
    refuse,
)
from services.tier_routing.domain.identity import class_hash, uid_hash
from services.tier_routing.domain.policy import CommitmentLimits
from tests.unit.tier_routing.makers import NOON, at

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
LIMITS = CommitmentLimits(wait=timedelta(minutes=15), secured=timedelta(days=3))
NEW, LATE, OLD = timedelta(), timedelta(minutes=15), timedelta(days=3)


def held(batch: int = 1, *sources: str, secured: bool = True, sop_class: str | None = CT, full: bool = False) -> Held:
    return Held(batch, sop_class and class_hash(sop_class), frozenset(sources or ("CT1",)), secured, full)


def said(*versions: Held, age: timedelta = NEW, stored: bool = True):
    return answer(Wanted(CT, "1.2.3", stored), versions, "CT1", age, LIMITS)


@pytest.mark.parametrize(
    ("versions", "age", "expected"),
    [
        pytest.param([held()], NEW, Committed(), id="secured"),
        pytest.param([held(sop_class=None)], NEW, Committed(), id="secured, its class was not noted"),
        pytest.param([held(1, "MR1")], NEW, Committed(), id="secured, brought by another"),
        pytest.param([held(secured=False)], LATE, Pending(LIMITS.secured), id="here, not secured"),
        pytest.param([held(secured=False)], OLD, Failed(0x0110), id="never secured"),
        pytest.param([held(secured=False, full=True)], OLD, Failed(0x0213), id="never secured for want of room"),
        pytest.param([], NEW, Pending(LIMITS.wait), id="not here yet"),
        pytest.param([], LATE, Failed(0x0112), id="not here"),
        pytest.param([held(sop_class=MR)], NEW, Failed(0x0119), id="of another class"),
        pytest.param([held(1), held(2, "MR1")], NEW, Committed(), id="the requester's is the first"),
        pytest.param([held(2, "MR1"), held(1)], NEW, Committed(), id="the requester's is the first, in any order"),
        pytest.param([held(1, "MR1"), held(2)], NEW, Pending(LIMITS.wait), id="the requester's is not the first"),
        pytest.param([held(1, "MR1"), held(2)], LATE, Failed(0x0110), id="nobody decided which counts"),
        pytest.param([held(1), held(2)], LATE, Failed(0x0110), id="both are the requester's"),
        pytest.param([held(1, "MR1"), held(2, "MR1")], LATE, Failed(0x0110), id="none is the requester's"),
        pytest.param([held(1), held(1, "MR1")], LATE, Failed(0x0110), id="no version is the first"),
    ],
)
def test_each_instance_is_answered_by_what_is_here_of_it(versions, age, expected):
    assert said(*versions, age=age) == expected


def test_an_instance_of_a_class_that_is_not_taken_is_not_waited_for():
    assert said(stored=False) == Failed(0x0122)


def request(*uids: str) -> CommitmentRequested:
    return CommitmentRequested(
        commitment_id="c" * 32,
        transaction_uid="1.2.9",
        calling_ae="CT1",
        called_ae="CAUSEWAY",
        referenced=(Referenced(sop_class_uid=CT, stored=True, sop_instance_uids=uids),),
        requested=NOON,
    )


def test_nothing_is_told_before_all_of_it_is_decided():
    versions = {uid_hash("1.2.3"): [held()]}
    seen = look(request("1.2.3", "1.2.4"), versions, LIMITS, NOON, at(1))
    assert seen.decided is None
    assert seen.again == at(1) + LOOK_AGAIN
    late = look(request("1.2.3", "1.2.4"), versions, LIMITS, NOON, NOON + LIMITS.wait - timedelta(seconds=1))
    assert late.again == NOON + LIMITS.wait


def test_a_decision_groups_what_has_one_answer():
    versions = {uid_hash("1.2.3"): [held()], uid_hash("1.2.5"): [held(sop_class=MR)]}
    seen = look(request("1.2.3", "1.2.4", "1.2.5", "1.2.6"), versions, LIMITS, NOON, NOON + LIMITS.wait)
    assert seen.decided is not None
    told = {each.reason: each.sop_instance_uids for each in seen.decided.outcomes}
    assert told == {None: ("1.2.3",), 0x0112: ("1.2.4", "1.2.6"), 0x0119: ("1.2.5",)}
    assert (seen.decided.transaction_uid, seen.decided.calling_ae) == ("1.2.9", "CT1")


def test_a_request_that_is_refused_fails_all_of_its_instances():
    (outcome,) = refuse(request("1.2.3", "1.2.4"), 0x0131, NOON).outcomes
    assert (outcome.reason, outcome.sop_instance_uids) == (0x0131, ("1.2.3", "1.2.4"))
