"""What modalities reported and which images arrived, kept beside the steps so that order does not matter."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Table, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from services.hl7_fhir.adapters.resources import FEED_LOCK
from services.hl7_fhir.adapters.worklist_tables import (
    step_report_steps,
    step_report_studies,
    step_reports,
    steps,
    study_images,
)
from services.hl7_fhir.domain.step_state import State


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
    insert_new(connection, step_reports, {"step_ref": step_ref, "number": number, "state": state})
    newer = (step_reports.c.step_ref == step_ref, step_reports.c.number < number)
    connection.execute(update(step_reports).where(*newer).values(number=number, state=state))
    for study_uid in studies:
        insert_new(connection, step_report_studies, {"study_uid": study_uid, "step_ref": step_ref})
    for step_id in step_ids:
        insert_new(connection, step_report_steps, {"step_ref": step_ref, "step_id": step_id})
    known = select(step_report_studies.c.study_uid).where(step_report_studies.c.step_ref == step_ref)
    return set(connection.execute(known).scalars())


def add_images(connection: Connection, study_uid: str, state: str) -> None:
    """Keep that images of the study are here; ``completed`` is never taken back."""
    insert_new(connection, study_images, {"study_uid": study_uid, "state": state})
    if state == "completed":
        connection.execute(update(study_images).where(study_images.c.study_uid == study_uid).values(state=state))


def reports_of(connection: Connection, studies: Collection[str], step_id: str) -> list[str]:
    """The states of the performed steps of these studies that fulfil the step: those that name it, or name none."""
    named = select(step_report_steps.c.step_ref)
    mine = named.where(step_report_steps.c.step_id == step_id)
    found = (
        select(step_reports.c.state)
        .join(step_report_studies, step_report_studies.c.step_ref == step_reports.c.step_ref)
        .where(step_report_studies.c.study_uid.in_(studies))
        .where(or_(step_reports.c.step_ref.in_(mine), step_reports.c.step_ref.not_in(named)))
    )
    return list(connection.execute(found).scalars())


def images_of(connection: Connection, studies: Collection[str]) -> str | None:
    """``received`` or ``completed`` for the furthest of the studies, None when nothing is here."""
    found = set(connection.execute(select(study_images.c.state).where(study_images.c.study_uid.in_(studies))).scalars())
    return "completed" if "completed" in found else "received" if found else None


def is_alone(connection: Connection, step_id: str, study_uid: str) -> bool:
    """Whether no other step that is to be done is of the study."""
    others = (
        select(steps.c.id)
        .where(steps.c.study_uid == study_uid, steps.c.id != step_id, steps.c.said != State.CANCELLED.value)
        .limit(1)
    )
    return connection.execute(others).first() is None
