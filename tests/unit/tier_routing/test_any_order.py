"""In whatever order and however often events come, nothing is archived too early and everything in the end."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from services.tier_routing.domain.ledger import PackView, Quarantine, Wanted, evaluate
from services.tier_routing.domain.observed import Observed, observe
from tests.unit.tier_routing.makers import at, copy, damaged, failed, key, verified, written

TARGETS = ("onsite", "cloud-a", "cloud-b")
WANTED = (*(Wanted(copy(target)) for target in TARGETS), Wanted(copy("cloud-b", "deidentified")))


class Site:
    """The truth: what happened to each copy, and the events that tell it, in the order in which it happened."""

    def __init__(self) -> None:
        self.now = 0
        self.sound: dict[str, int | None] = {}
        self.generation: dict[str, int] = {}
        self.deidentified = False

    def tick(self) -> int:
        self.now += 2
        return self.now

    def key_of(self, place: str):
        number = self.generation.get(place, 0)
        if place == "clean":
            return key("cloud-b", number, pack="clean", form="deidentified")
        return key(place, number)


class AnyOrder(RuleBasedStateMachine):
    """Things happen at the site; the ledger hears of them late, repeatedly and in any order."""

    told = Bundle("told")

    @initialize()
    def start(self) -> None:
        self.site = Site()
        self.untold: list = []
        self.view = PackView("pack", WANTED, ("onsite", "cloud-a|cloud-b"))
        self.gone: set = set()

    @rule(place=st.sampled_from((*TARGETS, "clean")))
    def a_copy_is_written_and_proven(self, place: str) -> None:
        if self.site.sound.get(place) is not None:
            return
        now = self.site.tick()
        self.untold += [written(self.site.key_of(place), now), verified(self.site.key_of(place), now + 1)]
        self.site.sound[place] = self.site.generation.setdefault(place, 0)

    @rule(place=st.sampled_from((*TARGETS, "clean")))
    def a_copy_is_damaged(self, place: str) -> None:
        if self.site.sound.get(place) is None:
            return
        self.untold.append(damaged(self.site.key_of(place), self.site.tick()))
        self.site.sound[place] = None
        self.site.generation[place] += 1

    @rule(place=st.sampled_from(TARGETS), retrying=st.booleans())
    def a_target_fails(self, place: str, retrying: bool) -> None:
        self.untold.append(failed(self.site.key_of(place), retrying))

    @rule()
    def a_pack_is_deidentified(self) -> None:
        self.untold.append("deidentified")

    @rule(data=st.data())
    def the_ledger_hears(self, data) -> None:
        if self.untold:
            event = data.draw(st.sampled_from(self.untold))
            self.hear(event)
            if data.draw(st.booleans()):
                self.untold.remove(event)

    def hear(self, event) -> None:
        if event == "deidentified":
            self.view = replace(self.view, deidentified={"research": "clean"})
        else:
            self.view = replace(self.view, observed=self.folded(event))
        self.let_go()

    def folded(self, event) -> tuple[Observed, ...]:
        known = {(one.key.sealed_id, one.key.target, one.key.generation): one for one in self.view.observed}
        place = (event.copy_key.sealed_id, event.copy_key.target, event.copy_key.generation)
        known[place] = observe(known.get(place, Observed(event.copy_key)), event, at(self.site.now))
        return tuple(known.values())

    def let_go(self) -> None:
        """Expire what the verdict lets go: each generation once, and never the newest proven one."""
        for one, reason in evaluate(self.view).expire:
            assert one.key not in self.gone
            self.gone.add(one.key)
            rest = tuple(replace(each, expired=reason) if each == one else each for each in self.view.observed)
            self.view = replace(self.view, observed=rest)

    @invariant()
    def nothing_counts_as_proven_that_no_proof_speaks_for(self) -> None:
        for proven in evaluate(self.view).proven:
            assert any(
                one.proven == proven.proven and one.key.generation == proven.generation for one in self.view.observed
            )

    @invariant()
    def the_sound_generation_of_a_copy_is_never_let_go(self) -> None:
        assert not any(
            self.site.sound.get(place) == gone.generation for gone in self.gone for place in self.places(gone)
        )

    def places(self, of) -> list[str]:
        return ["clean"] if of.form == "deidentified" else [of.target]

    @invariant()
    def archived_means_that_every_planned_copy_was_proven_once(self) -> None:
        if evaluate(self.view).archived:
            assert all(place in self.site.generation for place in (*TARGETS, "clean"))

    def teardown(self) -> None:
        """Repair everything, deliver the rest: the pack is archived, with the newest generations."""
        for place in (*TARGETS, "clean"):
            self.a_copy_is_written_and_proven(place)
        for event in (*reversed(self.untold), "deidentified"):
            self.hear(event)
        verdict = evaluate(self.view)
        assert verdict.secured
        assert verdict.archived
        assert {one.generation for one in verdict.proven if one.target == "onsite"} == {self.site.generation["onsite"]}


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase


EVENTS = [
    written(key("onsite")),
    verified(key("onsite")),
    damaged(key("onsite"), 5),
    verified(key("onsite", 1), 9),
    failed(key("cloud-a"), retrying=True),
    verified(key("cloud-a"), 30),
    verified(key("cloud-b"), 4),
]


@given(st.permutations(EVENTS), st.lists(st.sampled_from(EVENTS)))
@settings(max_examples=60, deadline=None)
def test_the_same_events_in_any_order_with_any_repeats_give_the_same_verdict(order, repeats):
    def verdict(events):
        known: dict = {}
        for event in events:
            one = known.get(event.copy_key, Observed(event.copy_key))
            known[event.copy_key] = observe(one, event, at(20))
        observed = tuple(known[each] for each in sorted(known, key=str))
        quarantined = {"research": Quarantine(withheld=1, released=0)}
        return evaluate(PackView("pack", WANTED, ("onsite",), observed, quarantines=quarantined))

    assert verdict([*order, *repeats]) == verdict(EVENTS)
