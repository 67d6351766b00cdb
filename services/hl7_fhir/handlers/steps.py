"""What happens to scheduled steps when modalities report and images arrive; each is one transaction, and repeatable."""

from dataclasses import dataclass

from contracts.events import StepReported
from contracts.events.study import StudyCompleted, StudyReceived
from services.hl7_fhir.ports.worklist import PerformedSteps
from shared.messaging.cloudevent import Received


@dataclass(frozen=True)
class StepEvents:
    """Moves scheduled steps."""

    performed: PerformedSteps

    async def step_reported(self, received: Received[StepReported]) -> None:
        """A modality began, ended or gave up a performed step (MPPS)."""
        await self.performed.report(received.data, received.id, received.time)

    async def study_received(self, received: Received[StudyReceived]) -> None:
        """The first images of a study are here: somebody has begun."""
        event = received.data
        await self.performed.images(event.study_uid, "received", received.id, received.time)

    async def study_completed(self, received: Received[StudyCompleted]) -> None:
        """Nothing more of a study is expected."""
        event = received.data
        await self.performed.images(event.study_uid, "completed", received.id, received.time)
