"""Procedure steps as evidence that a study is complete, on SQLite and on PostgreSQL."""

import itertools

import pytest

from services.catalog.adapters import studies
from services.catalog.adapters.register import register
from services.catalog.adapters.steps import add_report
from services.catalog.adapters.studies import Due
from services.catalog.domain.lifecycle import Step, coming
from services.catalog.domain.steps import Reported
from shared.sql.database import Database
from tests.integration.catalog.makers import arrived, batch, run

STUDY = "1.2.3"


def reported(
    number: int,
    state: str = "in-progress",
    instances: tuple[str, ...] | None = None,
    *,
    name: str = "step",
    of: tuple[str, ...] = (STUDY,),
) -> Reported:
    """A report on a step of the study."""
    return Reported(name, number, state, of, instances)


def done(*numbers: int, name: str = "step", number: int = 2) -> Reported:
    """A step that is completed and made these instances."""
    return reported(number, "completed", tuple(f"{STUDY}.1.{each}" for each in numbers), name=name)


async def standing(database: Database, study: str = STUDY) -> Due:
    """A study that was received, or is to be."""
    found = await database.read(studies.candidates)
    return next(one for one in found if one.study_uid == study)


async def received(database: Database, *numbers: int) -> None:
    """These instances are here, and the study is known to be."""
    await run(database, register, batch(*map(arrived, numbers)))
    await run(database, studies.advance, await standing(database), Step.RECEIVE, 100.0)


async def is_due_at_once(database: Database) -> bool:
    found = await standing(database)
    step = coming(found.study)
    assert step is not None and step.step is Step.COMPLETE
    return step.due == 0.0


async def test_a_completed_step_whose_instances_are_held_completes_the_study(database: Database) -> None:
    await received(database, 1, 2)
    await run(database, add_report, reported(1))
    assert not await is_due_at_once(database)
    await run(database, add_report, done(1, 2))
    assert await is_due_at_once(database)
    assert await run(database, studies.advance, await standing(database), Step.COMPLETE, 101.0)


async def test_the_last_instance_may_come_after_the_step_has_ended_and_the_step_before_the_study(
    database: Database,
) -> None:
    await run(database, add_report, done(1, 2))
    await received(database, 1)
    assert not await is_due_at_once(database), "one is missing"
    await run(database, register, batch(arrived(2), name="b2"))
    assert await is_due_at_once(database)


async def test_every_step_of_the_study_counts(database: Database) -> None:
    await received(database, 1, 2)
    await run(database, add_report, done(1, name="first"))
    await run(database, add_report, reported(1, name="second"))
    assert not await is_due_at_once(database)
    await run(database, add_report, done(2, name="second"))
    assert await is_due_at_once(database)


@pytest.mark.parametrize(
    "report",
    [
        reported(2, "discontinued", (f"{STUDY}.1.1",)),
        reported(2, "completed", ()),
        reported(2, "completed", None),
        reported(2, "unknown", (f"{STUDY}.1.1",)),
        reported(2, "completed", (f"{STUDY}.1.1", "9.9")),
        reported(2, "completed", (f"{STUDY}.1.1",), of=("1.9",)),
    ],
    ids=["discontinued", "made nothing", "told nothing", "unknown", "missing", "of another study"],
)
async def test_what_is_no_evidence_leaves_the_quiet_time_in_charge(database: Database, report: Reported) -> None:
    await received(database, 1)
    await run(database, add_report, report)
    found = coming((await standing(database)).study)
    assert found is not None and found.due == 105.0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_reports_in_any_order_and_twice_say_the_same(database: Database, order: tuple[int, ...]) -> None:
    """The last one says nothing of series: those of the one before it stand."""
    reports = [reported(1, instances=()), reported(2, instances=(f"{STUDY}.1.1",)), reported(3, "completed")]
    await received(database, 1)
    for number in (*order, *order):
        await run(database, add_report, reports[number])
    assert await is_due_at_once(database)


async def test_the_series_of_a_report_stand_for_all_before(database: Database) -> None:
    await received(database, 1)
    await run(database, add_report, reported(1, instances=("9.9",)))
    await run(database, add_report, done(1))
    assert await is_due_at_once(database), "what was rejected at the modality is not waited for"


async def test_a_step_for_two_studies_completes_both(database: Database) -> None:
    await received(database, 1)
    await run(database, register, batch(arrived(7, study="1.5"), name="b5", study="1.5"))
    await run(database, add_report, reported(2, "completed", (f"{STUDY}.1.1", "1.5.1.7"), of=(STUDY, "1.5")))
    assert await is_due_at_once(database)
    assert (await standing(database, "1.5")).study.steps_done
