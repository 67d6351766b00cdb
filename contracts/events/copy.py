"""Facts about copies: written, proven, damaged, expired, removed."""

from typing import Annotated, ClassVar, Literal

from contracts.events.base import Event
from contracts.events.common import CopyKey, Sealed
from contracts.phi import Count, Moment, Opaque, Technical, phi


class CopyWritten(Event):
    """Every part of one generation of a copy lies in its target. It is not proven yet."""

    subject: ClassVar[str] = "imaging.copy.written.v1"

    copy_key: CopyKey
    sealed: Sealed
    written: Moment
    run: Count = 0


class CopyFailed(Event):
    """A copy could not be written. ``retrying`` tells whether the target is still being tried."""

    subject: ClassVar[str] = "imaging.copy.failed.v1"

    copy_key: CopyKey
    reason: Technical
    attempts: Count
    retrying: Annotated[bool, phi("none")]
    run: Count = 0


class CopyVerified(Event):
    """Bytes read back from this copy equal what was sealed (``ciphertext``), and what was received (``instances``)."""

    subject: ClassVar[str] = "imaging.copy.verified.v1"

    copy_key: CopyKey
    level: Annotated[Literal["ciphertext", "instances"], phi("none")]
    instances: Count
    size: Count
    written: Moment
    proven: Moment
    run: Count = 0


class CopyDamaged(Event):
    """A copy is not what was sealed. ``sources`` are the proven copies from which it can be written again.

    ``unproven`` counts the generations in a row, up to this one, of which none was ever proven.
    """

    subject: ClassVar[str] = "imaging.copy.damaged.v1"

    copy_key: CopyKey
    sealed: Sealed
    reason: Annotated[Literal["missing", "ciphertext", "seal", "manifest", "instances"], phi("none")]
    sources: tuple[CopyKey, ...]
    found: Moment
    run: Count = 0
    unproven: Count = 0


class CopyExpired(Event):
    """The ledger no longer wants this generation of a copy; with ``recall_id`` because its pack was called back."""

    subject: ClassVar[str] = "imaging.copy.expired.v1"

    copy_key: CopyKey
    reason: Annotated[Literal["superseded", "retention", "cancelled"], phi("none")]
    recall_id: Opaque | None = None


class CopyRemoved(Event):
    """This generation of a copy is no longer in its target."""

    subject: ClassVar[str] = "imaging.copy.removed.v1"

    copy_key: CopyKey
    removed: Moment
    recall_id: Opaque | None = None


class CopyAbsent(Event):
    """Looked for in its target after its pack was called back, this generation of a copy is not there.

    ``removed``: none of its objects is there. ``shredded``: its objects may be, for they are locked; the study key that
    they need is neither beside them nor on site.
    """

    subject: ClassVar[str] = "imaging.copy.absent.v1"

    copy_key: CopyKey
    recall_id: Opaque
    level: Annotated[Literal["removed", "shredded"], phi("none")]
    found: Moment


class KeyDestroyed(Event):
    """The record of a study key is gone from the key store for good; it is to go from every target's key bucket."""

    subject: ClassVar[str] = "imaging.key.destroyed.v1"

    study_key: Opaque
    key_domain: Technical
    recall_id: Opaque
    destroyed: Moment
