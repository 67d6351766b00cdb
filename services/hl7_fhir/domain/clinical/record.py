"""What is known of one patient or order, field by field, each with the time of the message that said it.

A field that a message leaves out says nothing; ``""`` deletes it (HL7 v2 chapter 2, section 2.5.3). A field is
overwritten only by a message that is not older than the one it came from, so that a late message fills gaps and
changes nothing newer.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.hl7_fhir.domain.mapping.rows import Fields as Fields
from services.hl7_fhir.domain.mapping.rows import occurrence
from services.hl7_fhir.domain.mapping.site import Site as Site
from services.hl7_fhir.domain.messages.message import NULL, Field, Segment


@dataclass(frozen=True)
class Known:
    """A value and when it was said, UTC."""

    value: Field
    said: datetime


Record = Mapping[str, Known]


def fields_of(
    segments: Iterable[Segment | None], wanted: Mapping[str, Iterable[int]], repeating: frozenset[str] = frozenset()
) -> dict[str, Field]:
    """The valued fields of ``segments`` among the ``wanted`` numbers by segment name; the first of a name counts.

    Of ``repeating`` segments each counts by itself: ``NK1-2``, ``NK1:2-2``, and under ``NK1`` how many there are.
    """
    found: dict[str, Field] = {}
    counts: dict[str, int] = {}
    for segment in segments:
        if segment is None or segment.name not in wanted:
            continue
        prefix = segment.name
        if prefix in repeating:
            counts[prefix] = counts.get(prefix, 0) + 1
            prefix = occurrence(prefix, counts[prefix])
        for number in wanted[segment.name]:
            name = f"{prefix}-{number}"
            if name not in found and (value := segment.field(number)):
                found[name] = value
    return found | {name: (((str(count),),),) for name, count in counts.items()}


def merge(record: Record, said: Fields, when: datetime) -> dict[str, Known]:
    """``record`` with those fields of ``said`` that it does not know from a later message.

    Segments that repeat are said as a whole: what an earlier message said in more of them, or more in each, is gone,
    and an older message adds nothing to them.
    """
    merged = dict(record)
    groups = [name for name in said if "-" not in name]
    later = {group for group in groups if group in record and record[group].said > when}
    for name, value in said.items():
        if later and name.partition("-")[0].partition(":")[0] in later:
            continue
        if name not in merged or merged[name].said <= when:
            merged[name] = Known(() if is_null(value) else value, when)
    for group in groups:
        if group not in later:
            _forget(merged, group, said, when)
    return merged


def _forget(merged: dict[str, Known], group: str, said: Fields, when: datetime) -> None:
    for name, known in merged.items():
        belongs = name.startswith((f"{group}-", f"{group}:")) and name not in said
        if belongs and known.value and known.said <= when:
            merged[name] = Known((), when)


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
