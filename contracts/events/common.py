"""Values that several events share."""

from typing import Annotated, Literal

from contracts.events.base import Fact
from contracts.phi import Count, Digest, Moment, Opaque, Technical, Uid, phi

Form = Annotated[Literal["identified", "deidentified"], phi("none")]

#: The largest object that any store holds, bytes; a longer value lies in numbered parts of this size.
PART_SIZE = 64 * 1024 * 1024


class Blob(Fact):
    """A claim check: where bytes lie, never the bytes. Stored as parts ``<key>/0001`` … of PART_SIZE bytes."""

    store: Annotated[Literal["landing", "deid", "sealed", "keys", "summaries"], phi("none")]
    key: Opaque
    size: Count
    sha256: Digest | None = None


class Batch(Fact):
    """A landing batch as its consumers see it."""

    batch_id: Opaque
    manifest: Blob
    headers: Blob
    archive: Blob
    instances: Count
    size: Count


class PlannedCopy(Fact):
    """One copy that policy demands.

    ``generation`` is the one to be written: those before it were given up, or rest in another tier. None where nobody
    planned one.
    """

    form: Form
    target: Technical
    tier: Technical
    key_domain: Technical
    retention_days: Count | None = None
    project: Technical | None = None
    generation: Count | None = None


class Part(Fact):
    """One object of at most 64 MiB of a sealed pack; ``sha256`` is that of the ciphertext."""

    number: Count
    key: Opaque
    size: Count
    sha256: Digest


class Sections(Fact):
    """Lengths in bytes of the three sections of a pack's plaintext, in their order (docs/formats.md)."""

    manifest: Count
    headers: Count
    archive: Count


class Sealed(Fact):
    """A pack sealed under one key domain: what a copy of it must be, byte for byte."""

    sealed_id: Opaque
    pack_id: Opaque
    form: Form
    key_domain: Technical
    study_key: Blob
    study_ref: Opaque | None = None
    instances: Count
    size: Count
    manifest_sha256: Digest
    sections: Sections
    parts: tuple[Part, ...]


class CopyKey(Fact):
    """One generation of one copy; ``keys`` are the object keys of its parts in the target, in order."""

    sealed_id: Opaque
    pack_id: Opaque
    form: Form
    target: Technical
    tier: Technical
    key_domain: Technical
    generation: Count
    keys: tuple[Opaque, ...]


class ProvenCopy(Fact):
    """A copy and the moment it was last proven."""

    sealed_id: Opaque
    pack_id: Opaque
    form: Form
    target: Technical
    generation: Count
    proven: Moment


__all__ = [
    "PART_SIZE",
    "Batch",
    "Blob",
    "CopyKey",
    "Form",
    "Part",
    "PlannedCopy",
    "ProvenCopy",
    "Sealed",
    "Sections",
    "Uid",
]
