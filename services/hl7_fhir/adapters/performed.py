"""Reports of modalities and arriving images move scheduled steps, each in one transaction."""

from datetime import datetime

from contracts.events import StepReported
from contracts.events.common import Blob
from services.hl7_fhir.adapters.steps import Steps
from services.hl7_fhir.domain.worklist.dicom_set import BadDataSet
from services.hl7_fhir.domain.worklist.performed import Report, read_report
from shared.sql import Database
from shared.storage.parts import read_parts
from shared.storage.port import BlobStore

#: A report is some kilobytes; what is longer is not looked into.
_LONGEST = 8 * 1024 * 1024


class SqlPerformedSteps:
    """Moves the steps of a database. Without ``reports``, the store of the reports, their studies alone count."""

    def __init__(self, database: Database, steps: Steps, reports: BlobStore | None = None) -> None:
        self._database = database
        self._steps = steps
        self._reports = reports

    async def report(self, event: StepReported, ref: str, now: datetime) -> None:
        """Keep the report and move the steps that it fulfils."""
        read = await self._read(event.report)
        said = "mistaken" if read.is_mistake and event.state == "discontinued" else event.state
        await self._database.run(
            lambda connection: self._steps.reported(
                connection,
                step_ref=event.step_ref,
                number=event.number,
                said=said,
                studies=event.study_uids,
                step_ids=read.step_ids,
                event_ref=ref,
                now=now,
            )
        )

    async def images(self, study_uid: str, state: str, ref: str, now: datetime) -> None:
        """Keep that images are here and move the steps of the study."""
        await self._database.run(
            lambda connection: self._steps.images_arrived(
                connection, study_uid=study_uid, said=state, event_ref=ref, now=now
            )
        )

    async def _read(self, blob: Blob) -> Report:
        if self._reports is None or blob.size > _LONGEST:
            return Report()
        content = b"".join([chunk async for chunk in read_parts(self._reports, blob.key, blob.size)])
        try:
            return read_report(content)
        except BadDataSet:
            return Report()
