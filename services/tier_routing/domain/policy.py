"""The tier policy: which copies a batch gets, and when its copies suffice."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from contracts.events import PART_SIZE, PlannedCopy
from services.tier_routing.domain.matching import Arrival, Match

#: Joins targets of which one is enough, in ``commit_after``.
EITHER = "|"


@dataclass(frozen=True)
class Offer:
    """What a target of the site offers to a policy."""

    name: str
    jurisdiction: str
    tiers: tuple[str, ...]
    forms: frozenset[str]


@dataclass(frozen=True)
class PackTimings:
    """A pack is closed at ``size`` bytes or ``instances``, ``quiet`` after its last batch, or ``recovery_point`` after
    its first. Whoever reads a pack holds its manifest, about 1 kB for each instance."""

    size: int = PART_SIZE
    instances: int = 2048
    quiet: timedelta = timedelta(seconds=10)
    recovery_point: timedelta = timedelta(minutes=5)


@dataclass(frozen=True)
class OverdueLimits:
    """When a batch is overdue, and how often its work is started again (the interval doubles, up to ``longest``)."""

    secured: timedelta = timedelta(minutes=10)
    archived: timedelta = timedelta(minutes=30)
    repeat: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class CommitmentLimits:
    """After how long a request for storage commitment fails an instance that is not here, or of which it is disputed
    which version is meant (``wait``), and one that is here but not secured (``secured``)."""

    wait: timedelta = timedelta(minutes=15)
    secured: timedelta = timedelta(days=3)


@dataclass(frozen=True)
class Decision:
    """What policy says about a batch: the rule that spoke, the copies, and the targets whose proof secures it.

    Each item of ``commit_after`` is a target, or several joined by ``|`` of which one is enough.
    """

    policy: str
    rule: str
    copies: tuple[PlannedCopy, ...]
    commit_after: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of everything decided, as 64 hexadecimal digits: batches with equal digests may share a pack."""
        return canonical_digest(
            {
                "policy": self.policy,
                "rule": self.rule,
                "copies": [demand(copy) for copy in self.copies],
                "commit_after": list(self.commit_after),
            }
        )


@dataclass(frozen=True)
class Rule:
    """One line of the policy. The default rule has no condition."""

    name: str
    match: Match
    copies: tuple[PlannedCopy, ...]
    commit_after: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Rules in their order, ending with the default rule; ``digest`` names exactly this policy."""

    rules: tuple[Rule, ...]
    digest: str
    pack: PackTimings = field(default_factory=PackTimings)
    overdue: OverdueLimits = field(default_factory=OverdueLimits)
    commitment: CommitmentLimits = field(default_factory=CommitmentLimits)

    def decide(self, *arrivals: Arrival) -> Decision:
        """The first rule, in the order of the file, that any instance of these batches matches speaks for all."""
        spoken = (rule for rule in self.rules if any(rule.match.accepts(arrival) for arrival in arrivals))
        rule = next(spoken, self.rules[-1])
        return Decision(policy=self.digest, rule=rule.name, copies=rule.copies, commit_after=rule.commit_after)


def demand(copy: PlannedCopy) -> dict[str, object]:
    """What policy says of a copy. Its generation is the ledger's business: plans must not be called after it."""
    return copy.model_dump(mode="json", exclude={"generation"})


def canonical_digest(document: Mapping[str, object]) -> str:
    """SHA-256 of ``document`` as JSON with sorted keys and no spaces, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def default_commit_after(copies: tuple[PlannedCopy, ...], on_site: str = "onsite") -> tuple[str, ...]:
    """The on-site target and any one of the others, as far as ``copies`` has identified copies there."""
    targets = sorted({copy.target for copy in copies if copy.form == "identified"})
    clouds = [target for target in targets if target != on_site]
    return (*([on_site] if on_site in targets else []), *([EITHER.join(clouds)] if clouds else []))


def committed(commit_after: tuple[str, ...], proven: frozenset[str]) -> bool:
    """Whether identified copies proven in the targets ``proven`` are all that ``commit_after`` asks for."""
    return all(any(target in proven for target in item.split(EITHER)) for item in commit_after)


def within(commit_after: tuple[str, ...], targets: frozenset[str]) -> tuple[str, ...]:
    """What ``commit_after`` asks of a pack that is to have copies in these targets: it waits for no others."""
    return tuple(item for item in commit_after if targets.intersection(item.split(EITHER)))


def covers(planned: tuple[PlannedCopy, ...], wanted: tuple[PlannedCopy, ...]) -> bool:
    """Whether every wanted copy is among the planned ones, kept at least as long."""
    return all(any(_stands_for(copy, want) for copy in planned) for want in wanted)


def _stands_for(copy: PlannedCopy, want: PlannedCopy) -> bool:
    kept = copy.retention_days is None or (
        want.retention_days is not None and copy.retention_days >= want.retention_days
    )
    same = ("form", "target", "tier", "key_domain", "project")
    return kept and all(getattr(copy, name) == getattr(want, name) for name in same)
