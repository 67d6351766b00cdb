"""Which batch an instance joins, and when a batch is closed (times are seconds of one monotonic clock)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.dicom_ingest.domain.study_scan import StudyKey

#: What instances.zip and the records add to the files, at most so much per instance, bytes.
OVERHEAD = 4096


@dataclass(frozen=True)
class BatchRules:
    """The bounds of a batch and how long it stays open."""

    max_bytes: int
    max_instances: int
    quiet: float
    quiet_after_end: float
    max_open: int


@dataclass
class BatchState:
    """An open batch as its users see it.

    ``source`` is who sends (calling and called AE title): policy decides on it, so two sources share no batch.
    ``visitors`` are the associations that stored into the batch and are still there.
    """

    key: StudyKey
    source: tuple[str, str] = ("", "")
    size: int = 0
    instances: int = 0
    last: float = 0.0
    ended: float | None = None
    busy: bool = False
    finished: bool = False
    visitors: set[str] = field(default_factory=set)


def has_room(state: BatchState, rules: BatchRules) -> bool:
    """Whether one more instance may be tried."""
    return state.instances < rules.max_instances and state.size + OVERHEAD < rules.max_bytes


def may_join(state: BatchState, key: StudyKey, source: tuple[str, str], rules: BatchRules) -> bool:
    """Whether an instance of this study from this source may be written into the batch now."""
    same = key.known and state.key == key and state.source == source
    return same and not state.busy and not state.finished and has_room(state, rules)


def outgrown(state: BatchState, coming: int, rules: BatchRules) -> bool:
    """Whether an instance of ``coming`` bytes so far must move to a batch of its own."""
    return state.instances > 0 and state.size + coming + OVERHEAD > rules.max_bytes


def due(state: BatchState, rules: BatchRules) -> float:
    """When the batch is to be closed if nothing more comes.

    The end of an association shortens the wait and does not close: many modalities open one association per image.
    """
    if state.finished or not state.key.known or not has_room(state, rules):
        return state.last
    quiet_at = state.last + rules.quiet
    if state.ended is None or state.visitors:
        return quiet_at
    return min(quiet_at, max(state.last, state.ended) + rules.quiet_after_end)


def superfluous(states: Iterable[BatchState], rules: BatchRules) -> list[BatchState]:
    """The idle batches, least recently used first, that must close so that another may be opened."""
    all_open = list(states)
    excess = len(all_open) - rules.max_open + 1
    idle = sorted((state for state in all_open if not state.busy), key=lambda state: state.last)
    return idle[: max(excess, 0)]
