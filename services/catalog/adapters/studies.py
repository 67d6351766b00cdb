"""The life cycle of studies in the index: who is due, and what was said."""

from typing import Any

from sqlalchemy import Connection, and_, func, select

from contracts.events import ProvenCopy
from services.catalog.adapters.copies import stands, told
from services.catalog.adapters.standing import due, look_ahead, standings
from services.catalog.adapters.tables import batch, copy, instance, pack_entry, study
from services.catalog.domain.copies import state_of
from services.catalog.domain.lifecycle import Step
from services.catalog.domain.telling import Due

#: At most this many studies of each kind are looked at in one round.
_ROUND = 100


def candidates(connection: Connection) -> list[Due]:
    """Studies of which something is to be said, for each step those that are due first.

    What waits for a copy is not among them, and no step takes the room of another: a dead target holds up no study.
    """
    soonest = standings().order_by(study.c.due, study.c.last_event).limit(_ROUND)
    rows = [row for step in Step for row in connection.execute(soonest.where(study.c.step == step.value))]
    return [due(row) for row in rows]


def _scalar(connection: Connection, statement: Any) -> int:
    return int(connection.execute(statement).scalar_one())


def newest_event(connection: Connection) -> float:
    """The newest event time in the index, seconds since 1970; 0 in an empty one."""
    return float(connection.execute(select(func.max(batch.c.closed))).scalar() or 0)


def advance(connection: Connection, found: Due, step: Step, now: float) -> bool:
    """Record that ``step`` is said; False when the study changed since it was read."""
    moment = {Step.COMPLETE: {"completed": now}, Step.REVISE: {"completed": now}, Step.ARCHIVE: {"archived": now}}
    same = and_(
        study.c.study_uid == found.study_uid,
        study.c.revision == found.revision,
        study.c.state == found.study.state.value,
        study.c.told == found.study.told,
        study.c.instances == found.study.instances,
    )
    revised = step in (Step.COMPLETE, Step.REVISE)
    state = {Step.REVISE: "completed"}.get(step, step.value)
    changes = {
        "state": state,
        "revision": found.revision + 1 if revised else found.revision,
        "told": found.study.instances if revised else found.study.told,
        **moment.get(step, {}),
    }
    if connection.execute(study.update().where(same).values(**changes)).rowcount != 1:
        return False
    look_ahead(connection, found.study_uid)
    return True


def proven_copies(connection: Connection, study_uid: str) -> tuple[ProvenCopy, ...]:
    """Every proven copy of the study's packs that were not called back."""
    packs = (
        select(pack_entry.c.pack_id)
        .select_from(pack_entry.join(instance, instance.c.identity == pack_entry.c.identity))
        .where(instance.c.study_uid == study_uid)
    )
    every = select(copy).where(copy.c.pack_id.in_(packs), stands()).order_by(copy.c.sealed_id, copy.c.target)
    proven = [row for row in connection.execute(every) if state_of(told(row)) == "proven"]
    names = ("sealed_id", "pack_id", "form", "target", "generation", "proven")
    return tuple(ProvenCopy.model_validate({name: row._mapping[name] for name in names}) for row in proven)


def withheld_count(connection: Connection, study_uid: str) -> int:
    """How many instances of the study were withheld from de-identified copies."""
    counted = select(func.coalesce(func.sum(batch.c.withheld), 0)).where(batch.c.study_uid == study_uid)
    return _scalar(connection, counted)


def listing(connection: Connection, study_uid: str | None) -> list[dict[str, Any]]:
    """Every study and its state, or one study's, for the operator; opaque and UIDs only."""
    wanted = standings() if study_uid is None else standings().where(study.c.study_uid == study_uid)
    return [_listed(due(row)) for row in connection.execute(wanted.order_by(study.c.first_event))]


def _listed(found: Due) -> dict[str, Any]:
    one = found.study
    return {
        "study_uid": found.study_uid,
        "study_ref": found.study_ref,
        "state": one.state.value,
        "revision": found.revision,
        "series": found.series,
        "instances": one.instances,
        "told": one.told,
        "batches_open": one.batches_open,
    }


def without_study(connection: Connection) -> dict[str, int]:
    """How many instances have no study, and how many of their batches are not archived yet."""
    alone = select(func.count()).select_from(instance).where(instance.c.study_uid.is_(None))
    waiting = select(func.count()).where(batch.c.study_uid.is_(None), batch.c.archived.is_(False))
    return {"instances": _scalar(connection, alone), "batches_open": _scalar(connection, waiting)}
