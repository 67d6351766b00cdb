"""Scheduled steps follow orders, patients, reports of modalities and arriving images, each in its transaction."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from services.hl7_fhir.adapters import step_evidence as evidence
from services.hl7_fhir.adapters import step_rows as rows
from services.hl7_fhir.adapters.following import OrderNow, PatientNow
from services.hl7_fhir.adapters.resources import load, save
from services.hl7_fhir.adapters.worklist_tables import steps
from services.hl7_fhir.domain import order, task
from services.hl7_fhir.domain.record import Fields, Known, Site, values
from services.hl7_fhir.domain.step import Order, Rules, Step, steps_of
from services.hl7_fhir.domain.step_state import DONE, WAITING, State, ordered, state
from shared.identity import SiteKey
from shared.observability import logger

#: Tells the RIS which Study Instance UID an order got here: (connection, order id, UID), in the transaction.
Announce = Callable[[Connection, str, str], None]

_OPEN = tuple(each.value for each in (*WAITING, State.HELD))

log = logger("causeway.worklist")


def keep_quiet(_: Connection, __: str, ___: str) -> None:
    """Nobody is to be told."""


@dataclass(frozen=True)
class _Occasion:
    """Why something is written: the message or event, and when."""

    message_ref: str
    now: datetime


class Steps:
    """The follower. ``keep`` is how long a step that is done stays on the list."""

    def __init__(
        self,
        site: Site,
        site_key: SiteKey,
        rules: Rules,
        *,
        keep: timedelta = timedelta(hours=1),
        announce: Announce = keep_quiet,
    ) -> None:
        self._site = site
        self._site_key = site_key
        self._rules = rules
        self._keep = keep
        self._announce = announce

    def order_changed(self, connection: Connection, now: OrderNow) -> None:
        """Make, change or end the steps of the order."""
        occasion = _Occasion(now.message_ref, now.now)
        self._schedule(connection, now.id, now.patient, now.status, now.fields, occasion)

    def patient_changed(self, connection: Connection, patient: PatientNow) -> None:
        """Show the patient as now known in every step that is still to be done."""
        waiting = select(steps.c.order_id).distinct().where(steps.c.patient == patient.id, steps.c.state.in_(_OPEN))
        occasion = _Occasion(patient.message_ref, patient.now)
        for order_id in connection.execute(waiting).scalars().all():
            self._schedule_again(connection, order_id, occasion)

    def patients_merged(self, connection: Connection, survivor: PatientNow, merged: str) -> None:
        """Show the survivor in the steps of the merged patient; their orders are the survivor's by now."""
        connection.execute(update(steps).where(steps.c.patient == merged).values(patient=survivor.id))
        occasion = _Occasion(survivor.message_ref, survivor.now)
        ids = select(steps.c.order_id).distinct().where(steps.c.patient == survivor.id)
        for order_id in connection.execute(ids).scalars().all():
            self._schedule_again(connection, order_id, occasion)

    def reported(
        self,
        connection: Connection,
        *,
        step_ref: str,
        number: int,
        said: str,
        studies: Iterable[str],
        step_ids: Iterable[str],
        event_ref: str,
        now: datetime,
    ) -> None:
        """A modality reported on a performed step (MPPS): ``said`` is its state after report ``number``."""
        evidence.take_turn(connection)
        known = evidence.add_report(connection, step_ref, number, said, tuple(studies), tuple(step_ids))
        self._look_again(connection, known, _Occasion(event_ref, now))

    def images_arrived(
        self, connection: Connection, *, study_uid: str, said: str, event_ref: str, now: datetime
    ) -> None:
        """Images of the study are here: ``said`` is ``received`` or ``completed``."""
        evidence.take_turn(connection)
        evidence.add_images(connection, study_uid, said)
        self._look_again(connection, {study_uid}, _Occasion(event_ref, now))

    def _schedule_again(self, connection: Connection, order_id: str, occasion: _Occasion) -> None:
        known = load(connection, "ServiceRequest", order_id)
        if known is not None and known.patient is not None:
            fields = values(known.record)
            self._schedule(connection, order_id, known.patient, known.body["status"], fields, occasion)

    def _schedule(
        self, connection: Connection, order_id: str, owner: str, status: str, fields: Fields, occasion: _Occasion
    ) -> None:
        known = {row.name: row for row in self._rows(connection, steps.c.order_id == order_id)}
        said = ordered(fields, status, self._rules.states)
        study_uid, made = self._study_uid(order_id, fields, known.values())
        since = min((_utc(row.created) for row in known.values()), default=occasion.now)
        asked = Order(fields, self._site_key.token("step-order", order_id), study_uid, since)
        found = steps_of(asked, self._fields_of(connection, owner), self._site, self._rules)
        if not known and said not in WAITING | {State.HELD}:
            return  # nobody ever had to do it
        if made and found and not any(row.made_uid for row in known.values()):
            self._announce(connection, order_id, made)
        common = {"order_id": order_id, "patient": owner, "said": said.value}
        for step in found:
            own = common | {"made_uid": made or getattr(known.get(step.name), "made_uid", None)}
            self._write(connection, step, own, known.get(step.name), occasion)
        self._withdraw(
            connection, [row for name, row in known.items() if name not in {s.name for s in found}], occasion
        )

    def _study_uid(self, order_id: str, fields: Fields, known: Iterable[Row[Any]]) -> tuple[str, str | None]:
        """The study's UID, and the same when it was made here: 2.25 and a UUID (PS3.5 annex B.2), always the same."""
        told = order.study_uid(fields)
        if told is not None:
            return told, None
        made = next((row.made_uid for row in known if row.made_uid), None)
        made = made or f"2.25.{int(self._site_key.token('study-uid', order_id), 16)}"
        return made, made

    def _write(
        self,
        connection: Connection,
        step: Step,
        common: Mapping[str, Any],
        before: Row[Any] | None,
        occasion: _Occasion,
    ) -> None:
        step_id = before.id if before else self._site_key.token("step-resource", common["order_id"], step.name)
        own = rows.values_of(step) | dict(common) | {"message_ref": occasion.message_ref}
        own |= {
            "state": before.state if before else common["said"],
            "created": before.created if before else occasion.now,
        }
        own |= {"listed": False, "leaves": before.leaves if before else None}
        rows.write(connection, step_id, step, own, is_new=before is None)
        if (step.cut or step.problem) and (
            before is None or (before.cut, before.problem) != (own["cut"], step.problem)
        ):
            log.warning("step-does-not-fit", ref=step_id, reason=step.problem, count=len(step.cut))
        self._settle(connection, step_id, occasion)

    def _withdraw(self, connection: Connection, gone: Iterable[Row[Any]], occasion: _Occasion) -> None:
        for row in gone:
            own = update(steps).where(steps.c.id == row.id)
            connection.execute(own.values(said=State.CANCELLED.value, message_ref=occasion.message_ref))
            self._settle(connection, row.id, occasion)

    def _look_again(self, connection: Connection, studies: set[str], occasion: _Occasion) -> None:
        mine = or_(steps.c.study_uid.in_(studies), steps.c.made_uid.in_(studies))
        for row in self._rows(connection, mine):
            self._settle(connection, row.id, occasion)

    def _settle(self, connection: Connection, step_id: str, occasion: _Occasion) -> None:
        """Bring the state of a step in line with everything that is known, and its Task with it."""
        (row,) = self._rows(connection, steps.c.id == step_id)
        studies = tuple(filter(None, (row.study_uid, row.made_uid)))
        reports = evidence.reports_of(connection, studies, row.step_id)
        images = evidence.images_of(connection, studies)
        alone = images == "completed" and evidence.is_alone(connection, step_id, row.study_uid)
        now = state(State(row.said), reports, images, alone=alone)
        is_done = now in DONE
        leaves = (row.leaves or occasion.now + self._keep) if is_done else None
        listed = (now in WAITING or is_done) and row.problem is None and row.said != State.DISCONTINUED.value
        change = {"state": now.value, "listed": listed, "leaves": leaves}
        connection.execute(update(steps).where(steps.c.id == step_id).values(change))
        self._save_task(connection, row, now, occasion)

    def _save_task(self, connection: Connection, row: Row[Any], now: State, occasion: _Occasion) -> None:
        body = task.resource(rows.step_of(row), now, row.order_id, row.patient, _utc(row.created), self._site)
        # ``save`` tells what changed by the record: here that is one value which stands for the whole.
        digest = hashlib.sha256(repr(body).encode()).hexdigest()
        save(
            connection,
            kind="Task",
            resource_id=row.id,
            before=load(connection, "Task", row.id),
            record={"Task": Known((((digest,),),), _utc(row.created))},
            body=body,
            patient=row.patient,
            message_ref=occasion.message_ref,
            now=occasion.now,
        )

    def _rows(self, connection: Connection, wanted: Any) -> list[Row[Any]]:
        return list(connection.execute(select(steps).where(wanted).order_by(steps.c.id)).all())

    def _fields_of(self, connection: Connection, patient: str) -> Fields:
        known = load(connection, "Patient", patient)
        return values(known.record) if known else {}


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
