"""Orders that were here before their scheduled steps were wanted get them at the next start."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from services.hl7_fhir.adapters.following import OrderNow, PatientNow
from services.hl7_fhir.adapters.steps import Steps
from services.hl7_fhir.adapters.study_tables import order_keys, study_orders
from services.hl7_fhir.adapters.tables import resources, versions
from services.hl7_fhir.adapters.worklist_tables import steps


class LateSteps:
    """A newcomer (``telling_all``) for the orders without a step that changed within ``back``.

    Who has nothing to do, such as an order that is done, stays without one and is looked at again at every start.
    """

    def __init__(self, follower: Steps, back: timedelta, clock: Callable[[], datetime] | None = None) -> None:
        self._follower = follower
        self._back = back
        self._clock = clock or (lambda: datetime.now(UTC))

    def strangers(self) -> Mapping[str, ColumnElement[bool]]:
        """The orders, without those whose images came under a UID that they do not name.

        A step of theirs would be for another study: nobody takes it, and the RIS would be told of a UID that no study
        has.
        """
        has_step = exists(select(steps.c.id).where(steps.c.order_id == resources.c.id))
        tied = select(study_orders.c.study).join(order_keys, order_keys.c.id == study_orders.c.order_id)
        is_done = exists(tied.where(study_orders.c.order_id == resources.c.id, order_keys.c.study_uid.is_(None)))
        return {"ServiceRequest": and_(resources.c.updated >= self._clock() - self._back, ~has_step, ~is_done)}

    def patient_found(self, connection: Connection, patient: PatientNow) -> None:
        """No step is of a patient alone."""

    def order_changed(self, connection: Connection, order: OrderNow) -> None:
        """Make its steps as if it had come when it came."""
        first = select(func.min(versions.c.updated)).where(
            versions.c.type == "ServiceRequest", versions.c.id == order.id
        )
        came = connection.execute(first).scalar_one() or order.now
        self._follower.order_found(connection, order, came if came.tzinfo else came.replace(tzinfo=UTC))
