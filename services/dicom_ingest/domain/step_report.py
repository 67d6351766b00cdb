"""A report on a performed procedure step as it is kept and told (docs/operations/mpps.md)."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from contracts.events import Blob, StepReported
from services.dicom_ingest.domain.negotiation import STEPS
from services.dicom_ingest.domain.part10 import file_header
from services.dicom_ingest.domain.step import Kind, Step
from shared.identity import SiteKey


@dataclass(frozen=True)
class Report:
    """One durable report; ``step`` is the step after it, ``instances`` what it says itself that was made."""

    step_ref: str
    kind: Kind
    step: Step
    received: datetime
    traceparent: str | None
    instances: tuple[str, ...] | None
    file: bytes

    @property
    def name(self) -> str:
        """What orders the reports of a step, and tells two of different spools apart."""
        return f"{self.step.number:08d}-{hashlib.sha256(self.file).hexdigest()[:16]}"


def step_ref(site_key: SiteKey, sop_instance: str) -> str:
    """What stands for a step wherever its UID may not be written."""
    return site_key.token("step", sop_instance)


def as_file(sop_instance: str, transfer_syntax: str, data_set: bytes) -> bytes:
    """A report as a DICOM file whose data set is as it came (PS3.10 section 7.1)."""
    return file_header(STEPS, sop_instance, transfer_syntax) + data_set


def encode(report: Report) -> bytes:
    """One line of JSON, then the file."""
    told = {
        "step_ref": report.step_ref,
        "kind": report.kind,
        "step": asdict(report.step),
        "received": report.received.isoformat(),
        "traceparent": report.traceparent,
        "instances": report.instances,
    }
    return json.dumps(told).encode() + b"\n" + report.file


def decode(encoded: bytes) -> Report:
    """The opposite of ``encode``; ValueError for anything else."""
    line, _, file = encoded.partition(b"\n")
    told = _checked(json.loads(line))
    return Report(
        step_ref=str(told["step_ref"]),
        kind=told["kind"],
        step=step_of(told["step"]),
        received=datetime.fromisoformat(told["received"]),
        traceparent=told["traceparent"],
        instances=None if told["instances"] is None else tuple(told["instances"]),
        file=file,
    )


def _checked(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict) or {"step_ref", "kind", "step", "received", "traceparent", "instances"} - set(told):
        raise ValueError("no report")
    return told


def step_of(told: Any) -> Step:
    """A step of the values of ``asdict``; ValueError for anything else."""
    if not isinstance(told, dict) or set(told) != set(Step.__dataclass_fields__):
        raise ValueError("no step")
    made = told["instances"]
    return Step(
        state=told["state"],
        number=int(told["number"]),
        studies=tuple(told["studies"]),
        instances=None if made is None else tuple(made),
        filled=tuple(told["filled"]),
    )


def references(report: Report) -> bytes | None:
    """The document of the instances that the report names; None where it says nothing of series."""
    if report.instances is None:
        return None
    document = {"format": "causeway.step-references/1", "sop_instance_uids": report.instances}
    return json.dumps(document, separators=(",", ":")).encode()


def told(report: Report, site_key: SiteKey, file: Blob, named: Blob | None) -> StepReported:
    """The event of a report; the same of the same one."""
    step = report.step
    return StepReported(
        step_ref=report.step_ref,
        number=step.number,
        kind=report.kind,
        state=step.state,
        study_uids=step.studies,
        study_refs=tuple(map(site_key.study_ref, step.studies)),
        instances=len(step.instances or ()),
        report=file,
        references=named,
        received=report.received,
    )
