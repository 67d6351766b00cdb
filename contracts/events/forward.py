"""Facts about what was passed on to the systems behind Causeway: a PACS, a VNA, an AI node."""

from typing import ClassVar

from contracts.events.base import Event, Fact
from contracts.phi import Count, Digest, Moment, Opaque, Technical, Uid


class ForwardDelivered(Event):
    """A destination has taken ``instances`` of a batch, ``warnings`` of them with a warning of its own."""

    subject: ClassVar[str] = "imaging.forward.delivered.v1"

    destination: Technical
    batch_id: Opaque
    study_ref: Opaque
    instances: Count
    warnings: Count
    delivered: Moment
    run: Count = 0


class Undelivered(Fact):
    """An instance that a destination does not take, and why (a code, never text from its answer)."""

    sop_instance_uid: Uid
    dataset_sha256: Digest
    reason: Technical


class ForwardFailed(Event):
    """Instances of a batch that a destination refused; they are not tried again until an operator says so."""

    subject: ClassVar[str] = "imaging.forward.failed.v1"

    destination: Technical
    batch_id: Opaque
    study_ref: Opaque
    undelivered: tuple[Undelivered, ...]
    found: Moment
    run: Count = 0
