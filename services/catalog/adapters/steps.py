"""Procedure steps in the index, as evidence that a study is complete (MPPS, PS3.4 annex F)."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from services.catalog.adapters.standing import look_ahead
from services.catalog.adapters.tables import step, step_instance, step_study
from services.catalog.adapters.upsert import insert_all, upsert
from services.catalog.domain.steps import Reported


def add_report(connection: Connection, reported: Reported) -> None:
    """A report on a step. Reports may come in any order and more than once: of each thing the newest word counts."""
    row = {"step_ref": reported.step_ref, "number": reported.number, "told": 0, "state": reported.state}
    is_newer = step.c.number < reported.number
    upsert(connection, step, row, ("step_ref",), where=is_newer, only=("number", "state"))
    insert_all(connection, step_study, [{"step_ref": reported.step_ref, "study_uid": uid} for uid in reported.studies])
    if reported.instances is not None:
        _tell(connection, reported, reported.instances)
    for study_uid in _studies(connection, reported.step_ref):
        look_ahead(connection, study_uid)


def _tell(connection: Connection, reported: Reported, instances: Sequence[str]) -> None:
    """What a step made: series that are set replace those that were (PS3.7 section 10.1.3)."""
    mine = (step.c.step_ref == reported.step_ref) & (step.c.told < reported.number)
    if connection.execute(update(step).where(mine).values(told=reported.number)).rowcount != 1:
        return
    connection.execute(delete(step_instance).where(step_instance.c.step_ref == reported.step_ref))
    rows = [{"step_ref": reported.step_ref, "sop_uid": uid} for uid in dict.fromkeys(instances)]
    insert_all(connection, step_instance, rows)


def _studies(connection: Connection, step_ref: str) -> list[str]:
    found = select(step_study.c.study_uid).where(step_study.c.step_ref == step_ref)
    return list(connection.execute(found.order_by(step_study.c.study_uid)).scalars())
