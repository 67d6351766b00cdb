"""The document behind a study's claim check, for readers on site: what it consists of, and match tokens.

Nobody's name, id or birth date is in it, but descriptions and times are, which an operator types: it never leaves the
site. It only grows: a reader takes what it knows and ignores the rest.
"""

import json
from typing import Any

from sqlalchemy import Connection, select

from services.catalog.adapters.tables import instance, series, study, study_token
from services.catalog.domain.dicom_json import first
from services.catalog.domain.telling import SUMMARY_FORMAT, Due

_ZONE, _SERIES_DATE, _SERIES_TIME, _LATERALITY = "00080201", "00080021", "00080031", "00200060"


def summary(connection: Connection, found: Due) -> bytes:
    """The study by UIDs, tokens and what its series are; times as in the headers (PS3.5 section 6.2, DA and TM)."""
    document = {
        "format": SUMMARY_FORMAT,
        "study_uid": found.study_uid,
        "patient_tokens": _tokens(connection, found.study_uid, "patient"),
        "accession_tokens": _tokens(connection, found.study_uid, "accession"),
        **_of_study(connection, found.study_uid),
        "series": _series(connection, found.study_uid),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _tokens(connection: Connection, study_uid: str, kind: str) -> list[str]:
    mine = (study_token.c.study_uid == study_uid, study_token.c.kind == kind)
    return list(connection.execute(select(study_token.c.token).where(*mine).order_by(study_token.c.token)).scalars())


def _of_study(connection: Connection, study_uid: str) -> dict[str, str | None]:
    row = connection.execute(select(study).where(study.c.study_uid == study_uid)).one()
    told = {"study_date": row.study_date, "study_time": row.study_time, "description": row.description}
    return {**told, "utc_offset": first(json.loads(row.attributes), _ZONE)}


def _series(connection: Connection, study_uid: str) -> list[dict[str, Any]]:
    rows = connection.execute(select(series).where(series.c.study_uid == study_uid))
    known = {row.series_uid: _of_series(row) for row in rows}
    listed = _instances(connection, study_uid).items()
    nothing: dict[str, str | None] = {"modality": None}
    return [{"series_uid": uid, **known.get(uid or "", nothing), "instances": made} for uid, made in listed]


def _of_series(row: Any) -> dict[str, str | None]:
    header = json.loads(row.attributes)
    return {
        "modality": row.modality,
        "number": row.series_number,
        "description": row.series_description,
        "body_part": row.body_part,
        "laterality": first(header, _LATERALITY),
        "date": first(header, _SERIES_DATE) or row.step_date,
        "time": first(header, _SERIES_TIME) if first(header, _SERIES_DATE) else row.step_time,
    }


def _instances(connection: Connection, study_uid: str) -> dict[str | None, list[dict[str, Any]]]:
    at = instance.c
    mine = select(at.series_uid, at.sop_uid, at.sop_class, at.version, at.instance_number)
    found: dict[str | None, list[dict[str, Any]]] = {}
    ordered = mine.where(at.study_uid == study_uid).order_by(at.series_uid, at.sop_uid, at.version)
    for row in connection.execute(ordered):
        entry = {"sop_instance_uid": row.sop_uid, "sop_class_uid": row.sop_class, "version": row.version}
        found.setdefault(row.series_uid, []).append({**entry, "number": row.instance_number})
    return found
