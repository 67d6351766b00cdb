"""Facts about storage commitment: who asked for which instances, and what became of them (PS3.4 annex J)."""

from typing import ClassVar

from contracts.events.base import Event, Fact
from contracts.phi import Count, Flag, Moment, Opaque, Routing, Uid


class Referenced(Fact):
    """Instances of one SOP class that a peer named; ``stored`` tells whether instances of it are taken at all."""

    sop_class_uid: Uid
    stored: Flag
    sop_instance_uids: tuple[Uid, ...]


class Outcome(Fact):
    """Instances of one SOP class with one answer: committed, or failed for ``reason``, a value of (0008,1197)."""

    sop_class_uid: Uid
    reason: Count | None
    sop_instance_uids: tuple[Uid, ...]


class CommitmentRequested(Event):
    """A peer asked that these instances be kept for good, and was told that the request is safe.

    ``peer`` tells which peer of those that have the title ``calling_ae``, where there are several.
    """

    subject: ClassVar[str] = "imaging.commitment.requested.v1"

    commitment_id: Opaque
    transaction_uid: Uid
    calling_ae: Routing
    called_ae: Routing
    referenced: tuple[Referenced, ...]
    requested: Moment
    peer: Opaque | None = None


class CommitmentDecided(Event):
    """Every instance of a request is committed (``secured`` holds it) or has failed; told once, for all of them.

    It is told again, with a later ``requested``, when the peer makes the same request again; ``peer`` is the request's.
    """

    subject: ClassVar[str] = "imaging.commitment.decided.v1"

    commitment_id: Opaque
    transaction_uid: Uid
    calling_ae: Routing
    called_ae: Routing
    outcomes: tuple[Outcome, ...]
    requested: Moment
    decided: Moment
    peer: Opaque | None = None
