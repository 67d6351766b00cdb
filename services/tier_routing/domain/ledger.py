"""The ledger: what policy wants of a pack, what has been observed of its copies, and what follows.

Events arrive in any order and more than once. Each is folded into an :class:`Observed` (or one of the other facts of
:class:`PackView`), and :func:`evaluate` looks at all of them together; so the order makes no difference.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from contracts.events import PlannedCopy, ProvenCopy, Waiting
from services.tier_routing.domain.observed import Observed, Reason
from services.tier_routing.domain.policy import committed

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
class Quarantine:
    """How many instances de-identification withheld from a pack, and how many it let go."""

    withheld: int
    released: int


@dataclass(frozen=True)
class PackView:
    """All that is known of a pack. ``deidentified`` and ``quarantines`` are by project, ``sealed`` are
    (pack id, key domain) -> sealed id, of the pack and of its de-identified ones. ``parts``, by project as well, are
    the de-identified packs that people released later: they join ``deidentified``. ``recalled`` copies are called
    back."""

    pack_id: str
    wanted: tuple[Wanted, ...]
    commit_after: tuple[str, ...]
    observed: tuple[Observed, ...] = ()
    deidentified: Mapping[str, str] = field(default_factory=dict)
    quarantines: Mapping[str, Quarantine] = field(default_factory=dict)
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
        proven=tuple(proven_copy(one) for copy in wanted for one in _proofs(view, copy) if one),
        withheld=sum(quarantine.withheld for quarantine in view.quarantines.values()),
        pack_ids=(view.pack_id, *sorted(view.deidentified.values()), *sorted(sum(view.parts.values(), ()))),
        sealed_ids=tuple(sorted({*view.sealed.values(), *(one.key.sealed_id for one in view.observed)})),
        due=due,
        waiting=tuple(dict.fromkeys(_waits_for(view, copy) for copy in due)),
        failures={
            one.key.target: one.failure
            for copy in due
            for pack_id in _packs_of(view, copy)
            for one in _newest(view, copy, pack_id)
            if one.is_failing
        },
        expire=tuple(_expiring(view, due)),
    )


def proof(view: PackView, copy: PlannedCopy) -> Observed | None:
    """The newest proven generation of a planned copy, in the tier that is planned; of several parts, of the first."""
    return next(iter(_proofs(view, copy)), None)


def is_settled(view: PackView, copy: PlannedCopy) -> bool:
    """Whether a planned copy is proven, in every part that it has by now; nothing may be left of it to copy."""
    return all(_proofs(view, copy))


def is_rejected(view: PackView) -> bool:
    """Whether no identified copy is proven, and one was found damaged or given up."""
    wanted = [each.copy for each in view.wanted if each.state == "wanted" and each.copy.form == "identified"]
    bad = (one.is_damaged or (one.is_failing and not one.retrying) for copy in wanted for one in _every(view, copy))
    return not any(proof(view, copy) for copy in wanted) and any(bad)


def next_generation(view: PackView, before: Wanted) -> int:
    """The first generation of a planned copy that was neither wanted nor heard of so far."""
    return 1 + max([before.generation, *(one.key.generation for one in _every(view, before.copy))])


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


def _packs_of(view: PackView, copy: PlannedCopy) -> tuple[str | None, ...]:
    """The packs that are copied for a planned copy, None for one that is yet to come."""
    if copy.form == "identified":
        return (view.pack_id,)
    first, further = view.deidentified.get(copy.project or ""), view.parts.get(copy.project or "", ())
    return further if _is_withheld(view, copy) else (first, *further)


def _proofs(view: PackView, copy: PlannedCopy) -> tuple[Observed | None, ...]:
    """The newest proven generation of each of its packs."""
    return tuple(_proof(view, copy, pack_id) for pack_id in _packs_of(view, copy))


def _proof(view: PackView, copy: PlannedCopy, pack_id: str | None) -> Observed | None:
    proven = (one for one in _of(view, copy, pack_id) if one.is_proven and one.key.tier == copy.tier)
    return max(proven, key=lambda one: one.key.generation, default=None)


def _every(view: PackView, copy: PlannedCopy) -> Iterator[Observed]:
    """Every generation of a planned copy, in whichever of its packs."""
    return (one for pack_id in _packs_of(view, copy) for one in _of(view, copy, pack_id))


def _of(view: PackView, copy: PlannedCopy, pack_id: str | None) -> Iterator[Observed]:
    """Every generation of a planned copy that was heard of in one of its packs."""
    place = (pack_id, copy.form, copy.target, copy.key_domain)
    return (
        one for one in view.observed if (one.key.pack_id, one.key.form, one.key.target, one.key.key_domain) == place
    )


def _due(view: PackView, each: Wanted) -> PlannedCopy:
    """The copy with its generation: none that was given up, which must not come back, or that is in another tier."""
    gone = [one.key.generation for one in _every(view, each.copy) if not _counts(one, each.copy)]
    return each.copy.model_copy(update={"generation": max([each.generation, *(number + 1 for number in gone)])})


def _counts(one: Observed, copy: PlannedCopy) -> bool:
    return one.expired is None and one.removed is None and one.key.tier == copy.tier


def _newest(view: PackView, copy: PlannedCopy, pack_id: str | None) -> tuple[Observed, ...]:
    """The newest generation of a planned copy that counts, if any."""
    candidates = (one for one in _of(view, copy, pack_id) if _counts(one, copy))
    return tuple(sorted(candidates, key=lambda one: one.key.generation))[-1:]


def _waits_for(view: PackView, copy: PlannedCopy) -> Waiting:
    """The next fact that an unsettled copy waits for."""
    pack_id = next(each for each in _packs_of(view, copy) if _proof(view, copy, each) is None)
    newest = _newest(view, copy, pack_id)
    if pack_id is None:
        return Waiting(step="pack.deidentified")
    if (pack_id, copy.key_domain) not in view.sealed and not any(_of(view, copy, pack_id)):
        return Waiting(step="pack.sealed")
    if newest and newest[0].written and not newest[0].is_damaged:
        return Waiting(step="copy.verified", target=copy.target)
    return Waiting(step="copy.written", target=copy.target)


def _expiring(view: PackView, due: Iterable[PlannedCopy]) -> Iterator[tuple[Observed, Reason]]:
    """The generations that are no longer wanted and may go now, each once; what was called back waits for nothing."""
    yield from ((one, "cancelled") for one in view.recalled if one.expired is None and one.key.keys)
    identified_due = any(copy.form == "identified" for copy in due)
    for each in view.wanted:
        for pack_id in _packs_of(view, each.copy):
            best = _proof(view, each.copy, pack_id)
            for one in _of(view, each.copy, pack_id):
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
