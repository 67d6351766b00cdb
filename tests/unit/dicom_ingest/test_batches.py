"""Which batch an instance joins, and when a batch is closed."""

from services.dicom_ingest.domain.batches import BatchRules, BatchState, due, may_join, outgrown, superfluous
from services.dicom_ingest.domain.study_scan import UNKNOWN_STUDY, StudyKey

RULES = BatchRules(max_bytes=64 << 20, max_instances=512, quiet=1.0, quiet_after_end=0.25, max_open=4)
SOURCE = ("CT1", "CW")
STUDY, OTHER, NONE = StudyKey("1.2.3"), StudyKey("1.2.4"), StudyKey(None)


def test_instances_of_one_study_share_a_batch_and_others_do_not() -> None:
    batch = BatchState(STUDY, SOURCE, size=1000, instances=1)
    assert may_join(batch, STUDY, SOURCE, RULES)
    assert not may_join(batch, OTHER, SOURCE, RULES)
    assert not may_join(batch, NONE, SOURCE, RULES)
    assert not may_join(batch, STUDY, ("MR1", "CW"), RULES)


def test_instances_without_a_study_share_a_batch_and_those_of_an_unknown_one_share_none() -> None:
    assert may_join(BatchState(NONE, SOURCE), NONE, SOURCE, RULES)
    assert not may_join(BatchState(UNKNOWN_STUDY, SOURCE), UNKNOWN_STUDY, SOURCE, RULES)


def test_a_batch_in_use_a_finished_one_and_a_full_one_take_nothing() -> None:
    assert not may_join(BatchState(STUDY, SOURCE, busy=True), STUDY, SOURCE, RULES)
    assert not may_join(BatchState(STUDY, SOURCE, finished=True), STUDY, SOURCE, RULES)
    assert not may_join(BatchState(STUDY, SOURCE, instances=512), STUDY, SOURCE, RULES)
    assert not may_join(BatchState(STUDY, SOURCE, size=64 << 20), STUDY, SOURCE, RULES)


def test_a_large_instance_moves_out_unless_it_is_alone() -> None:
    assert outgrown(BatchState(STUDY, size=60 << 20, instances=3), 5 << 20, RULES)
    assert not outgrown(BatchState(STUDY, size=60 << 20, instances=3), 3 << 20, RULES)
    assert not outgrown(BatchState(STUDY, size=200, instances=0), 5 << 30, RULES)


def test_a_batch_closes_after_a_second_of_quiet() -> None:
    assert due(BatchState(STUDY, instances=1, last=10.0, visitors={"a"}), RULES) == 11.0


def test_the_end_of_an_association_shortens_the_wait_and_does_not_close() -> None:
    assert due(BatchState(STUDY, instances=1, last=10.0, ended=10.1), RULES) == 10.35
    assert due(BatchState(STUDY, instances=1, last=10.0, ended=10.9), RULES) == 11.0


def test_the_end_of_one_association_shortens_nothing_while_another_stores() -> None:
    assert due(BatchState(STUDY, instances=1, last=10.0, ended=10.1, visitors={"b"}), RULES) == 11.0


def test_a_full_a_finished_and_a_solitary_batch_close_at_once() -> None:
    for batch in (
        BatchState(STUDY, instances=512, last=10.0),
        BatchState(STUDY, instances=1, last=10.0, finished=True),
        BatchState(UNKNOWN_STUDY, instances=1, last=10.0),
    ):
        assert due(batch, RULES) == 10.0


def test_the_idle_batch_that_was_used_longest_ago_makes_place_for_another() -> None:
    batches = [BatchState(STUDY, last=number, busy=number == 1) for number in (3.0, 1.0, 2.0, 4.0)]
    assert superfluous(batches, RULES) == [batches[2]]
    assert superfluous(batches[:3], RULES) == []
