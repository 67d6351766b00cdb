"""When something is said of a study."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.lifecycle import (
    PATIENCE,
    Coming,
    State,
    Step,
    Study,
    coming,
    confidence,
    evidence,
    next_step,
)

RECEIVED = Study(state=State.RECEIVED, instances=10, told=0, last_event=100.0, quiet=5.0)


def test_a_new_study_is_received_at_once() -> None:
    assert next_step(replace(RECEIVED, state=State.NEW), 100.0) is Step.RECEIVE


def test_a_study_is_complete_only_after_its_source_was_quiet() -> None:
    assert next_step(RECEIVED, 104.9) is None
    assert next_step(RECEIVED, 105.0) is Step.COMPLETE


def test_a_study_that_lacks_stated_instances_is_waited_for_longer_and_held_for_less_sure() -> None:
    short = replace(RECEIVED, expected=12)
    assert next_step(short, 105.0) is None
    assert next_step(short, 100.0 + 5.0 * PATIENCE) is Step.COMPLETE
    assert confidence(short) < confidence(RECEIVED) < confidence(replace(RECEIVED, expected=10))


def test_an_order_adds_to_the_confidence_that_quiet_gives() -> None:
    ordered = replace(RECEIVED, ordered=True)
    assert [proof.kind for proof in evidence(ordered)] == ["quiet", "ordered"]
    assert confidence(RECEIVED) < confidence(ordered) < 1


def test_late_instances_revise_a_completed_or_archived_study_after_quiet() -> None:
    for state in (State.COMPLETED, State.ARCHIVED):
        late = replace(RECEIVED, state=state, told=8)
        assert next_step(late, 101.0) is None
        assert next_step(late, 105.0) is Step.REVISE


def test_a_study_is_archived_when_all_its_batches_are_and_all_its_instances_were_told() -> None:
    done = replace(RECEIVED, state=State.COMPLETED, told=10)
    assert next_step(done, 100.0) is Step.ARCHIVE
    assert next_step(replace(done, batches_open=1), 100.0) is None
    assert next_step(replace(done, instances=11), 100.0) is None
    assert next_step(replace(done, state=State.ARCHIVED), 1e9) is None


@given(
    state=st.sampled_from(State),
    instances=st.integers(1, 100),
    told=st.integers(0, 100),
    waited=st.floats(0, 1000),
    open_batches=st.integers(0, 3),
)
def test_nothing_is_archived_with_work_left_and_nothing_is_complete_before_quiet(
    state: State, instances: int, told: int, waited: float, open_batches: int
) -> None:
    study = Study(state, instances, told, 0.0, 5.0, batches_open=open_batches)
    step = next_step(study, waited)
    if step is Step.ARCHIVE:
        assert open_batches == 0 and told >= instances
    if step in (Step.COMPLETE, Step.REVISE):
        assert waited >= 5.0 and instances > told


def test_what_comes_next_is_known_beforehand_and_nothing_comes_while_copies_are_awaited() -> None:
    assert coming(RECEIVED) == Coming(Step.COMPLETE, 105.0)
    assert coming(replace(RECEIVED, expected=12)) == Coming(Step.COMPLETE, 100.0 + 5.0 * PATIENCE)
    assert coming(replace(RECEIVED, state=State.COMPLETED, told=10, batches_open=1)) is None
    assert coming(replace(RECEIVED, state=State.COMPLETED, told=10)) == Coming(Step.ARCHIVE)


STEPPED = replace(RECEIVED, steps_done=True)


def test_a_study_whose_steps_have_ended_and_whose_instances_are_held_is_complete_at_once() -> None:
    assert coming(STEPPED) == Coming(Step.COMPLETE)
    assert next_step(STEPPED, 100.0) is Step.COMPLETE
    assert [proof.kind for proof in evidence(STEPPED)] == ["steps_completed"], "nobody waited for quiet"
    assert confidence(RECEIVED) < confidence(replace(RECEIVED, ordered=True)) < confidence(STEPPED) < 1
    assert confidence(replace(STEPPED, expected=10)) >= confidence(STEPPED)


def test_a_stated_number_that_is_not_reached_contradicts_the_steps() -> None:
    short = replace(STEPPED, expected=12)
    assert coming(short) == Coming(Step.COMPLETE, 100.0 + 5.0 * PATIENCE)
    assert [proof.kind for proof in evidence(short)] == ["quiet", "expected_count"]
    assert confidence(short) < confidence(RECEIVED)


def test_what_comes_after_the_steps_is_waited_for_as_ever() -> None:
    assert coming(replace(STEPPED, state=State.COMPLETED, told=8)) == Coming(Step.REVISE, 105.0)
    assert coming(replace(STEPPED, state=State.NEW)) == Coming(Step.RECEIVE)
