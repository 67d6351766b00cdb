"""Instances are told apart by name, content and syntax; contradictions are found and told once."""

from services.tier_routing.domain.identity import (
    Known,
    claim_of,
    claims_of,
    conflicted,
    conflicts,
    entries_of,
    uid_hash,
)
from shared.identity import SiteKey
from tests.unit.tier_routing.makers import instance, manifest

KEY = SiteKey(bytes(32))


def kinds(found) -> list[str]:
    return [conflict.kind for conflict in found]


def test_the_identity_is_sixteen_bytes_of_name_content_and_syntax():
    one = claim_of(instance(1))
    assert len(one.identity) == 16
    assert one == claim_of(instance(1, series_uid="9.9"))
    assert one.identity != claim_of(instance(1, content=2)).identity
    assert one.identity != claim_of(instance(1, transfer_syntax="1.2.840.10008.1.2")).identity
    assert one.name == claim_of(instance(1, content=2)).name


def test_claims_are_sorted_and_distinct_so_that_two_processes_lock_in_one_order():
    claims = claims_of([instance(2), instance(1), instance(2)])
    assert list(claims) == sorted(set(claims))
    assert len(claims) == 2


def test_entries_are_those_where_an_identity_stands_first():
    batch = manifest(instance(1), instance(2), instance(1), instance(1, content=9))
    identities = [claim_of(each).identity for each in batch.instances]
    assert entries_of(batch) == {identities[0]: 1, identities[1]: 2, identities[3]: 4}


def test_other_content_under_a_known_name_is_a_version():
    new = instance(1, content=7)
    found = conflicts(manifest(new), "study-1", Known(versions={claim_of(new).name: "batch-0"}))
    assert [(each.kind, each.instance, each.other) for each in found] == [("instance_version", new, "batch-0")]


def test_a_version_that_another_batch_brought_before_is_not_told_again():
    new = instance(1, content=7)
    known = Known(owners={claim_of(new).identity: "batch-0"}, versions={claim_of(new).name: "batch-0"})
    assert conflicts(manifest(new), "study-1", known) == ()


def test_two_contents_of_one_name_within_a_batch_are_a_version_told_once():
    found = conflicts(manifest(instance(1), instance(1, content=7), instance(1)), "study-1", Known())
    assert [(each.kind, each.instance.dataset_sha256[-1]) for each in found] == [("instance_version", "7")]


def test_a_study_under_another_patient_is_a_conflict_told_once_for_each_patient():
    strangers = [instance(n, patient_token=token) for n, token in enumerate(["mine", "other", "other", None])]
    found = conflicts(manifest(*strangers), "study-1", Known(patient="mine"))
    assert kinds(found) == ["study_patient"]


def test_two_patients_within_the_first_batch_of_a_study_are_a_conflict():
    found = conflicts(manifest(instance(1, patient_token="a"), instance(2, patient_token="b")), "study-1", Known())
    assert kinds(found) == ["study_patient"]


def test_empty_patient_ids_never_match_anything():
    assert conflicts(manifest(instance(1), instance(2)), "study-1", Known(patient="mine")) == ()


def test_instances_without_a_study_belong_to_no_patients_study():
    loose = manifest(instance(1, study_uid=None, patient_token="other"), study=None)
    assert conflicts(loose, "loose", Known(patient="mine")) == ()


def test_a_series_under_another_study_is_a_conflict_told_once():
    known = Known(series={uid_hash("1.2.3"): "study-0"})
    found = conflicts(manifest(instance(1), instance(2)), "study-1", known)
    assert [(each.kind, each.other) for each in found] == [("series_study", "study-0")]


def test_a_series_under_its_own_study_is_none():
    assert conflicts(manifest(instance(1)), "study-1", Known(series={uid_hash("1.2.3"): "study-1"})) == ()


def test_the_same_contradiction_has_the_same_id_whichever_batch_shows_it():
    known = Known(patient="mine")
    ids = {
        conflicted(conflict, batch, "study-1", KEY).conflict_id
        for batch in ("one", "two")
        for conflict in conflicts(manifest(instance(1, patient_token="other"), batch=batch), "study-1", known)
    }
    assert len(ids) == 1
