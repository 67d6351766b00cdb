"""Which copy a target gets, under which keys, and what is said about it."""

from dataclasses import dataclass
from datetime import datetime

from contracts.events import (
    CopyDamaged,
    CopyFailed,
    CopyKey,
    CopyRemoved,
    CopyWritten,
    PackSealed,
    Part,
    PlannedCopy,
    Sealed,
)
from shared.errors import RetryLater, Unprocessable
from shared.identity import SiteKey

FIRST_GENERATION = 1

#: Reasons of ``copy.failed``.
UNREACHABLE = "target-unreachable"
SOURCE_DAMAGED = "source-damaged"
SOURCE_MISSING = "source-missing"
FORM_EXCLUDED = "form-excluded"
PACK_DAMAGED = "pack-damaged"
NEVER_PROVEN = "never-proven"

#: So many generations in a row are written without a proof; then the trouble is not the copy's.
MOST_UNPROVEN = 3

#: What a copy shows only when it is, byte for byte, what was sealed (services/verification, ``end_part``).
_SEALED_SO = {"manifest", "instances"}


class SourceLost(Unprocessable):
    """No source holds the part as it was sealed: ``source-damaged`` or ``source-missing``."""


class TierUnknown(Unprocessable):
    """The plan names a tier that the target has not."""

    def __init__(self) -> None:
        super().__init__("tier-unknown")


class SourceAway(RetryLater):
    """A source that may hold the part does not answer now."""

    def __init__(self) -> None:
        super().__init__("source-away")


@dataclass(frozen=True)
class Write:
    """One generation of one copy that shall be in its target, and copies that are known to be good sources.

    ``doubted``: something is wrong with what is there, and it may be the record of its key.
    """

    sealed: Sealed
    copy_key: CopyKey
    sources: tuple[CopyKey, ...] = ()
    doubted: bool = False

    @property
    def pairs(self) -> tuple[tuple[Part, str], ...]:
        """Each part with its key in the target."""
        return tuple(zip(self.sealed.parts, self.copy_key.keys, strict=True))


def folder(site_key: SiteKey, form: str, sealed_id: str, generation: int) -> str:
    """The folder of one generation: the same in every target, meaningless to others."""
    return site_key.storage_key(form, sealed_id, "copy", generation)


def tombstone(copy_folder: str) -> str:
    """The key that, in the key bucket, says that this generation was removed and must not come back."""
    return f"removed/{copy_folder}"


def copy_key(site_key: SiteKey, sealed: Sealed, planned: PlannedCopy | CopyKey, generation: int) -> CopyKey:
    """One generation of the copy that ``planned`` (or an older generation) describes."""
    place = folder(site_key, sealed.form, sealed.sealed_id, generation)
    return CopyKey(
        sealed_id=sealed.sealed_id,
        pack_id=sealed.pack_id,
        form=sealed.form,
        target=planned.target,
        tier=planned.tier,
        key_domain=sealed.key_domain,
        generation=generation,
        keys=tuple(f"{place}/{part.number:04d}" for part in sealed.parts),
    )


def planned_for(event: PackSealed, target: str) -> PlannedCopy | None:
    """The copy of this pack that ``target`` gets, None when it gets none."""
    return next((copy for copy in event.copies if copy.target == target and _of(copy, event.sealed)), None)


def _of(copy: PlannedCopy, sealed: Sealed) -> bool:
    return (copy.form, copy.key_domain) == (sealed.form, sealed.key_domain)


def rewrite(site_key: SiteKey, event: CopyDamaged) -> Write:
    """The next generation of a damaged copy, from the proven ones."""
    generation = event.copy_key.generation + 1
    again = copy_key(site_key, event.sealed, event.copy_key, generation)
    return Write(event.sealed, again, event.sources, doubted=True)


def hopeless(event: CopyDamaged) -> str | None:
    """Why another generation would be no better: the pack was sealed as it is, or no generation is ever proven."""
    if event.reason in _SEALED_SO:
        return PACK_DAMAGED
    return NEVER_PROVEN if event.unproven >= MOST_UNPROVEN else None


def written(write: Write, moment: datetime, run: int) -> CopyWritten:
    """The fact that every part lies in its target."""
    return CopyWritten(copy_key=write.copy_key, sealed=write.sealed, written=moment, run=run)


def failed(write: Write, reason: str, *, attempts: int, retrying: bool, run: int) -> CopyFailed:
    """The fact that it does not, for now (``retrying``) or for good."""
    return CopyFailed(copy_key=write.copy_key, reason=reason, attempts=attempts, retrying=retrying, run=run)


def event_id(site_key: SiteKey, fact: CopyWritten | CopyFailed | CopyRemoved) -> str:
    """The ``ce-id`` of what replication says: one per copy, generation, run and, for a failure, reason."""
    key = fact.copy_key
    step = (key.sealed_id, key.target, key.generation)
    match fact:
        case CopyWritten():
            return site_key.event_id(fact.subject, *step, fact.run)
        case CopyFailed():
            return site_key.event_id(fact.subject, *step, fact.run, fact.reason)
        case CopyRemoved():
            return site_key.event_id(fact.subject, *step, *([fact.recall_id] if fact.recall_id else []))


def removed(copy_key: CopyKey, moment: datetime, recall_id: str | None = None) -> CopyRemoved:
    """The fact that a generation is no longer in its target; with the recall that it went with, if that was why."""
    return CopyRemoved(copy_key=copy_key, removed=moment, recall_id=recall_id)
