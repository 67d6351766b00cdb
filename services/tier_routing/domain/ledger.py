"""The ledger: what policy wants of a pack, what has been observed of its copies, and what follows.

Events arrive in any order and more than once. Each is folded into an :class:`Observed` (or one of the other facts of
:class:`PackView`), and :func:`evaluate` looks at all of them together; so the order makes no difference.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from contracts.events import (
    CopyDamaged,
    CopyFailed,
    CopyKey,
    CopyRemoved,
    CopyVerified,
    CopyWritten,
    PlannedCopy,
    ProvenCopy,
    Waiting,
)
from services.tier_routing.domain.policy import committed

CopyEvent = CopyWritten | CopyVerified | CopyDamaged | CopyFailed | CopyRemoved
Reason = Literal["superseded", "retention", "cancelled"]
State = Literal["wanted", "cancelled", "expired"]

FIRST_GENERATION = 1


@dataclass(frozen=True)
class Wanted:
    """A planned copy, and whether it still is: a new plan cancels it, its retention ends it. ``generation`` is the
    first one of it in its present tier."""

    copy: PlannedCopy
    state: State = "wanted"
    generation: int = FIRST_GENERATION


@dataclass(frozen=True)
class Observed:
    """One generation of one copy: the latest that each kind of event said of it."""

    key: CopyKey
    written: datetime | None = None
    proven: datetime | None = None
    level: str | None = None
    damaged: datetime | None = None
    damage: str | None = None
    failed: datetime | None = None
    failure: str = ""
    retrying: bool = False
    expired: Reason | None = None
    removed: datetime | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the last word on this generation is a proof, and nobody gave it up."""
        proven = self.proven
        return (
            proven is not None
            and (self.damaged is None or proven > self.damaged)
            and (self.removed is None or proven > self.removed)
            and self.expired is None
        )

    @property
    def is_damaged(self) -> bool:
        """Whether the last word on this generation is that it is damaged."""
        return self.damaged is not None and not self.is_proven

    @property
    def is_failing(self) -> bool:
        """Whether the last word of the target was a failure, after the copy was last written or proven."""
        return self.failed is not None and all(at is None or at < self.failed for at in (self.written, self.proven))

    def with_written(self, at: datetime) -> "Observed":
        """The copy was written."""
        return self if self.written and self.written >= at else replace(self, written=at)

    def with_proof(self, at: datetime, level: str, written: datetime) -> "Observed":
        """The copy was read back and proven."""
        seen = self.with_written(written)
        return seen if self.proven and self.proven >= at else replace(seen, proven=at, level=level)

    def with_damage(self, at: datetime, reason: str) -> "Observed":
        """The copy was read back, or sought, and is not what was sealed."""
        return self if self.damaged and self.damaged >= at else replace(self, damaged=at, damage=reason)

    def with_failure(self, at: datetime, reason: str, retrying: bool) -> "Observed":
        """The copy could not be written."""
        if self.failed and self.failed >= at:
            return self
        return replace(self, failed=at, failure=reason, retrying=retrying)

    def with_removal(self, at: datetime) -> "Observed":
        """The copy is no longer in its target."""
        return self if self.removed and self.removed >= at else replace(self, removed=at)


def observe(one: Observed, event: CopyEvent, at: datetime) -> Observed:
    """What is known of a generation after ``event``, which was told ``at``."""
    match event:
        case CopyWritten():
            return one.with_written(event.written)
        case CopyVerified():
            return one.with_proof(event.proven, event.level, event.written)
        case CopyDamaged():
            return one.with_damage(event.found, event.reason)
        case CopyFailed():
            return one.with_failure(at, event.reason, event.retrying)
        case CopyRemoved():
            return one.with_removal(event.removed)


@dataclass(frozen=True)
class Quarantine:
    """How many instances de-identification withheld from a pack, and how many it let go."""

    withheld: int
    released: int


@dataclass(frozen=True)
class PackView:
    """All that is known of a pack. ``deidentified`` and ``quarantines`` are by project, ``sealed`` are
    (pack id, key domain) -> sealed id, of the pack and of its de-identified ones, ``recalled`` copies called back."""

    pack_id: str
    wanted: tuple[Wanted, ...]
    commit_after: tuple[str, ...]
    observed: tuple[Observed, ...] = ()
    deidentified: Mapping[str, str] = field(default_factory=dict)
    quarantines: Mapping[str, Quarantine] = field(default_factory=dict)
    sealed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    recalled: tuple[Observed, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What follows from a view. ``due`` are the planned copies that nothing settles yet, each with the generation to be
    written, ``targets`` those of identified copies and ``reached`` those with a proven one, ``failures`` the reasons of
    those that last gave none a place."""

    secured: bool
    archived: bool
    targets: frozenset[str]
    reached: frozenset[str]
    proven: tuple[ProvenCopy, ...]
    withheld: int
    pack_ids: tuple[str, ...]
    sealed_ids: tuple[str, ...]
    due: tuple[PlannedCopy, ...]
    waiting: tuple[Waiting, ...]
    failures: Mapping[str, str]
    expire: tuple[tuple[Observed, Reason], ...]


def evaluate(view: PackView) -> Verdict:
    """What the pack's events say together, whatever their order was."""
    wanted = tuple(each.copy for each in view.wanted if each.state == "wanted")
    due = tuple(_due(view, each) for each in view.wanted if each.state == "wanted" and not is_settled(view, each.copy))
    reached = frozenset(c.target for c in wanted if c.form == "identified" and proof(view, c))
    return Verdict(
        secured=bool(wanted) and committed(view.commit_after, reached),
        archived=bool(wanted) and not due,
        targets=frozenset(copy.target for copy in wanted if copy.form == "identified"),
        reached=reached,
        proven=tuple(proven_copy(one) for copy in wanted if (one := proof(view, copy))),
        withheld=sum(quarantine.withheld for quarantine in view.quarantines.values()),
        pack_ids=(view.pack_id, *sorted(view.deidentified.values())),
        sealed_ids=tuple(sorted({*view.sealed.values(), *(one.key.sealed_id for one in view.observed)})),
        due=due,
        waiting=tuple(dict.fromkeys(_waits_for(view, copy) for copy in due)),
        failures={one.key.target: one.failure for copy in due for one in _newest(view, copy) if one.is_failing},
        expire=tuple(_expiring(view, due)),
    )


def proof(view: PackView, copy: PlannedCopy) -> Observed | None:
    """The newest proven generation of a planned copy, in the tier that is planned."""
    proven = (one for one in _of(view, copy) if one.is_proven and one.key.tier == copy.tier)
    return max(proven, key=lambda one: one.key.generation, default=None)


def is_settled(view: PackView, copy: PlannedCopy) -> bool:
    """Whether a planned copy is proven, or nothing was left of it to copy."""
    return proof(view, copy) is not None or _is_withheld(view, copy)


def is_rejected(view: PackView) -> bool:
    """Whether no identified copy is proven, and one was found damaged or given up."""
    wanted = [each.copy for each in view.wanted if each.state == "wanted" and each.copy.form == "identified"]
    bad = (one.is_damaged or (one.is_failing and not one.retrying) for copy in wanted for one in _of(view, copy))
    return not any(proof(view, copy) for copy in wanted) and any(bad)


def next_generation(view: PackView, before: Wanted) -> int:
    """The first generation of a planned copy that was neither wanted nor heard of so far."""
    return 1 + max([before.generation, *(one.key.generation for one in _of(view, before.copy))])


def proven_copy(one: Observed) -> ProvenCopy:
    """The reference to a proven copy. ValueError when it is not proven."""
    if one.proven is None:
        raise ValueError("the copy is not proven")
    shared = one.key.model_dump(include={"sealed_id", "pack_id", "form", "target", "generation"})
    return ProvenCopy(**shared, proven=one.proven)


def past_retention(view: PackView, planned: datetime, now: datetime) -> tuple[PlannedCopy, ...]:
    """The planned copies whose retention (days since the plan's batches came) is over and that others outlive.

    Nothing ends while a planned copy is unsettled, and no identified copy unless one without an end is proven.
    """
    if evaluate(view).due:
        return ()
    wanted = [each.copy for each in view.wanted if each.state == "wanted"]
    resting = any(c.form == "identified" and c.retention_days is None and proof(view, c) for c in wanted)
    return tuple(
        copy
        for copy in wanted
        if copy.retention_days is not None
        and (now - planned).days >= copy.retention_days
        and (copy.form == "deidentified" or resting)
    )


def _is_withheld(view: PackView, copy: PlannedCopy) -> bool:
    if copy.form != "deidentified" or copy.project is None or copy.project in view.deidentified:
        return False
    quarantine = view.quarantines.get(copy.project)
    return quarantine is not None and quarantine.released == 0 and quarantine.withheld > 0


def _pack_of(view: PackView, copy: PlannedCopy) -> str | None:
    return view.pack_id if copy.form == "identified" else view.deidentified.get(copy.project or "")


def _of(view: PackView, copy: PlannedCopy) -> Iterator[Observed]:
    """Every generation of a planned copy that was heard of."""
    place = (_pack_of(view, copy), copy.form, copy.target, copy.key_domain)
    return (
        one for one in view.observed if (one.key.pack_id, one.key.form, one.key.target, one.key.key_domain) == place
    )


def _due(view: PackView, each: Wanted) -> PlannedCopy:
    """The copy with its generation: none that was given up, which must not come back, or that is in another tier."""
    gone = [one.key.generation for one in _of(view, each.copy) if not _counts(one, each.copy)]
    return each.copy.model_copy(update={"generation": max([each.generation, *(number + 1 for number in gone)])})


def _counts(one: Observed, copy: PlannedCopy) -> bool:
    return one.expired is None and one.removed is None and one.key.tier == copy.tier


def _newest(view: PackView, copy: PlannedCopy) -> tuple[Observed, ...]:
    """The newest generation of a planned copy that counts, if any."""
    candidates = (one for one in _of(view, copy) if _counts(one, copy))
    return tuple(sorted(candidates, key=lambda one: one.key.generation))[-1:]


def _waits_for(view: PackView, copy: PlannedCopy) -> Waiting:
    """The next fact that an unsettled copy waits for."""
    pack_id = _pack_of(view, copy)
    newest = _newest(view, copy)
    if pack_id is None:
        return Waiting(step="pack.deidentified")
    if (pack_id, copy.key_domain) not in view.sealed and not any(_of(view, copy)):
        return Waiting(step="pack.sealed")
    if newest and newest[0].written and not newest[0].is_damaged:
        return Waiting(step="copy.verified", target=copy.target)
    return Waiting(step="copy.written", target=copy.target)


def _expiring(view: PackView, due: Iterable[PlannedCopy]) -> Iterator[tuple[Observed, Reason]]:
    """The generations that are no longer wanted and may go now, each once; what was called back waits for nothing."""
    yield from ((one, "cancelled") for one in view.recalled if one.expired is None and one.key.keys)
    identified_due = any(copy.form == "identified" for copy in due)
    for each in view.wanted:
        best = proof(view, each.copy)
        for one in _of(view, each.copy):
            reason = _reason_to_expire(each, one, best, identified_due)
            if one.expired is None and reason:
                yield one, reason


def _reason_to_expire(each: Wanted, one: Observed, best: Observed | None, identified_due: bool) -> Reason | None:
    """Older generations go after the proof of a newer one, those in another tier after one in the tier that is planned,
    cancelled identified copies after those in their place."""
    if each.state == "expired":
        return "retention"
    if each.state == "cancelled":
        return None if each.copy.form == "identified" and identified_due else "cancelled"
    if best is None or (one.key.tier == best.key.tier and one.key.generation >= best.key.generation):
        return None
    return "superseded"
