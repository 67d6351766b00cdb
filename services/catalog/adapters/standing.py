"""How studies stand: what a decision needs of each in one query, and when it is to be looked at again."""

from typing import Any

from sqlalchemy import Connection, Row, Select, and_, exists, func, not_, or_, select
from sqlalchemy.sql import ColumnElement

from services.catalog.adapters.tables import batch, instance, ordered, series, step, step_instance, step_study, study
from services.catalog.domain.lifecycle import State, Study, coming
from services.catalog.domain.telling import Due


def standings() -> Select[Any]:
    """Every study with its counts, to be narrowed down; each row is for ``due``."""
    number_of_series = select(func.count()).where(series.c.study_uid == study.c.study_uid)
    still_open = select(func.count()).where(batch.c.study_uid == study.c.study_uid, batch.c.archived.is_(False))
    orders = (ordered.c.study_uid == study.c.study_uid, ordered.c.accession_token == study.c.accession_token)
    # Two lookups, each by an index, rather than one over both columns.
    expected = or_(*(exists().where(order, ordered.c.cancelled.is_(False)) for order in orders))
    return select(
        study,
        number_of_series.scalar_subquery().label("number_of_series"),
        still_open.scalar_subquery().label("batches_open"),
        expected.label("is_ordered"),
        _steps_done().label("steps_done"),
    )


def _steps_done() -> ColumnElement[bool]:
    """Whether there are steps for a study, all of them completed, each having made something, and all of that held."""
    own = step_study.c.study_uid == study.c.study_uid
    made = exists().where(step_instance.c.step_ref == step.c.step_ref)
    of_step = step.c.step_ref == step_study.c.step_ref
    is_open = exists().where(own, of_step, or_(step.c.state != "completed", not_(made)))
    held = exists().where(instance.c.sop_uid == step_instance.c.sop_uid)
    is_missing = exists().where(own, step_instance.c.step_ref == step_study.c.step_ref, not_(held))
    return and_(exists().where(own), not_(is_open), not_(is_missing))


def due(row: Row[Any]) -> Due:
    """The study of a row of ``standings`` as the decision sees it."""
    return Due(
        study_uid=row.study_uid,
        study_ref=row.study_ref,
        revision=row.revision,
        series=row.number_of_series,
        study=Study(
            state=State(row.state),
            instances=row.instances,
            told=row.told,
            last_event=row.last_event,
            quiet=row.quiet,
            expected=row.expected,
            ordered=bool(row.is_ordered),
            batches_open=row.batches_open,
            steps_done=bool(row.steps_done),
        ),
    )


def look_ahead(connection: Connection, study_uid: str) -> None:
    """Note what is to be said of a study next; to be called after every change of it or its batches."""
    mine = study.c.study_uid == study_uid
    # Held before it is read: of two writers at once, the later one must see what both did.
    connection.execute(select(study.c.study_uid).where(mine).with_for_update())
    row = connection.execute(standings().where(mine)).first()
    if row is None:
        return
    found = coming(due(row).study)
    values = {"step": found.step.value, "due": found.due} if found else {"step": None, "due": None}
    connection.execute(study.update().where(mine).values(values))
