"""What people decided of studies: a journal that is only added to, read back whenever a study is decided anew."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from services.hl7_fhir.adapters.study_keys import order_by_id, survivor_of
from services.hl7_fhir.adapters.study_tables import study_decisions
from services.hl7_fhir.domain.studies.matching import Decided


def decided_of(connection: Connection, study: str) -> Decided:
    """What holds: the last word on the order and on the patient, and the reasons that were dismissed."""
    rows = select(study_decisions).where(study_decisions.c.study == study).order_by(study_decisions.c.number)
    order, patient, dismissed = None, None, frozenset[str]()
    for row in connection.execute(rows):
        if row.kind == "order":
            order = row.target
        elif row.kind == "patient":
            patient = row.target
        elif row.kind == "dismiss":
            dismissed |= frozenset(row.target.split())
        else:
            order, patient, dismissed = None, None, frozenset()
    return Decided(
        order=order_by_id(connection, order) if order else None,
        patient=survivor_of(connection, patient) if patient else None,
        dismissed=dismissed,
    )


def write_down(connection: Connection, study: str, kind: str, target: str, who: str, when: datetime) -> None:
    """Add a decision to the journal."""
    row = {"study": study, "kind": kind, "target": target, "who": who[:128], "decided": when}
    connection.execute(insert(study_decisions).values(row))
