"""What identifies patients, orders and studies, by match tokens: (issuer, id) under the site key, never plain."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, insert, or_, select, union, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.hl7_fhir.adapters.study_tables import (
    merged_patients,
    order_keys,
    patient_tokens,
    studies,
    study_orders,
    study_tokens,
)
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.studies.matching import Order, Study

#: Statements of every message, built once.
_TOKENS_OF = select(patient_tokens.c.token).where(patient_tokens.c.patient == bindparam("patient"))
_ORDER = select(order_keys).where(order_keys.c.id == bindparam("id"))
_AFFECTED = union(
    select(study_orders.c.study).where(study_orders.c.order_id == bindparam("id")),
    select(studies.c.id).where(studies.c.study_uid.in_(bindparam("uids", expanding=True))),
    select(study_tokens.c.study).where(
        study_tokens.c.kind == "accession", study_tokens.c.token.in_(bindparam("accessions", expanding=True))
    ),
)
_WITH_PATIENT = select(study_tokens.c.study).where(
    study_tokens.c.kind == "patient", study_tokens.c.token.in_(bindparam("tokens", expanding=True))
)

#: The patients and orders of whom nothing is kept here.
STRANGERS = {
    "Patient": ~exists().where(patient_tokens.c.patient == resources.c.id),
    "ServiceRequest": ~exists().where(order_keys.c.id == resources.c.id),
}

#: At most this many orders are looked at as candidates of one study.
_CANDIDATES = 50


def survivor_of(connection: Connection, patient: str) -> str:
    """The Patient that stands for ``patient``, itself unless it was merged."""
    merged = select(merged_patients.c.survivor).where(merged_patients.c.patient == patient)
    return connection.execute(merged).scalar_one_or_none() or patient


def family_of(connection: Connection, survivor: str) -> list[str]:
    """``survivor`` and every Patient that it stands for."""
    merged = select(merged_patients.c.patient).where(merged_patients.c.survivor == survivor)
    return [survivor, *connection.execute(merged).scalars()]


def merge(connection: Connection, survivor: str, merged: str) -> str:
    """Let ``survivor`` stand for ``merged``, and give the one that stands for both: the last word counts."""
    top = survivor_of(connection, survivor)
    if top == merged:
        connection.execute(delete(merged_patients).where(merged_patients.c.patient == survivor))
        top = survivor
    if top != merged:
        stood = update(merged_patients).where(merged_patients.c.survivor == merged)
        connection.execute(stood.values(survivor=top))
        upsert(connection, merged_patients, {"patient": merged, "survivor": top}, "patient")
    return top


def remember_patient(connection: Connection, patient: str, tokens: Mapping[str, bool]) -> set[str]:
    """Keep the tokens of ``patient`` (True for the decisive one), and give those that are new or gone."""
    at = patient_tokens.c
    known = set(connection.execute(_TOKENS_OF, {"patient": patient}).scalars())
    if gone := known - tokens.keys():
        connection.execute(delete(patient_tokens).where(at.patient == patient, at.token.in_(gone)))
    if new := tokens.keys() - known:
        rows = [{"token": token, "patient": patient, "decisive": tokens[token]} for token in sorted(new)]
        connection.execute(insert(patient_tokens), rows)
    return gone | new


def remember_order(connection: Connection, keys: Mapping[str, Any]) -> list[str]:
    """Keep the keys of an order, and give the studies that it is, was or may be tied to."""
    before = connection.execute(_ORDER, {"id": keys["id"]}).one_or_none()
    rows = [dict(keys)] if before is None else [dict(keys), dict(before._mapping)]
    if before is None:
        connection.execute(insert(order_keys), [dict(keys)])
    elif rows[0] != rows[1]:
        upsert(connection, order_keys, keys, "id")
    asked = {
        "id": keys["id"],
        "uids": [row["study_uid"] for row in rows if row["study_uid"]],
        "accessions": [row["accession_token"] for row in rows if row["accession_token"]],
    }
    return sorted(connection.execute(_AFFECTED, asked).scalars())


def studies_of_tokens(connection: Connection, tokens: Collection[str]) -> list[str]:
    """The studies whose images bear one of the patients' ``tokens``."""
    found = connection.execute(_WITH_PATIENT, {"tokens": sorted(tokens)}).scalars() if tokens else ()
    return sorted(set(found))


def studies_of_patients(connection: Connection, patients: Collection[str]) -> list[str]:
    """The studies of ``patients``: by their images, by their orders, or by a decision."""
    tokens = select(patient_tokens.c.token).where(patient_tokens.c.patient.in_(patients))
    by_image = select(study_tokens.c.study).where(study_tokens.c.kind == "patient", study_tokens.c.token.in_(tokens))
    mine = select(order_keys).where(order_keys.c.patient.in_(patients)).subquery()
    asked = union(
        by_image,
        select(studies.c.id).where(studies.c.patient.in_(patients)),
        select(study_orders.c.study).join(mine, study_orders.c.order_id == mine.c.id),
        select(studies.c.id).join(mine, studies.c.study_uid == mine.c.study_uid),
        select(study_tokens.c.study)
        .join(mine, study_tokens.c.token == mine.c.accession_token)
        .where(study_tokens.c.kind == "accession"),
    )
    return sorted(connection.execute(asked).scalars())


def remember_tokens(connection: Connection, study: str, patients: Iterable[str], accessions: Iterable[str]) -> None:
    """Keep the tokens of a study instead of those that it had."""
    connection.execute(delete(study_tokens).where(study_tokens.c.study == study))
    named = (("patient", patients), ("accession", accessions))
    rows = [{"study": study, "kind": kind, "token": token} for kind, tokens in named for token in sorted(tokens)]
    if rows:
        connection.execute(insert(study_tokens), rows)


def study_of(connection: Connection, row: Row[Any]) -> Study:
    """What identifies the study in ``row``."""
    found = connection.execute(
        select(study_tokens.c.kind, study_tokens.c.token).where(study_tokens.c.study == row.id)
    ).all()
    tokens = {token for kind, token in found if kind == "patient"}
    owners, strangers = _owners(connection, tokens)
    return Study(
        uid=row.study_uid,
        known=row.rank > 0,
        accessions=frozenset(token for kind, token in found if kind == "accession"),
        owners=frozenset(owners),
        strangers=frozenset(strangers),
        modalities=frozenset(row.modalities.split()),
        started=utc(row.started),
    )


def _owners(connection: Connection, tokens: set[str]) -> tuple[set[str], set[str]]:
    """The Patients that ``tokens`` name, and the tokens that name nobody. A decisive id goes before any other."""
    at = patient_tokens.c
    by_token: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(select(patient_tokens).where(at.token.in_(tokens))) if tokens else ():
        by_token.setdefault(row.token, []).append(row)
    named = [row for rows in by_token.values() for row in ([one for one in rows if one.decisive] or rows)]
    return {survivor_of(connection, row.patient) for row in named}, tokens - by_token.keys()


def orders_named(connection: Connection, study: Study) -> list[Order]:
    """The orders with the study's UID or one of its accession numbers."""
    same = or_(order_keys.c.study_uid == study.uid, order_keys.c.accession_token.in_(study.accessions))
    return _orders(connection, select(order_keys).where(same).order_by(order_keys.c.id))


def order_by_id(connection: Connection, order_id: str) -> Order | None:
    """One order, None when there is none."""
    return next(iter(_orders(connection, select(order_keys).where(order_keys.c.id == order_id))), None)


def orders_alike(connection: Connection, study: Study, window: tuple[datetime, datetime] | None) -> list[Order]:
    """Orders that may be meant: of the study's patients, else of its modality and in ``window``; a bounded number."""
    if study.owners:
        mine = [name for owner in study.owners for name in family_of(connection, owner)]
        alike = select(order_keys).where(order_keys.c.patient.in_(mine)).order_by(order_keys.c.scheduled.desc())
    elif window:
        near = order_keys.c.scheduled.between(*window)
        alike = select(order_keys).where(order_keys.c.modality.in_(study.modalities), near)
    else:
        return []
    return _orders(connection, alike.limit(_CANDIDATES))


def _orders(connection: Connection, chosen: Select[Any]) -> list[Order]:
    return [_order(connection, row) for row in connection.execute(chosen).all()]


def _order(connection: Connection, row: Row[Any]) -> Order:
    patient = survivor_of(connection, row.patient)
    mine = patient_tokens.c.patient.in_(family_of(connection, patient))
    return Order(
        id=row.id,
        patient=patient,
        identified=connection.execute(select(patient_tokens.c.token).where(mine).limit(1)).first() is not None,
        accession=row.accession_token,
        study_uid=row.study_uid,
        status=row.status,
        modality=row.modality,
        scheduled=utc(row.scheduled),
    )


def upsert(connection: Connection, table: Any, row: Mapping[str, Any], key: str) -> None:
    """Insert ``row``, or let it replace the one with the same ``key``."""
    made = (postgres_insert if connection.dialect.name == "postgresql" else sqlite_insert)(table).values(row)
    rest = {name: value for name, value in row.items() if name != key}
    connection.execute(made.on_conflict_do_update(index_elements=[key], set_=rest))


def utc(moment: datetime | None) -> datetime | None:
    """SQLite keeps no time zone: what was written was UTC."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
