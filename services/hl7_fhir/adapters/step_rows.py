"""Rows of scheduled steps: made of a step, and a step made of them."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, update

from services.hl7_fhir.adapters.worklist_tables import step_names, step_stations, steps
from services.hl7_fhir.domain.worklist.dicom_set import DataSet
from services.hl7_fhir.domain.worklist.dicom_text import folded
from services.hl7_fhir.domain.worklist.keys import IN_STEP, MATCHING, STEP
from services.hl7_fhir.domain.worklist.step import Step

#: Columns of ``steps`` that hold what stands in the data set.
_COLUMNS = {key.column: tag for tag, key in MATCHING.items() if key.column in steps.c and key.column != "state"}

_INSERT, _INSERT_STATIONS, _INSERT_NAMES = insert(steps), insert(step_stations), insert(step_names)


def load_data(text: str) -> DataSet:
    """The data set that a row holds."""
    found: DataSet = json.loads(text, object_pairs_hook=lambda pairs: {int(tag): value for tag, value in pairs})
    return found


def values_of(step: Step) -> dict[str, Any]:
    """The columns that depend on the step alone."""
    told = {column: value_of(step.data, tag) for column, tag in _COLUMNS.items()}
    return told | {
        "name": step.name,
        "accession": step.accession,
        "problem": step.problem,
        "cut": " ".join(f"{tag:08X}" for tag in step.cut),
        "starts": step.starts,
        "time": step.starts[8:],
        "charset": step.charset,
        "data": json.dumps(step.data, ensure_ascii=False, separators=(",", ":")),
    }


def value_of(data: DataSet, tag: int) -> str:
    """One value of the data set, at the top or in the step's item."""
    items = data[STEP]
    held: DataSet = items[0] if tag in IN_STEP and not isinstance(items, str) else data
    value = held.get(tag, "")
    return value if isinstance(value, str) else ""


def step_of(row: Row[Any]) -> Step:
    """The step of which the row was made."""
    data = load_data(row.data)
    stations = value_of(data, 0x00400001)
    return Step(
        name=row.name,
        data=data,
        stations=tuple(stations.split("\\")) if stations else (),
        starts=row.starts,
        accession=row.accession,
        charset=row.charset,
        cut=tuple(int(tag, 16) for tag in row.cut.split()),
        problem=row.problem,
    )


def write(connection: Connection, step: Step, values: Mapping[str, Any], *, is_new: bool) -> None:
    """Insert or overwrite the row and what it is found by."""
    step_id = values["id"]
    if is_new:
        connection.execute(_INSERT, values)
    else:
        connection.execute(update(steps).where(steps.c.id == step_id).values(**values))
        for table in (step_stations, step_names):
            connection.execute(delete(table).where(table.c.step == step_id))
    stations = [{"step": step_id, "station": name, "starts": step.starts} for name in step.stations or ("",)]
    connection.execute(_INSERT_STATIONS, stations)
    if names := _names(step_id, step.data):
        connection.execute(_INSERT_NAMES, names)


def _names(step_id: str, data: DataSet) -> list[dict[str, str]]:
    found = {
        (key.column, name)
        for tag, key in MATCHING.items()
        if key.kind == "name"
        for name in folded(value_of(data, tag))
    }
    return [{"step": step_id, "kind": kind, "name": name} for kind, name in sorted(found)]
