"""Packs: when they are closed, and what they and their plans are called."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contracts.events import Batch
from contracts.formats.left_out import write_numbers
from services.tier_routing.domain.policy import Decision, PackTimings
from shared.identity import SiteKey

#: More batches than this are not put into one pack: its plan names them all, and a message has a limit (1 MiB).
MOST_BATCHES = 512


#: What is left out of a batch takes another place for so many characters: about as many as a batch has.
_PLACE = 512


@dataclass(frozen=True)
class OpenPack:
    """A pack that still takes batches: what it holds (``size`` in bytes), when the first and the last batch came.

    ``batches`` counts their places in the message of the plan.
    """

    batches: int
    size: int
    instances: int
    opened: datetime
    last: datetime


@dataclass(frozen=True)
class Share:
    """What a batch takes in a pack: ``places`` in the message of its plan, about how many bytes, how many instances."""

    places: int
    size: int
    instances: int


def has_room(pack: OpenPack, size: int, instances: int, timings: PackTimings) -> bool:
    """Whether a batch of ``size`` bytes and so many instances still fits."""
    fits = pack.size + size <= timings.size and pack.instances + instances <= timings.instances
    return fits and pack.batches < MOST_BATCHES


def is_full(pack: OpenPack, timings: PackTimings) -> bool:
    """Whether another instance of the mean size would not fit: then there is nothing to wait for."""
    whole = pack.batches >= MOST_BATCHES or pack.instances >= timings.instances
    return whole or pack.size + pack.size / max(1, pack.instances) > timings.size


def is_due(pack: OpenPack, timings: PackTimings, now: datetime) -> bool:
    """Whether the study has been quiet long enough, or the first batch may not wait any longer."""
    return now >= pack.last + timings.quiet or now >= pack.opened + timings.recovery_point


def group_of(study_ref: str, decision: Decision, study_uid: str | None) -> str:
    """What batches must have in common to share a pack: study (or the absence of one), and the whole decision."""
    return f"{study_ref}/{'study' if study_uid else 'none'}/{decision.digest}"


def share_of(batch: Batch, left_out: frozenset[int]) -> Share:
    """What a batch takes in a pack; of what stays out the size is not known one by one, so the mean counts."""
    kept = batch.instances - len(left_out)
    places = 1 + len(write_numbers(left_out)) // _PLACE
    return Share(places=places, size=batch.size * kept // max(1, batch.instances), instances=kept)


def pack_id(site_key: SiteKey, parts: Iterable[tuple[str, str]]) -> str:
    """The pack of exactly these batches in this order, each without the entries that are left out of it."""
    return site_key.token("pack", *map(_part, parts))


def plan_id(site_key: SiteKey, parts: Iterable[tuple[str, str]], decision: Decision) -> str:
    """The plan for these batches under this policy: the same input always has the same plan."""
    return site_key.token("plan", *sorted(map(_part, parts)), decision.policy, decision.digest)


def _part(part: tuple[str, str]) -> str:
    batch_id, left_out = part
    return f"{batch_id} without {left_out}" if left_out else batch_id
