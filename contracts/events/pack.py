"""Facts about packs: planned, de-identified, sealed."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import model_validator

from contracts.events.base import Event, Fact
from contracts.events.common import Batch, Blob, PlannedCopy, Sealed
from contracts.phi import Count, Digest, Moment, Opaque, Technical, Uid, phi

#: Numbers of a batch's entries, ascending: ``1-30,45``.
_RANGE = "[1-9][0-9]{0,5}(-[1-9][0-9]{0,5})?"
Entries = Annotated[str, phi("none", pattern=f"^({_RANGE}(,{_RANGE})*)?$")]


class PackPlanned(Event):
    """The copies that a pack of landing batches gets. ``run`` counts the times the plan was started.

    ``left_out`` says of each of ``batches``, in their order, which entries the pack leaves out because they lie in it,
    or in another pack, already (docs/formats.md section 4); who spoke before it was there left it empty.
    """

    subject: ClassVar[str] = "imaging.pack.planned.v1"

    pack_id: Opaque
    plan_id: Opaque
    policy: Digest
    study_uid: Uid | None
    study_ref: Opaque
    batches: tuple[Batch, ...]
    copies: tuple[PlannedCopy, ...]
    commit_after: tuple[Technical, ...]
    run: Count = 0
    left_out: tuple[Entries, ...] = ()

    @model_validator(mode="after")
    def _tells_of_every_batch(self) -> "PackPlanned":
        if self.left_out and len(self.left_out) != len(self.batches):
            raise ValueError("what is left out is told of every batch, or of none")
        return self

    @property
    def contents(self) -> Iterator[tuple[Batch, str]]:
        """The batches, each with what the pack leaves out of it."""
        return zip(self.batches, self.left_out or ("",) * len(self.batches), strict=True)


class PackDeidentified(Event):
    """A de-identified pack is ready to be sealed.

    The event names its source, on site; the pack itself (manifest, headers, archive) does not. ``links`` is the
    on-site document that relates original to new instances. ``part`` is 0 for what went out at once; what a person
    released from quarantine later on are parts from 1, each a pack of its own that joins the others, and replaces none.
    ``release`` counts how often the study was called back in the project: each release has a study key of its own.
    """

    subject: ClassVar[str] = "imaging.pack.deidentified.v1"

    pack_id: Opaque
    source_pack_id: Opaque
    project: Technical
    study_ref: Opaque
    manifest: Blob
    headers: Blob
    archive: Blob
    links: Blob
    instances: Count
    size: Count
    copies: tuple[PlannedCopy, ...]
    run: Count = 0
    part: Count = 0
    release: Count = 0


class PackRecalled(Event):
    """A de-identified pack that went out is called back: the profile that it was made under proved too weak.

    Whoever got the pack is to destroy what they have of it. ``release`` is that of the pack's study in the project, to
    which a study key of its own belongs in each of ``key_domains``; what takes its place is of a later one.
    """

    subject: ClassVar[str] = "imaging.pack.recalled.v1"

    recall_id: Opaque
    pack_id: Opaque
    source_pack_id: Opaque
    project: Technical
    study_ref: Opaque
    profile: Technical
    profile_version: Technical
    release: Count
    key_domains: tuple[Technical, ...]
    recalled: Moment


class PackSealed(Event):
    """A pack lies sealed in the sealing buffer, for these copies."""

    subject: ClassVar[str] = "imaging.pack.sealed.v1"

    sealed: Sealed
    copies: tuple[PlannedCopy, ...]
    run: Count = 0


class Withheld(Fact):
    """An instance that did not go out, and why (a code of docs/formats.md, never text from the input)."""

    sop_instance_uid: Uid
    dataset_sha256: Digest
    reason: Technical


class InstancesQuarantined(Event):
    """Instances that de-identification withheld from a pack; ``released`` others went out."""

    subject: ClassVar[str] = "imaging.instances.quarantined.v1"

    pack_id: Opaque
    project: Technical
    study_ref: Opaque
    withheld: tuple[Withheld, ...]
    released: Count
    run: Count = 0
