"""What modalities reported and which images arrived, kept beside the steps so that order does not matter."""

import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Table,
    bindparam,
    literal,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.hl7_fhir.adapters.feed_lock import FEED_LOCK
from services.hl7_fhir.adapters.worklist_tables import (
    step_report_steps,
    step_report_studies,
    step_reports,
    steps,
    study_images,
)
from services.hl7_fhir.domain.worklist.step_state import State


def _evidence() -> CompoundSelect[Any]:
    studies: BindParameter[Any] = bindparam("studies", expanding=True)
    named = select(step_report_steps.c.step_ref)
    mine = named.where(step_report_steps.c.step_id == bindparam("step_id"))
    reports = (
        select(step_reports.c.state, literal(1).label("is_report"))
        .join(step_report_studies, step_report_studies.c.step_ref == step_reports.c.step_ref)
        .where(step_report_studies.c.study_uid.in_(studies))
        .where(or_(step_reports.c.step_ref.in_(mine), step_reports.c.step_ref.not_in(named)))
    )
    images = select(study_images.c.state, literal(0)).where(study_images.c.study_uid.in_(studies))
    return union_all(reports, images)


#: Made once: an order costs less to keep than the building of its statements.
_EVIDENCE = _evidence()


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert the row unless its key is taken."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(row).on_conflict_do_nothing())


def take_turn(connection: Connection) -> None:
    """On PostgreSQL, follow messages and other events one at a time, in the order in which all who save do."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:space, 0)"), {"space": FEED_LOCK})


def add_report(
    connection: Connection, step_ref: str, number: int, state: str, studies: Collection[str], step_ids: Collection[str]
) -> set[str]:
    """Keep a report on a performed step, unless a later one is known; the studies that it is of."""
    row = {"step_ref": step_ref, "number": number, "state": state, "at": time.time()}
    insert_new(connection, step_reports, row)
    newer = (step_reports.c.step_ref == step_ref, step_reports.c.number < number)
    connection.execute(update(step_reports).where(*newer).values(row))
    for study_uid in studies:
        insert_new(connection, step_report_studies, {"study_uid": study_uid, "step_ref": step_ref})
    for step_id in step_ids:
        insert_new(connection, step_report_steps, {"step_ref": step_ref, "step_id": step_id})
    known = select(step_report_studies.c.study_uid).where(step_report_studies.c.step_ref == step_ref)
    return set(connection.execute(known).scalars())


def add_images(connection: Connection, study_uid: str, state: str) -> None:
    """Keep that images of the study are here; ``completed`` is never taken back."""
    row = {"study_uid": study_uid, "state": state, "at": time.time()}
    insert_new(connection, study_images, row)
    if state == "completed":
        connection.execute(update(study_images).where(study_images.c.study_uid == study_uid).values(row))


def found(connection: Connection, studies: Collection[str], step_id: str) -> tuple[list[str], str | None]:
    """The states of the performed steps that fulfil a step, and which images of its studies are here.

    Of the performed steps of these studies those count that name the step, or name none. Images are ``received`` or
    ``completed``, for the furthest of the studies, or None.
    """
    known = connection.execute(_EVIDENCE, {"studies": list(studies), "step_id": step_id}).all()
    reports = [row.state for row in known if row.is_report]
    images = {row.state for row in known if not row.is_report}
    return reports, "completed" if "completed" in images else "received" if images else None


def is_alone(connection: Connection, step_id: str, study_uid: str) -> bool:
    """Whether no other step that is to be done is of the study."""
    others = (
        select(steps.c.id)
        .where(steps.c.study_uid == study_uid, steps.c.id != step_id, steps.c.said != State.CANCELLED.value)
        .limit(1)
    )
    return connection.execute(others).first() is None
