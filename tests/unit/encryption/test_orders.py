"""What is sealed, under which ids, and when its buffer may go."""

from datetime import UTC, datetime

import pytest

from contracts.events import BatchArchived, Blob, PackPlanned, PlannedCopy, ProvenCopy, Sealed, Sections
from services.encryption.domain.orders import (
    Receipt,
    deidentified_orders,
    event_id,
    pack_sealed,
    planned_orders,
    releasable,
)
from shared.identity import SiteKey
from tests.support.packs import copies, deidentified, planned
from tests.unit.encryption.samples import BATCH

SITE_KEY = SiteKey(bytes(32))


#: Of which earlier versions made the id of a pack whose buffer was never repaired.
_RELEASED_PARTS = ("imaging.pack.sealed.v1", "cause", SITE_KEY.token("sealed", "pack", "hospital"), 1)


def plan(*wanted: PlannedCopy, run: int = 0) -> PackPlanned:
    return planned([BATCH], wanted, run=run)


def test_one_order_for_each_key_domain_of_the_identified_copies() -> None:
    wanted = copies("a", "b", domain="one") + copies("c", domain="two") + copies("d", form="deidentified")
    orders = planned_orders(SITE_KEY, "cause", plan(*wanted))
    assert {order.key_domain: [copy.target for copy in order.copies] for order in orders} == {
        "one": ["a", "b"],
        "two": ["c"],
    }


def test_a_plan_of_deidentified_copies_alone_asks_for_nothing() -> None:
    assert planned_orders(SITE_KEY, "cause", plan(*copies("a", form="deidentified"))) == ()


def test_ids_are_the_same_for_a_repeat_and_for_another_run() -> None:
    [one] = planned_orders(SITE_KEY, "cause", plan(*copies("a")))
    [two] = planned_orders(SITE_KEY, "other", plan(*copies("a", "b"), run=3))
    assert (one.sealed_id, one.study_key_id) == (two.sealed_id, two.study_key_id)


def test_forms_and_projects_of_a_study_have_keys_of_their_own() -> None:
    [identified] = planned_orders(SITE_KEY, "cause", plan(*copies("a")))
    first = deidentified(BATCH, copies("a", form="deidentified"))
    second = first.model_copy(update={"project": "another"})
    ids = {identified.study_key_id}
    ids |= {order.study_key_id for event in (first, second) for order in deidentified_orders(SITE_KEY, "c", event)}
    assert len(ids) == 3


def _receipt(sealed_id: str = "sealed") -> Receipt:
    sealed = Sealed(
        sealed_id=sealed_id,
        pack_id="pack",
        form="identified",
        key_domain="hospital",
        study_key=Blob(store="keys", key="key", size=1),
        instances=1,
        size=1,
        manifest_sha256="0" * 64,
        sections=Sections(manifest=1, headers=1, archive=1),
        parts=(),
    )
    return Receipt(generation=1, sealed=sealed, envelope="")


def test_the_event_of_a_repeat_has_the_id_of_the_first() -> None:
    [order] = planned_orders(SITE_KEY, "cause", plan(*copies("a")))
    assert event_id(SITE_KEY, order) == event_id(SITE_KEY, order) == SITE_KEY.event_id(*_RELEASED_PARTS, order.run)


@pytest.mark.parametrize("change", ["cause", "run"])
def test_another_cause_or_run_has_an_event_of_its_own(change: str) -> None:
    cause = "other" if change == "cause" else "cause"
    [before] = planned_orders(SITE_KEY, "cause", plan(*copies("a")))
    [after] = planned_orders(SITE_KEY, cause, plan(*copies("a"), run=1 if change == "run" else 0))
    assert event_id(SITE_KEY, before) != event_id(SITE_KEY, after)


def test_the_run_of_the_plan_is_passed_on() -> None:
    [order] = planned_orders(SITE_KEY, "cause", plan(*copies("a", "b"), run=2))
    event = pack_sealed(order, _receipt())
    assert (event.run, [copy.target for copy in event.copies]) == (2, ["a", "b"])


def test_only_what_has_a_proven_copy_is_released() -> None:
    proof = ProvenCopy(
        sealed_id="one", pack_id="pack", form="identified", target="a", generation=1, proven=datetime.now(UTC)
    )
    event = BatchArchived(
        batch_id="batch",
        study_uid=None,
        study_ref="study",
        pack_ids=("pack",),
        sealed_ids=("one", "two"),
        copies=(proof,),
        withheld=0,
    )
    assert releasable(event) == ("one",)
