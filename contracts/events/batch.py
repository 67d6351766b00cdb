"""Facts about landing batches and the associations that brought them."""

from typing import Annotated, ClassVar, Literal

from contracts.events.base import Event, Fact
from contracts.events.common import Batch, ProvenCopy
from contracts.phi import Count, Moment, Opaque, Seconds, Technical, Uid, phi


class BatchStored(Event):
    """Instances of one study are durable in the landing store (``study_uid`` is None for those without a study).

    ``quiet`` is how long their sender may pause within a study, seconds; None where nobody said.
    """

    subject: ClassVar[str] = "imaging.batch.stored.v1"

    batch: Batch
    study_uid: Uid | None
    study_ref: Opaque
    opened: Moment
    closed: Moment
    quiet: Seconds | None = None


class AssociationEnded(Event):
    """A peer's association is over; its instances lie in these batches. It proves nothing about a study.

    ``batch_study_refs`` are those of ``batches``, in their order; who spoke before it was there left it empty.
    """

    subject: ClassVar[str] = "imaging.association.ended.v1"

    association_id: Opaque
    how: Annotated[Literal["released", "aborted", "lost"], phi("none")]
    stored: Count
    refused: Count
    batches: tuple[Opaque, ...]
    study_refs: tuple[Opaque, ...]
    started: Moment
    ended: Moment
    batch_study_refs: tuple[Opaque, ...] = ()


class BatchSecured(Event):
    """The identified copies that policy's ``commit_after`` names are proven for every instance of the batch."""

    subject: ClassVar[str] = "imaging.batch.secured.v1"

    batch_id: Opaque
    study_ref: Opaque
    copies: tuple[ProvenCopy, ...]


class BatchArchived(Event):
    """Every planned copy is proven, withheld or cancelled: the batch's plain bytes may be released."""

    subject: ClassVar[str] = "imaging.batch.archived.v1"

    batch_id: Opaque
    study_uid: Uid | None
    study_ref: Opaque
    pack_ids: tuple[Opaque, ...]
    sealed_ids: tuple[Opaque, ...]
    copies: tuple[ProvenCopy, ...]
    withheld: Count


class Waiting(Fact):
    """What a batch still waits for: a step of the flow, and the target where there is one."""

    step: Technical
    target: Technical | None = None


class BatchOverdue(Event):
    """The ledger's sweep found the batch later than policy allows and started its work again."""

    subject: ClassVar[str] = "imaging.batch.overdue.v1"

    batch_id: Opaque
    study_ref: Opaque
    waiting_for: tuple[Waiting, ...]
    since: Moment
    run: Count
