"""Calling back what went out under a profile that proved too weak."""

from dataclasses import dataclass
from datetime import datetime

from contracts.events import PackRecalled
from services.deid.domain.facts import Result


@dataclass(frozen=True)
class Recall:
    """What is called back: all that was made under a profile, in one project or ("") in all of them."""

    id: str
    profile: str
    version: str
    project: str
    who: str
    told: datetime
    reason: str


@dataclass(frozen=True)
class Progress:
    """How far a recall is: packs, their known copies and those proven gone, and packs with a proven successor."""

    id: str
    profile: str
    version: str
    project: str
    who: str
    told: float
    found: bool
    packs: int
    copies: int
    absent: int
    shredded: int
    released: int

    @property
    def state(self) -> str:
        """``finding``, ``withdrawing``, ``withdrawn`` once all is proven gone, ``released`` once all is out again."""
        if not self.found:
            return "finding"
        if self.absent < self.copies:
            return "withdrawing"
        return "released" if self.released >= self.packs else "withdrawn"


def pack_recalled(recall: Recall, result: Result, source_pack_id: str, project: str, study_ref: str) -> PackRecalled:
    """The fact that a pack is called back."""
    return PackRecalled(
        recall_id=recall.id,
        pack_id=result.pack_id,
        source_pack_id=source_pack_id,
        project=project,
        study_ref=study_ref,
        profile=recall.profile,
        profile_version=recall.version,
        release=result.release,
        key_domains=result.key_domains,
        recalled=recall.told,
    )
