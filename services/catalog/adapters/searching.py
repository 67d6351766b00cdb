"""Searches of the index for QIDO-RS, and their answers as DICOM JSON."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, cast, exists, func, or_, select
from sqlalchemy.types import String

from services.catalog.adapters.merged import shown_as, studies_of, survivors_of
from services.catalog.adapters.tables import instance, request, series, study
from services.catalog.domain.attributes import Level
from services.catalog.domain.dicom_json import element
from services.catalog.domain.search import OF_PERSON, Match, Search

#: An instance of the same name in the same series that came before.
_earlier = instance.alias("earlier")

_TABLES = {Level.STUDY: study, Level.SERIES: series, Level.INSTANCE: instance}


def search(connection: Connection, query: Search, base: str) -> list[dict[str, Any]]:
    """The matches of ``query`` in a stable order; ``base`` is the URL of the DICOMweb root."""
    rows = connection.execute(_statement(query)).all()
    survivors = survivors_of(connection, {uid for row in rows if (uid := row.study_uid)})
    answers = ((row.study_uid, _answer(connection, query.level, row, base)) for row in rows)
    return [shown_as(found, survivors[uid]) if uid in survivors else found for uid, found in answers]


def has_more(connection: Connection, query: Search) -> bool:
    """Whether ``query`` matches more than the server's own maximum let through."""
    beyond = replace(query, offset=query.offset + query.limit, limit=1)
    return query.capped and connection.execute(_statement(beyond)).first() is not None


def _statement(query: Search) -> Select[Any]:
    conditions = _conditions(query)
    if query.level is Level.STUDY:
        chosen = select(study).where(*conditions).order_by(study.c.study_date.desc(), study.c.study_uid)
    elif query.level is Level.SERIES:
        joined = series.join(study, series.c.study_uid == study.c.study_uid)
        chosen = select(study.c.attributes.label("of_study"), series).select_from(joined).where(*conditions)
        chosen = chosen.order_by(series.c.study_uid, series.c.series_number, series.c.series_uid)
    else:
        joined = instance.outerjoin(study, instance.c.study_uid == study.c.study_uid).outerjoin(
            series, and_(instance.c.study_uid == series.c.study_uid, instance.c.series_uid == series.c.series_uid)
        )
        of_others = study.c.attributes.label("of_study"), series.c.attributes.label("of_series")
        chosen = select(*of_others, instance).select_from(joined).where(*conditions, _is_first())
        chosen = chosen.order_by(instance.c.study_uid, instance.c.series_uid, instance.c.sop_uid)
    return chosen.limit(query.limit).offset(query.offset)


def _is_first() -> ColumnElement[bool]:
    """Of an instance's versions one is listed and counted: the lowest in its series. Elsewhere it may have another."""
    before = [
        _earlier.c.sop_uid == instance.c.sop_uid,
        _earlier.c.version < instance.c.version,
        _earlier.c.study_uid.is_not_distinct_from(instance.c.study_uid),
        _earlier.c.series_uid.is_not_distinct_from(instance.c.series_uid),
    ]
    return ~exists(select(1).select_from(_earlier).where(*before).correlate(instance))


def _conditions(query: Search) -> list[ColumnElement[bool]]:
    simple = [match for match in query.matches if not match.key.sequence]
    if query.person:
        named = [_condition(query.level, match) for match in simple if match.key.column in OF_PERSON]
        simple = [match for match in simple if match.key.column not in OF_PERSON]
        merged = [or_(and_(*named), _TABLES[query.level].c.study_uid.in_(studies_of(query.person)))]
    else:
        merged = []
    own = [*(_condition(query.level, match) for match in simple), *merged]
    within = [match for match in query.matches if match.key.sequence]
    return [*own, _requested(within)] if within else own


def _requested(matches: Iterable[Match]) -> ColumnElement[bool]:
    """One item of the sequence fulfils all of its keys (PS3.4 section C.2.2.2.6)."""
    inside = [_compare(request.c[match.key.column], match) for match in matches]
    mine = (request.c.study_uid == series.c.study_uid, request.c.series_uid == series.c.series_uid)
    return exists(select(1).select_from(request).where(*mine, *inside).correlate(series))


def _condition(level: Level, match: Match) -> ColumnElement[bool]:
    if match.key.column == "modalities":
        inside = [_compare(series.c.modality, match), series.c.study_uid == study.c.study_uid]
        return exists(select(1).select_from(series).where(*inside).correlate(study))
    return _compare(_column(level, match), match)


def _column(level: Level, match: Match) -> Any:
    """The column in the table of the level itself where it has it (UIDs), else in that of the key's own level."""
    own = _TABLES[level].c
    return own[match.key.column] if match.key.column in own else _TABLES[match.key.level].c[match.key.column]


def _compare(column: Any, match: Match) -> ColumnElement[bool]:
    values = [value.casefold() if match.key.vr == "PN" else value for value in match.values]
    if match.how == "one":
        return column.in_(values)
    if match.how == "like":
        return _like(column, values[0])
    begin, end = values
    ends = [column >= begin] if begin else []
    if end:
        ends.append(column <= end + ("~" if match.key.vr == "TM" else ""))
    return and_(column != "", *ends)


def _like(column: Any, pattern: str) -> ColumnElement[bool]:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return cast(column, String).like(escaped.replace("*", "%").replace("?", "_"), escape="\\")


def _answer(connection: Connection, level: Level, row: Row[Any], base: str) -> dict[str, Any]:
    found = dict(row._mapping)
    document: dict[str, Any] = {}
    for part in ("of_study", "of_series", "attributes"):
        document.update(json.loads(found[part]) if found.get(part) else {})
    document.update(_computed(connection, level, found))
    document["00081190"] = element("UR", _retrieve_url(level, found, base))
    document["00080056"] = element("CS", "ONLINE")
    return dict(sorted(document.items()))


def _retrieve_url(level: Level, found: dict[str, Any], base: str) -> str | None:
    if found.get("study_uid") is None:
        return None
    url = f"{base}/studies/{found['study_uid']}"
    if level is not Level.STUDY:
        url += f"/series/{found['series_uid']}"
    return url + (f"/instances/{found['sop_uid']}" if level is Level.INSTANCE else "")


def _computed(connection: Connection, level: Level, found: dict[str, Any]) -> dict[str, Any]:
    if level is Level.STUDY:
        return _of_study(connection, found["study_uid"])
    if level is Level.SERIES:
        inside = and_(instance.c.study_uid == found["study_uid"], instance.c.series_uid == found["series_uid"])
        return {
            "0020000D": element("UI", found["study_uid"]),
            "0020000E": element("UI", found["series_uid"]),
            "00201209": element("IS", _count(connection, inside)),
        }
    return {
        "00080016": element("UI", found["sop_class"]),
        "00080018": element("UI", found["sop_uid"]),
        "00083002": element("UI", found["transfer_syntax"]),
        "0020000D": element("UI", found["study_uid"]),
        "0020000E": element("UI", found["series_uid"]),
    }


def _of_study(connection: Connection, study_uid: str) -> dict[str, Any]:
    modalities = select(series.c.modality).where(series.c.study_uid == study_uid).distinct()
    number_of_series = select(func.count()).select_from(series).where(series.c.study_uid == study_uid)
    return {
        "0020000D": element("UI", study_uid),
        "00080061": element("CS", *sorted(value for (value,) in connection.execute(modalities) if value)),
        "00201206": element("IS", connection.execute(number_of_series).scalar_one()),
        "00201208": element("IS", _count(connection, instance.c.study_uid == study_uid)),
    }


def _count(connection: Connection, inside: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(instance).where(inside, _is_first())
    return int(connection.execute(counted).scalar_one())
