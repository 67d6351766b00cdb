"""What is known of one patient or order, field by field, each with the time of the message that said it.

A field that a message leaves out says nothing; ``""`` deletes it (HL7 v2 chapter 2, section 2.5.3). A field is
overwritten only by a message that is not older than the one it came from, so that a late message fills gaps and
changes nothing newer.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from services.hl7_fhir.domain.message import NULL, Field, Repetition, Segment

#: Field names such as ``PID-5`` to their values.
Fields = Mapping[str, Field]


@dataclass(frozen=True)
class Site:
    """What a message leaves to the place where it is read."""

    zone: tzinfo = UTC
    patient_issuer: str = ""
    order_issuer: str = ""
    accession_fields: tuple[str, ...] = ("IPC-1", "OBR-18")


@dataclass(frozen=True)
class Known:
    """A value and when it was said, UTC."""

    value: Field
    said: datetime


Record = Mapping[str, Known]


def fields_of(segments: Iterable[Segment | None], wanted: Mapping[str, Iterable[int]]) -> dict[str, Field]:
    """The valued fields of ``segments`` among the ``wanted`` numbers by segment name; the first of a name counts."""
    found: dict[str, Field] = {}
    for segment in segments:
        if segment is None:
            continue
        for number in wanted.get(segment.name, ()):
            if value := segment.field(number):
                found.setdefault(f"{segment.name}-{number}", value)
    return found


def merge(record: Record, said: Fields, when: datetime) -> dict[str, Known]:
    """``record`` with those fields of ``said`` that it does not know from a later message."""
    merged = dict(record)
    for name, value in said.items():
        if name not in merged or merged[name].said <= when:
            merged[name] = Known(() if is_null(value) else value, when)
    return merged


def values(record: Record) -> dict[str, Field]:
    """The fields of ``record`` without their times."""
    return {name: known.value for name, known in record.items()}


def is_null(value: Field) -> bool:
    """Whether the field is HL7's explicit null, ``""``."""
    return len(value) == 1 and value[0] == ((NULL,),)


def dump(record: Record) -> str:
    """``record`` as JSON."""
    return json.dumps({name: [known.value, known.said.isoformat()] for name, known in record.items()})


def load(text: str) -> dict[str, Known]:
    """The record that ``dump`` wrote."""
    return {
        name: Known(
            tuple(tuple(tuple(component) for component in repetition) for repetition in value),
            datetime.fromisoformat(said),
        )
        for name, (value, said) in json.loads(text).items()
    }


@dataclass(frozen=True)
class Row:
    """One row of a map: the field, the FHIR element and how a repetition becomes its value.

    ``many`` appends to a list; otherwise the first value of the first row counts. ``unless`` names elements that make
    this row superfluous when they are there.
    """

    field: str
    element: str
    render: Callable[[Repetition, Site], Any]
    many: bool = False
    unless: tuple[str, ...] = ()


def render(rows: Iterable[Row], record: Record, site: Site) -> dict[str, Any]:
    """The FHIR elements that ``rows`` make of ``record``."""
    elements: dict[str, Any] = {}
    for row in rows:
        if any(name in elements for name in row.unless):
            continue
        known = record.get(row.field)
        for repetition in known.value if known else ():
            _put(elements, row, row.render(repetition, site))
    return elements


def _put(elements: dict[str, Any], row: Row, value: Any) -> None:
    if value is None:
        return
    if not row.many:
        elements.setdefault(row.element, value)
    elif value not in elements.setdefault(row.element, []):
        elements[row.element].append(value)
