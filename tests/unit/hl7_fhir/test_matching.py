"""What ties a study to an order: never anything that something contradicts."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.studies.deciding import Verdict, VerdictRefused, read_verdict
from services.hl7_fhir.domain.studies.matching import (
    ENDED,
    Decided,
    Order,
    Study,
    confidence,
    evidence,
    match,
    objections,
)

NOBODY = Decided()
WHEN = datetime(2026, 1, 1, 12, tzinfo=UTC)

uids = st.sampled_from(("1.1", "1.2"))
tokens = st.sampled_from(("a", "b"))
patients = st.sampled_from(("p", "q"))
orders = st.lists(
    st.builds(
        Order,
        id=st.sampled_from("123456"),
        patient=patients,
        identified=st.booleans(),
        accession=st.none() | tokens,
        study_uid=st.none() | uids,
        status=st.sampled_from(("active", "revoked", "completed")),
        modality=st.none() | st.just("CT"),
        scheduled=st.none() | st.just(WHEN),
    ),
    max_size=4,
    unique_by=lambda order: order.id,
)
studies = st.builds(
    Study,
    uid=uids,
    known=st.booleans(),
    accessions=st.frozensets(tokens, max_size=2),
    owners=st.frozensets(patients, max_size=2),
    strangers=st.frozensets(st.just("s")),
    modalities=st.just(frozenset(("CT",))),
    started=st.just(WHEN),
)


def named(study: Study, found: Iterable[Order]) -> list[Order]:
    """Those of ``found`` that the images name."""
    return [one for one in found if one.study_uid == study.uid or one.accession in study.accessions]


@given(studies, orders)
def test_what_is_tied_is_named_by_the_images_and_contradicted_by_nothing(study: Study, found: list[Order]) -> None:
    known = {order.id: order for order in found}
    tied = [known[name] for name in match(study, named(study, found), NOBODY).orders]
    for order in tied:
        assert order.study_uid == study.uid or order.accession in study.accessions
        assert objections(study, order) == ()
        if order.study_uid is None:
            assert study.owners == {order.patient} and not study.strangers and order.identified
    assert len({order.patient for order in tied}) <= 1


@given(studies, orders)
def test_likeness_alone_ties_nothing(study: Study, found: list[Order]) -> None:
    alike = [order for order in found if order not in named(study, found)]
    assert match(study, named(study, alike), NOBODY).orders == ()
    assert all(confidence(study, order) < 0.9 for order in alike)


@given(studies, orders, st.randoms())
def test_the_order_in_which_orders_are_looked_at_decides_nothing(
    study: Study, found: list[Order], random: object
) -> None:
    before = match(study, named(study, found), NOBODY)
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis's own random
    assert match(study, named(study, shuffled), NOBODY) == before


@given(studies, orders)
def test_a_known_study_that_nothing_ties_waits_for_a_person(study: Study, found: list[Order]) -> None:
    told = match(study, named(study, found), NOBODY)
    assert not study.known or told.orders or told.reasons
    assert study.known or told.reasons == ()
    assert told.orders or told.basis == "none"


@given(studies, orders, st.builds(Order, id=st.just("x"), patient=patients))
def test_a_person_decides_against_all_rules(study: Study, found: list[Order], chosen: Order) -> None:
    told = match(study, named(study, found), Decided(order=chosen, patient="q"))
    assert (told.orders, told.patient, told.basis, told.reasons) == (("x",), "q", "decision", ())


@given(studies, orders)
def test_confidence_is_never_certainty_and_falls_with_each_objection(study: Study, found: list[Order]) -> None:
    for order in found:
        assert 0 <= confidence(study, order) <= 0.95
        assert bool(evidence(study, order)) or confidence(study, order) == 0
        if objections(study, order):
            assert confidence(study, order) <= 0.5
        assert ("order-cancelled" in objections(study, order)) is (order.status in ENDED)


def test_an_order_near_in_time_is_likelier_than_one_that_is_not() -> None:
    study = Study("1.1", owners=frozenset("p"), modalities=frozenset(("CT",)), started=WHEN)
    hours = (1, 12, 100, 1000)
    found = [Order(f"{n}", "p", modality="CT", scheduled=WHEN + timedelta(hours=n)) for n in hours]
    worths = [confidence(study, order) for order in found]
    assert worths == sorted(worths, reverse=True) and len(set(worths)) == 4


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"order": "abc"}, Verdict("order", "abc")),
        ({"order": "ServiceRequest/abc"}, Verdict("order", "abc")),
        ({"patient": "Patient/abc"}, Verdict("patient", "abc")),
        ({"dismiss": True}, Verdict("dismiss")),
        ({"undo": True}, Verdict("undo")),
    ],
)
def test_a_verdict_is_read(body: object, verdict: Verdict) -> None:
    assert read_verdict(body) == verdict


@pytest.mark.parametrize(
    "body", [None, [], {}, {"order": ""}, {"order": 1}, {"order": "a" * 65}, {"dismiss": False}, {"x": 1}, {"undo": 1}]
)
def test_what_is_no_verdict_is_refused(body: object) -> None:
    with pytest.raises(VerdictRefused):
        read_verdict(body)


def test_a_verdict_says_one_thing() -> None:
    with pytest.raises(VerdictRefused):
        read_verdict({"order": "a", "patient": "b"})
