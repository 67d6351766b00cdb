"""Whose studies belong together since patients were merged, by match tokens alone."""

import json
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Select, select

from contracts.events import PatientMerged
from services.catalog.adapters.tables import merged_patient, study, study_token
from services.catalog.adapters.upsert import upsert
from services.catalog.domain.dicom_json import Attributes, some

#: What is told of the patient who goes on, where a study of theirs is in the index (PS3.3 table C.7-1).
_OF_PATIENT = ("00100010", "00100020", "00100021", "00100030", "00100040")
_ID, _ISSUER, _OTHER_IDS = "00100020", "00100021", "00101002"


def add_merge(connection: Connection, event: PatientMerged) -> None:
    """Let one token stand for the other; a record without an id that matches anything has no studies to follow."""
    survivor, merged = event.patient_token, event.merged_token
    if survivor is None or merged is None or survivor == merged:
        return
    top = _survivor(connection, survivor)
    if top == merged:  # the last word counts
        connection.execute(merged_patient.delete().where(merged_patient.c.token == survivor))
        top = survivor
    stood = merged_patient.update().where(merged_patient.c.survivor == merged)
    connection.execute(stood.values(survivor=top))
    upsert(connection, merged_patient, {"token": merged, "survivor": top}, ("token",))


def _survivor(connection: Connection, token: str) -> str:
    found = select(merged_patient.c.survivor).where(merged_patient.c.token == token)
    return connection.execute(found).scalar_one_or_none() or token


def one_person(connection: Connection, ids: Collection[str], tokens: Iterable[str]) -> frozenset[str]:
    """All tokens of whoever bears one of ``ids`` in the index, or one of ``tokens``; empty unless merged."""
    at = study_token.c
    named = select(at.token).join(study, study.c.study_uid == at.study_uid).where(at.kind == "patient")
    borne = set(connection.execute(named.where(study.c.patient_id.in_(ids)).distinct()).scalars()) | set(tokens)
    link = merged_patient.c
    known = select(merged_patient).where(link.token.in_(borne) | link.survivor.in_(borne))
    survivors = {row.survivor for row in connection.execute(known)}
    others = select(link.token).where(link.survivor.in_(survivors))
    return frozenset(survivors | set(connection.execute(others).scalars())) if survivors else frozenset()


def studies_of(tokens: Collection[str]) -> Select[Any]:
    """The UIDs of the studies with one of the patients' ``tokens``."""
    mine = (study_token.c.kind == "patient", study_token.c.token.in_(tokens))
    return select(study_token.c.study_uid).where(*mine)


def survivors_of(connection: Connection, uids: Collection[str]) -> dict[str, Attributes]:
    """Of studies whose patient was merged: what another study in the index says of the one who goes on."""
    at, link = study_token.c, merged_patient.c
    merged = select(at.study_uid, link.survivor).join(merged_patient, link.token == at.token)
    found = connection.execute(merged.where(at.kind == "patient", at.study_uid.in_(uids))).all()
    by_token = {token: _patient(connection, token) for token in {row.survivor for row in found}}
    return {row.study_uid: patient for row in found if (patient := by_token[row.survivor])}


def _patient(connection: Connection, token: str) -> Attributes:
    mine = select(study.c.attributes).where(study.c.study_uid.in_(studies_of((token,))))
    first = connection.execute(mine.order_by(study.c.study_uid).limit(1)).scalar_one_or_none()
    return some(json.loads(first), _OF_PATIENT) if first else {}


def shown_as(document: dict[str, Any], survivor: Attributes) -> dict[str, Any]:
    """``document`` with the patient who goes on; the id in the images is one of the other ids."""
    before = some(document, (_ID, _ISSUER))
    return {**document, **survivor, _OTHER_IDS: {"vr": "SQ", "Value": [before]}}
