"""Performed procedure steps: what a report says, and which may follow which (MPPS, PS3.4 section F.7)."""

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Literal
from uuid import uuid4

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from services.dicom_ingest.domain.command import (
    N_CREATE,
    N_SET,
    UNRECOGNIZED_OPERATION,
    Command,
    InstanceRefused,
)
from services.dicom_ingest.domain.negotiation import STEPS, is_identifier
from services.dicom_ingest.domain.requests import is_within_bounds

#: ``relay``: the RIS decides on what is passed on to it. ``own``: nobody else does.
Mode = Literal["off", "relay", "own"]
Kind = Literal["created", "set"]
State = Literal["in-progress", "completed", "discontinued", "unknown"]

#: Bytes of the data set of a report, and items in it: ten thousand references with their series are fewer.
LONGEST_REPORT = 4 * 1024 * 1024
MOST_ITEMS = 30_000

#: Status of an N-CREATE and an N-SET (PS3.4 tables F.7.2-2, PS3.7 sections 10.1.3.1.9 and 10.1.5.1.6).
INVALID_VALUE, PROCESSING_FAILURE, DUPLICATE_INSTANCE, NO_SUCH_INSTANCE = 0x0106, 0x0110, 0x0111, 0x0112
INVALID_INSTANCE, NO_SUCH_CLASS, MISSING_ATTRIBUTE, MISSING_VALUE = 0x0117, 0x0118, 0x0120, 0x0121
RESOURCE_LIMITATION = 0x0213
#: Error ID and comment of a step that has ended (PS3.4 section F.7.2.2.4).
ENDED, ENDED_COMMENT = 0xA710, "Performed Procedure Step Object may no longer be updated"

_STATES: dict[str, State] = {
    "IN PROGRESS": "in-progress",
    "COMPLETED": "completed",
    "DISCONTINUED": "discontinued",
}
_STATUS, _SCHEDULED, _SERIES, _STUDY = 0x00400252, 0x00400270, 0x00400340, 0x0020000D
_IMAGES, _OTHERS, _INSTANCE = 0x00081140, 0x00400220, 0x00081155
_END = (0x00400250, 0x00400251)
#: What a step has from its beginning: type 1 of table F.7.2-1 (ids, station, start, modality).
_BEGIN = (0x00400253, 0x00400241, 0x00400244, 0x00400245, 0x00080060)
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


class StepRefused(InstanceRefused):
    """A report is not taken; ``status`` is that of the N-CREATE or N-SET."""


@dataclass(frozen=True)
class StepRules:
    """Who decides on reports, and for how many seconds a step and its reports are kept after the last one."""

    mode: Mode
    kept: float


@dataclass(frozen=True)
class Said:
    """What one report says: the step's status as it stands there, the studies, and the instances that were made.

    ``instances`` is None where nothing is said of series. ``present`` are the tags that it has, ``filled`` those that
    have a value too.
    """

    status: str | None = None
    studies: tuple[str, ...] = ()
    instances: tuple[str, ...] | None = None
    present: frozenset[int] = frozenset()
    filled: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Step:
    """A step after its newest report. ``filled`` are tags of the final state that have a value so far."""

    state: State = "unknown"
    number: int = 0
    studies: tuple[str, ...] = ()
    instances: tuple[str, ...] | None = None
    filled: tuple[int, ...] = ()


def named(command: Command) -> Command:
    """The command; an N-CREATE that leaves the instance's UID to us gets one (PS3.7 section 10.1.5.1.4)."""
    if command.field != N_CREATE or command.sop_class != STEPS or command.sop_instance:
        return command
    return replace(command, sop_instance=f"2.25.{uuid4().int}")


def kind_of(command: Command, abstract_syntax: str) -> Kind:
    """What a request does; StepRefused when it is none that is offered here, or names no instance."""
    if abstract_syntax != STEPS or command.field not in (N_CREATE, N_SET):
        raise InstanceRefused("unrecognized-operation", UNRECOGNIZED_OPERATION)
    if command.sop_class != STEPS:
        raise StepRefused("no-such-class", NO_SUCH_CLASS)
    if not is_identifier(command.sop_instance):
        raise StepRefused("invalid-instance", INVALID_INSTANCE)
    return "created" if command.field == N_CREATE else "set"


def read(data_set: bytes, transfer_syntax: str) -> Said | None:
    """What is said in a report; None when it cannot be read, or not within bounds."""
    if max(data_set.count(tag) for tag in _ITEM_TAGS) > MOST_ITEMS:
        return None
    if not is_within_bounds(data_set, transfer_syntax, MOST_ITEMS):
        return None
    try:
        return _said(_parse(data_set, transfer_syntax))
    except Exception:
        # Whatever the parser stumbles over, and its text may hold what a peer wrote.
        return None


def _parse(data_set: bytes, transfer_syntax: str) -> Dataset:
    syntax = UID(transfer_syntax)
    tags: list[Any] = [_STATUS, _SCHEDULED, _SERIES, *_END, *_BEGIN]
    return read_dataset(BytesIO(data_set), syntax.is_implicit_VR, syntax.is_little_endian, specific_tags=tags)


def _said(found: Dataset) -> Said:
    scheduled = [_text(item, _STUDY) for item in _items(found, _SCHEDULED)]
    made = None
    if _SERIES in found:
        rows = (row for series in _items(found, _SERIES) for tag in (_IMAGES, _OTHERS) for row in _items(series, tag))
        made = tuple(dict.fromkeys(uid for row in rows if is_identifier(uid := _text(row, _INSTANCE))))
    sequences = {tag for tag in (_SCHEDULED, _SERIES) if _items(found, tag)}
    return Said(
        status=_text(found, _STATUS) if _STATUS in found else None,
        studies=tuple(dict.fromkeys(filter(is_identifier, scheduled))),
        instances=made,
        present=frozenset(int(tag) for tag in found.keys()),  # noqa: SIM118
        filled=frozenset(sequences | {tag for tag in (*_BEGIN, *_END) if _text(found, tag)}),
    )


def _items(found: Dataset, tag: int) -> list[Dataset]:
    return list(found[tag].value or ()) if tag in found else []


def _text(found: Dataset, tag: int) -> str:
    """As it was sent: pydicom's own conversion would warn, and print what it warns of."""
    value = found.get_item(tag).value if tag in found else None
    return bytes(value).rstrip(b"\0 ").lstrip(b" ").decode("latin-1") if isinstance(value, bytes) else ""


def follow(known: Step | None, kind: Kind, said: Said | None, mode: Mode) -> Step:
    """The step after a report; in mode ``own`` StepRefused for one that may not follow (PS3.4 section F.7.2)."""
    if mode == "own":
        if said is None:
            raise StepRefused("unreadable-report", PROCESSING_FAILURE)
        _check_created(known, said) if kind == "created" else _check_set(known, said)
    before, told = known or Step(), said or Said()
    after = _STATES.get(told.status or "", "in-progress" if kind == "created" else before.state)
    return Step(
        state=after,
        number=before.number + 1,
        studies=told.studies or before.studies,
        instances=before.instances if told.instances is None else told.instances,
        filled=tuple(sorted(_filled(before, told))),
    )


def _filled(before: Step, told: Said) -> set[int]:
    """What has a value: an attribute that is set anew counts as it was set last."""
    final = {*_END, _SERIES}
    return (set(before.filled) - told.present) | (told.filled & final)


def _check_created(known: Step | None, said: Said) -> None:
    if known is not None:
        raise StepRefused("duplicate-instance", DUPLICATE_INSTANCE)
    needed = {_STATUS, _SCHEDULED, *_BEGIN}
    if needed - said.present:
        raise StepRefused("missing-attribute", MISSING_ATTRIBUTE)
    if needed - {_STATUS} - said.filled or not said.status or not said.studies:
        raise StepRefused("missing-attribute-value", MISSING_VALUE)
    if _STATES.get(said.status) != "in-progress":
        raise StepRefused("invalid-attribute-value", INVALID_VALUE)


def _check_set(known: Step | None, said: Said) -> None:
    if known is None:
        raise StepRefused("no-such-instance", NO_SUCH_INSTANCE)
    if known.state != "in-progress":
        raise StepRefused("step-has-ended", PROCESSING_FAILURE, error_id=ENDED, comment=ENDED_COMMENT)
    if said.status is not None and said.status not in _STATES:
        raise StepRefused("invalid-attribute-value", INVALID_VALUE)
    # What was acquired must be told at the end; of a step that was broken off there may be nothing.
    final = {"COMPLETED": {*_END, _SERIES}, "DISCONTINUED": {*_END}}.get(said.status or "", set())
    if final - _filled(known, said):
        raise StepRefused("missing-attribute", MISSING_ATTRIBUTE)
