"""What the ledger concludes from a plan and the events about its copies."""

from dataclasses import replace

import pytest

from contracts.events import Waiting
from services.tier_routing.domain.ledger import (
    PackView,
    Quarantine,
    Wanted,
    evaluate,
    next_generation,
    past_retention,
    proof,
)
from services.tier_routing.domain.observed import Observed, observe
from tests.unit.tier_routing.makers import NOON, at, copy, damaged, due, failed, key, verified, written

COMMIT = ("onsite", "cloud-a|cloud-b")
IDENTIFIED = tuple(Wanted(copy(target)) for target in ("onsite", "cloud-a", "cloud-b"))
DEIDENTIFIED = Wanted(copy("cloud-b", "deidentified"))


def heard(*events, when: float = 5) -> tuple[Observed, ...]:
    """The copies of these events, each told ``when``."""
    found: dict = {}
    for event in events:
        place = (event.copy_key.sealed_id, event.copy_key.target, event.copy_key.generation)
        found[place] = observe(found.get(place, Observed(event.copy_key)), event, at(when))
    return tuple(found.values())


def view(*events, wanted=IDENTIFIED, **more) -> PackView:
    return PackView(pack_id="pack", wanted=wanted, commit_after=COMMIT, observed=heard(*events), **more)


def test_a_pack_without_proofs_is_neither_secured_nor_archived():
    verdict = evaluate(view(*(written(key(target)) for target in ("onsite", "cloud-a", "cloud-b"))))
    assert (verdict.secured, verdict.archived) == (False, False)


def test_a_pack_without_a_plan_is_neither_secured_nor_archived():
    verdict = evaluate(PackView(pack_id="pack", wanted=(), commit_after=()))
    assert (verdict.secured, verdict.archived) == (False, False)


def test_one_dead_cloud_holds_up_archived_but_not_secured():
    verdict = evaluate(view(verified(key("onsite")), verified(key("cloud-b")), failed(key("cloud-a"), retrying=True)))
    assert (verdict.secured, verdict.archived) == (True, False)
    assert verdict.waiting == (Waiting(step="copy.written", target="cloud-a"),)


def test_a_pack_is_archived_when_every_planned_copy_is_proven():
    verdict = evaluate(view(*(verified(key(target)) for target in ("onsite", "cloud-a", "cloud-b"))))
    assert verdict.archived
    assert [one.target for one in verdict.proven] == ["onsite", "cloud-a", "cloud-b"]
    assert verdict.sealed_ids == ("sealed-pack",)


def test_a_deidentified_copy_is_proven_through_the_pack_that_fulfils_it():
    events = [verified(key(target)) for target in ("onsite", "cloud-a", "cloud-b")]
    proven = verified(key("cloud-b", pack="clean", form="deidentified"))
    wanted = (*IDENTIFIED, DEIDENTIFIED)
    assert not evaluate(view(*events, proven, wanted=wanted)).archived
    verdict = evaluate(view(*events, proven, wanted=wanted, deidentified={"research": "clean"}))
    assert verdict.archived
    assert verdict.pack_ids == ("pack", "clean")
    assert verdict.sealed_ids == ("sealed-clean", "sealed-pack")


def test_a_deidentified_copy_of_which_everything_is_withheld_is_settled():
    events = [verified(key(target)) for target in ("onsite", "cloud-a", "cloud-b")]
    verdict = evaluate(
        view(*events, wanted=(*IDENTIFIED, DEIDENTIFIED), quarantines={"research": Quarantine(withheld=3, released=0)})
    )
    assert verdict.archived
    assert verdict.withheld == 3


def test_a_deidentified_copy_of_which_something_went_out_must_still_be_proven():
    events = [verified(key(target)) for target in ("onsite", "cloud-a", "cloud-b")]
    partly = {"research": Quarantine(withheld=1, released=2)}
    verdict = evaluate(view(*events, wanted=(*IDENTIFIED, DEIDENTIFIED), quarantines=partly))
    assert not verdict.archived
    assert verdict.waiting == (Waiting(step="pack.deidentified"),)


PARTS = {"research": ("released",)}
PART = key("cloud-b", pack="released", form="deidentified")


def test_a_part_that_was_released_later_has_to_be_proven_beside_the_first():
    first = [verified(key(target)) for target in ("onsite", "cloud-a", "cloud-b")]
    first.append(verified(key("cloud-b", pack="clean", form="deidentified")))
    more = {"wanted": (*IDENTIFIED, DEIDENTIFIED), "deidentified": {"research": "clean"}, "parts": PARTS}
    verdict = evaluate(view(*first, **more))
    assert not verdict.archived
    assert verdict.due == (due("cloud-b", "deidentified"),)
    assert verdict.waiting == (Waiting(step="pack.sealed"),)
    verdict = evaluate(view(*first, written(PART), **more))
    assert verdict.waiting == (Waiting(step="copy.verified", target="cloud-b"),)
    verdict = evaluate(view(*first, verified(PART), **more))
    assert verdict.archived
    assert verdict.pack_ids == ("pack", "clean", "released")
    assert [one.pack_id for one in verdict.proven] == ["pack", "pack", "pack", "clean", "released"]


def test_a_part_may_be_all_that_ever_went_out():
    """Everything was withheld at first."""
    events = [verified(key(target)) for target in ("onsite", "cloud-a", "cloud-b")]
    held = {"research": Quarantine(withheld=2, released=0)}
    more = {"wanted": (*IDENTIFIED, DEIDENTIFIED), "quarantines": held, "parts": PARTS}
    assert not evaluate(view(*events, **more)).archived
    assert evaluate(view(*events, verified(PART), **more)).archived


def test_a_part_replaces_no_generation_of_the_first_and_goes_with_it():
    first = verified(key("cloud-b", pack="clean", form="deidentified"))
    more = {"deidentified": {"research": "clean"}, "parts": PARTS}
    assert evaluate(view(first, verified(PART), wanted=(DEIDENTIFIED,), **more)).expire == ()
    cancelled = replace(DEIDENTIFIED, state="cancelled")
    gone = evaluate(view(first, verified(PART), wanted=(cancelled,), **more)).expire
    assert [(one.key.pack_id, reason) for one, reason in gone] == [("clean", "cancelled"), ("released", "cancelled")]


def test_a_quarantine_of_another_project_settles_nothing():
    quarantines = {"other": Quarantine(withheld=1, released=0)}
    verdict = evaluate(view(wanted=(DEIDENTIFIED,), quarantines=quarantines))
    assert verdict.due == (due("cloud-b", "deidentified"),)


def test_damage_after_the_proof_takes_it_back():
    events = [verified(key(target)) for target in ("onsite", "cloud-a", "cloud-b")]
    verdict = evaluate(view(*events, damaged(key("cloud-a"))))
    assert not verdict.archived
    assert [one.target for one in verdict.proven] == ["onsite", "cloud-b"]
    assert verdict.waiting == (Waiting(step="copy.written", target="cloud-a"),)


def test_a_proof_that_is_older_than_the_damage_does_not_heal_it():
    one = heard(damaged(key(), 10), verified(key(), 5))[0]
    assert one.is_damaged
    assert not one.is_proven


def test_a_later_proof_of_the_same_generation_heals_it():
    assert heard(damaged(key(), 10), verified(key(), 11))[0].is_proven


def test_the_next_generation_heals_it_and_the_old_one_goes_with_its_keys():
    events = [damaged(key("onsite")), verified(key("onsite", 1), 9)]
    verdict = evaluate(view(*events))
    assert [(one.key.generation, one.key.keys, reason) for one, reason in verdict.expire] == [
        (0, ("identified/onsite-0/0001",), "superseded")
    ]
    assert verdict.reached == {"onsite"}


def test_nothing_goes_before_the_next_generation_is_proven():
    assert evaluate(view(verified(key("onsite")), damaged(key("onsite")), written(key("onsite", 1), 8))).expire == ()


def test_a_generation_that_was_told_to_go_is_not_told_again():
    pack = view(damaged(key("onsite")), verified(key("onsite", 1), 9))
    gone = tuple(replace(one, expired="superseded") if one.key.generation == 0 else one for one in pack.observed)
    assert evaluate(replace(pack, observed=gone)).expire == ()


def test_a_cancelled_copy_counts_no_more_and_goes_when_the_identified_ones_are_proven():
    wanted = (Wanted(copy("onsite")), Wanted(copy("cloud-a"), "cancelled"), Wanted(copy("cloud-b")))
    early = evaluate(view(verified(key("onsite")), verified(key("cloud-a")), wanted=wanted))
    assert (early.archived, early.expire) == (False, ())
    late = evaluate(view(*(verified(key(name)) for name in ("onsite", "cloud-a", "cloud-b")), wanted=wanted))
    assert late.archived
    assert [(one.key.target, reason) for one, reason in late.expire] == [("cloud-a", "cancelled")]


def test_a_cancelled_copy_that_appears_late_still_goes():
    wanted = (Wanted(copy("onsite")), Wanted(copy("cloud-a"), "cancelled"))
    assert evaluate(view(verified(key("onsite")), wanted=wanted)).expire == ()
    late = evaluate(view(verified(key("onsite")), written(key("cloud-a")), wanted=wanted))
    assert [reason for _, reason in late.expire] == ["cancelled"]


def test_a_cancelled_deidentified_copy_goes_at_once():
    wanted = (*IDENTIFIED, Wanted(copy("cloud-b", "deidentified"), "cancelled"))
    out = written(key("cloud-b", pack="clean", form="deidentified"))
    assert len(evaluate(view(out, wanted=wanted, deidentified={"research": "clean"})).expire) == 1


def test_a_removed_copy_is_no_proof():
    gone = replace(heard(verified(key()))[0], removed=at(9))
    assert not gone.is_proven
    assert proof(replace(view(), observed=(gone,)), copy()) is None


ONE = (Wanted(copy("cloud-a")),)


def given_up(pack: PackView, generation: int = 1) -> PackView:
    gone = (replace(each, expired="cancelled") if each.key.generation == generation else each for each in pack.observed)
    return replace(pack, observed=tuple(gone))


def test_a_copy_is_due_in_its_first_generation_until_that_was_given_up():
    assert evaluate(view(damaged(key("cloud-a", 1)), wanted=ONE)).due == (due("cloud-a"),)
    late = given_up(view(verified(key("cloud-a", 1), 9), wanted=ONE))
    assert evaluate(late).due == (due("cloud-a", generation=2),)
    assert evaluate(late).waiting == (Waiting(step="copy.written", target="cloud-a"),)


def test_a_generation_that_was_removed_is_not_asked_for_again_whoever_gave_it_up():
    gone = replace(heard(verified(key("cloud-a", 1)))[0], removed=at(9))
    assert evaluate(replace(view(wanted=ONE), observed=(gone,))).due == (due("cloud-a", generation=2),)


def test_a_generation_is_due_again_when_what_was_to_replace_it_could_not_be_written():
    """The first was superseded by the second, which is lost; nobody had the bytes of the third."""
    events = [damaged(key("cloud-a", 1)), damaged(key("cloud-a", 2), 9), failed(key("cloud-a", 3))]
    assert evaluate(given_up(view(*events, wanted=ONE))).due == (due("cloud-a", generation=2),)


def test_a_proof_in_another_tier_is_none():
    cold = (Wanted(copy("cloud-a", tier="cold"), generation=2),)
    pack = view(verified(key("cloud-a", 1)), wanted=cold)
    verdict = evaluate(pack)
    assert (verdict.archived, verdict.expire, verdict.reached) == (False, (), frozenset())
    assert verdict.due == (copy("cloud-a", tier="cold", generation=2),)
    assert verdict.waiting == (Waiting(step="copy.written", target="cloud-a"),)
    assert next_generation(pack, cold[0]) == 3


def test_what_lies_in_another_tier_goes_when_the_planned_one_is_proven_whichever_is_older():
    for tier, other, gone in (("hot", "cold", 2), ("cold", "hot", 1)):
        wanted = (Wanted(copy("cloud-a", tier=tier)),)
        keys = [key("cloud-a", n, tier=t) for n, t in ((1, "hot"), (2, "cold"))]
        verdict = evaluate(view(*(verified(each) for each in keys), wanted=wanted))
        assert [(one.key.tier, one.key.generation, why) for one, why in verdict.expire] == [(other, gone, "superseded")]


def test_a_copy_waits_for_the_next_fact_of_its_way():
    one = (Wanted(copy()),)
    sealed = {("pack", "clinical"): "sealed-pack"}
    ways = [view(wanted=one), view(wanted=one, sealed=sealed), view(written(key()), wanted=one)]
    steps = [evaluate(way).waiting[0].step for way in ways]
    assert steps == ["pack.sealed", "copy.written", "copy.verified"]


def test_a_failure_is_told_with_its_reason_until_the_target_takes_the_copy():
    assert evaluate(view(failed(key("cloud-a")))).failures == {"cloud-a": "target-refused"}
    assert evaluate(view(failed(key("cloud-a")), written(key("cloud-a"), 9))).failures == {}


def test_an_older_failure_does_not_hide_a_newer_one():
    one = Observed(key()).with_failure(at(9), "refused", False).with_failure(at(3), "away", True)
    assert (one.failure, one.retrying) == ("refused", False)


RETAINED = (Wanted(copy("onsite", retention_days=1)), Wanted(copy("cloud-a")), DEIDENTIFIED)


@pytest.mark.parametrize(("days", "gone"), [(0.9, []), (1, ["onsite"]), (4, ["onsite", "cloud-b"])])
def test_copies_end_with_their_retention(days: float, gone: list[str]):
    wanted = (*RETAINED[:2], Wanted(copy("cloud-b", "deidentified", retention_days=3)))
    out = verified(key("cloud-b", pack="clean", form="deidentified"))
    pack = view(
        verified(key("onsite")), verified(key("cloud-a")), out, wanted=wanted, deidentified={"research": "clean"}
    )
    assert [each.target for each in past_retention(pack, NOON, at(days * 86400))] == gone


def test_nothing_ends_while_a_planned_copy_is_unproven():
    assert past_retention(view(verified(key("onsite")), wanted=RETAINED[:2]), NOON, at(9e6)) == ()


def test_the_last_identified_resting_copy_never_ends():
    ending = (Wanted(copy("onsite", retention_days=1)), Wanted(copy("cloud-a", retention_days=1)))
    pack = view(verified(key("onsite")), verified(key("cloud-a")), wanted=ending)
    assert past_retention(pack, NOON, at(9e6)) == ()


def test_a_copy_whose_retention_ended_counts_no_more_and_goes():
    wanted = (Wanted(copy("onsite"), "expired"), Wanted(copy("cloud-a")))
    verdict = evaluate(view(verified(key("onsite")), verified(key("cloud-a")), wanted=wanted))
    assert verdict.archived
    assert [reason for _, reason in verdict.expire] == ["retention"]
