"""What happens when the catalogue tells of a study."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from contracts.events import Blob, StudyArchived, StudyCompleted, StudyReceived, StudyRevised
from services.hl7_fhir.domain.intake.arrival import now
from services.hl7_fhir.domain.studies.hearing import ARCHIVED, COMPLETED, Heard
from services.hl7_fhir.domain.studies.summary import Images, read_summary
from services.hl7_fhir.ports import Documents, StudyJournal
from shared.messaging.cloudevent import Received
from shared.messaging.threads import in_thread
from shared.observability import logger

log = logger("causeway.studies")


@dataclass(frozen=True)
class StudyEvents:
    """Keeps ImagingStudy after the events. Of more than ``most`` instances none is listed.

    A summary of more than ``largest`` bytes is not read: of its study only the counts are told.
    """

    studies: StudyJournal
    documents: Documents
    zone: tzinfo
    most: int
    largest: int
    clock: Callable[[], datetime] = now

    async def received(self, received: Received[StudyReceived]) -> None:
        """The first images are here."""
        event = received.data
        await self._hear(Heard(event.study_uid, event.study_ref), received.id)

    async def completed(self, received: Received[StudyCompleted | StudyRevised]) -> None:
        """All images are here, or more of them than were told of."""
        event = received.data
        images = await self._images(event.summary, event.study_ref)
        counts = (event.series, event.instances)
        heard = Heard(event.study_uid, event.study_ref, event.revision, COMPLETED, *counts, images)
        await self._hear(heard, received.id)

    async def archived(self, received: Received[StudyArchived]) -> None:
        """The images are where they stay; for a study whose completion was not heard, that it is complete."""
        event = received.data
        images = await self._images(event.summary, event.study_ref)
        heard = Heard(event.study_uid, event.study_ref, event.revision, ARCHIVED, 0, event.instances, images)
        await self._hear(heard, received.id)

    async def _hear(self, heard: Heard, event_id: str) -> None:
        await self.studies.hear(heard, event_id, self.clock())

    async def _images(self, summary: Blob, study_ref: str) -> Images:
        if summary.size > self.largest:
            log.warning("study-summary-too-large", study_ref=study_ref, bytes=summary.size)
            return Images()
        document = await self.documents.read(summary)
        return await in_thread(read_summary, document, self.zone, self.most)
