"""One association and what it brought."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.dicom_ingest.domain.peers import ANYBODY, Peer

#: Batches and studies that the end of an association names at most: an event has a largest size.
MOST_NAMED = 10_000


@dataclass
class Visit:
    """Who called whom, and what came of it. Of many thousand batches and studies the first MOST_NAMED are named.

    ``traceparent`` is that of the association's span (before ``arrive`` its parent's, if it has one); ``traced`` tells
    whether a batch has that trace already. ``only_study`` is the one study that may come, None for any.
    ``batches`` gives for each what its study reference is of. ``peer`` is what the registry knew of the caller when
    it was let in.
    """

    calling_ae: str
    called_ae: str
    address: str
    peer: Peer = ANYBODY
    association_id: str = field(default_factory=lambda: secrets.token_hex(16))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    traceparent: str | None = None
    traced: bool = False
    only_study: str | None = None
    stored: int = 0
    refused: int = 0
    batches: dict[str, str] = field(default_factory=dict)
    studies: set[str] = field(default_factory=set)

    def note_study(self, study_uid: str) -> None:
        """An instance of this study has begun to come."""
        if len(self.studies) < MOST_NAMED:
            self.studies.add(study_uid)

    def note_stored(self, batch_id: str, study: str) -> None:
        """An instance is durable in this batch, whose study (or what stands for it) is ``study``."""
        self.stored += 1
        if len(self.batches) < MOST_NAMED:
            self.batches[batch_id] = study
