"""Scheduled steps follow orders, patients, reports of modalities and arriving images, each in its transaction."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from services.hl7_fhir.adapters import step_evidence as evidence
from services.hl7_fhir.adapters import step_rows as rows
from services.hl7_fhir.adapters.following import OrderNow, PatientNow
from services.hl7_fhir.adapters.resources import load, save
from services.hl7_fhir.adapters.tells import Tells, TellsNobody
from services.hl7_fhir.adapters.worklist_tables import steps
from services.hl7_fhir.domain.clinical import order
from services.hl7_fhir.domain.clinical.record import Fields, Known, Site, values
from services.hl7_fhir.domain.worklist import task
from services.hl7_fhir.domain.worklist.step import Order, Rules, Step, steps_of
from services.hl7_fhir.domain.worklist.step_progress import progress
from services.hl7_fhir.domain.worklist.step_state import DONE, WAITING, State, ordered, state
from shared.identity import SiteKey
from shared.observability import logger

_OPEN = tuple(each.value for each in (*WAITING, State.HELD))

_OF_ORDER = select(steps).where(steps.c.order_id == bindparam("order_id")).order_by(steps.c.id)
_TO_DO = select(steps.c.order_id).distinct().where(steps.c.patient == bindparam("patient"), steps.c.state.in_(_OPEN))

log = logger("causeway.worklist")


@dataclass(frozen=True)
class _Occasion:
    """Why something is written: the message or event, and when; and when the order came, if that was before."""

    message_ref: str
    now: datetime
    came: datetime | None = None


@dataclass(frozen=True)
class _Owner:
    """Whose order it is, with the present values where they were told."""

    id: str
    fields: Fields | None = field(repr=False)


class Steps:
    """The follower. ``keep`` is how long a step that is done stays on the list."""

    def __init__(
        self,
        site: Site,
        site_key: SiteKey,
        rules: Rules,
        *,
        keep: timedelta = timedelta(hours=1),
        tells: Tells | None = None,
    ) -> None:
        self._site = site
        self._site_key = site_key
        self._rules = rules
        self._keep = keep
        self._tells = tells or TellsNobody()

    def order_changed(self, connection: Connection, now: OrderNow) -> None:
        """Make, change or end the steps of the order."""
        self.order_found(connection, now)

    def order_found(self, connection: Connection, now: OrderNow, came: datetime | None = None) -> None:
        """The same for an order that ``came`` earlier than it is told of."""
        occasion = _Occasion(now.message_ref, now.now, came)
        owner = _Owner(now.patient, now.patient_fields)
        self._schedule(connection, now.id, owner, now.status, now.fields, occasion)

    def patient_changed(self, connection: Connection, patient: PatientNow) -> None:
        """Show the patient as now known in every step that is still to be done."""
        occasion = _Occasion(patient.message_ref, patient.now)
        for order_id in connection.execute(_TO_DO, {"patient": patient.id}).scalars().all():
            self._schedule_again(connection, order_id, patient, occasion)

    def patients_merged(self, connection: Connection, survivor: PatientNow, merged: str) -> None:
        """Show the survivor in the steps of the merged patient; their orders are the survivor's by now."""
        connection.execute(update(steps).where(steps.c.patient == merged).values(patient=survivor.id))
        occasion = _Occasion(survivor.message_ref, survivor.now)
        ids = select(steps.c.order_id).distinct().where(steps.c.patient == survivor.id)
        for order_id in connection.execute(ids).scalars().all():
            self._schedule_again(connection, order_id, survivor, occasion)

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

    def _schedule_again(self, connection: Connection, order_id: str, patient: PatientNow, occasion: _Occasion) -> None:
        known = load(connection, "ServiceRequest", order_id)
        if known is not None and known.patient is not None:
            owner = _Owner(known.patient, patient.fields if known.patient == patient.id else None)
            self._schedule(connection, order_id, owner, known.body["status"], values(known.record), occasion)

    def _schedule(
        self, connection: Connection, order_id: str, owner: _Owner, status: str, fields: Fields, occasion: _Occasion
    ) -> None:
        known = {row.name: row for row in connection.execute(_OF_ORDER, {"order_id": order_id})}
        said = ordered(fields, status, self._rules.states)
        if not known and said not in WAITING | {State.HELD}:
            return  # nobody ever had to do it
        study_uid, made = self._study_uid(order_id, fields, known.values())
        since = min((_utc(row.created) for row in known.values()), default=occasion.came or occasion.now)
        asked = Order(fields, self._site_key.token("step-order", order_id), study_uid, since)
        found = steps_of(asked, self._fields_of(connection, owner), self._site, self._rules)
        if made and found and not any(row.made_uid for row in known.values()):
            self._tells.announce(connection, order=order_id, study_uid=made, now=occasion.now)
        common = {"order_id": order_id, "patient": owner.id, "said": said.value, "made_uid": made}
        for step in found:
            self._write(connection, step, common, known.pop(step.name, None), occasion)
        for row in known.values():  # the order has it no more
            connection.execute(update(steps).where(steps.c.id == row.id).values(said=State.CANCELLED.value))
            self._settle(connection, row.id, occasion)

    def _study_uid(self, order_id: str, fields: Fields, known: Iterable[Row[Any]]) -> tuple[str, str | None]:
        """The study's UID, and the one that was made here: 2.25 and a UUID (PS3.5 annex B.2), always the same."""
        told = order.study_uid(fields)
        made = next((row.made_uid for row in known if row.made_uid), None)
        if told is None:
            made = made or f"2.25.{int(self._site_key.token('study-uid', order_id), 16)}"
        return told or made or "", made

    def _write(
        self,
        connection: Connection,
        step: Step,
        common: Mapping[str, Any],
        before: Row[Any] | None,
        occasion: _Occasion,
    ) -> None:
        own = {**rows.values_of(step), **common, "message_ref": occasion.message_ref}
        own["id"] = before.id if before else self._site_key.token("step-resource", common["order_id"], step.name)
        own["created"] = before.created if before else occasion.came or occasion.now
        own |= self._standing(connection, own, before.leaves if before else None, occasion)
        rows.write(connection, step, own, is_new=before is None)
        is_told = before is not None and (before.cut, before.problem) == (own["cut"], step.problem)
        if (step.cut or step.problem) and not is_told:
            log.warning("step-does-not-fit", ref=own["id"], reason=step.problem, count=len(step.cut))
        self._save_task(connection, step, own, occasion, is_new=before is None)

    def _look_again(self, connection: Connection, studies: set[str], occasion: _Occasion) -> None:
        mine = or_(steps.c.study_uid.in_(studies), steps.c.made_uid.in_(studies))
        for step_id in connection.execute(select(steps.c.id).where(mine).order_by(steps.c.id)).scalars().all():
            self._settle(connection, step_id, occasion)

    def _settle(self, connection: Connection, step_id: str, occasion: _Occasion) -> None:
        """Bring the state of a step in line with everything that is known, and its Task with it."""
        row = connection.execute(select(steps).where(steps.c.id == step_id)).one()
        own = dict(row._mapping)
        change = self._standing(connection, own, row.leaves, occasion)
        connection.execute(update(steps).where(steps.c.id == step_id).values(**change))
        self._save_task(connection, rows.step_of(row), own | change, occasion)
        if change["state"] != row.state:
            self._tell(connection, row, occasion)

    def _tell(self, connection: Connection, row: Row[Any], occasion: _Occasion) -> None:
        """Tell receivers how far the order is by all of its steps; what they were told once is not told again."""
        of_order = connection.execute(_OF_ORDER, {"order_id": row.order_id}).all()
        far = progress([State(each.state) for each in of_order])
        if far is not None:
            uid = row.study_uid or row.made_uid
            self._tells.status_changed(
                connection, order=row.order_id, state=far, cause=far.value, now=occasion.now, study_uid=uid
            )

    def _standing(
        self, connection: Connection, own: Mapping[str, Any], leaves: datetime | None, occasion: _Occasion
    ) -> dict[str, Any]:
        """The state of a step by everything that is known, whether it is listed, and until when."""
        studies = tuple(filter(None, (own["study_uid"], own["made_uid"])))
        reports, images = evidence.found(connection, studies, own["step_id"])
        alone = images == "completed" and evidence.is_alone(connection, own["id"], own["study_uid"])
        now = state(State(own["said"]), reports, images, alone=alone)
        is_done = now in DONE
        listed = (now in WAITING or is_done) and own["problem"] is None and own["said"] != State.DISCONTINUED.value
        return {
            "state": now.value,
            "listed": listed,
            "leaves": (leaves or occasion.now + self._keep) if is_done else None,
        }

    def _save_task(
        self, connection: Connection, step: Step, own: Mapping[str, Any], occasion: _Occasion, *, is_new: bool = False
    ) -> None:
        authored = _utc(own["created"])
        body = task.resource(step, State(own["state"]), own["order_id"], own["patient"], authored, self._site)
        # ``save`` tells what changed by the record: here that is one value which stands for the whole.
        digest = hashlib.sha256(repr(body).encode()).hexdigest()
        save(
            connection,
            kind="Task",
            resource_id=own["id"],
            before=None if is_new else load(connection, "Task", own["id"]),
            record={"Task": Known((((digest,),),), authored)},
            body=body,
            patient=own["patient"],
            message_ref=occasion.message_ref,
            now=occasion.now,
        )

    def _fields_of(self, connection: Connection, patient: _Owner) -> Fields:
        if patient.fields is not None:
            return patient.fields
        known = load(connection, "Patient", patient.id)
        return values(known.record) if known else {}


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
