"""When a study is received, completed, revised and archived, decided on event times alone.

The end of an association proves nothing: many modalities open one per image. What counts is that the study has been
quiet for as long as its source usually pauses, and that a stated number of instances, where there is one, is here.
Where the modality reports what it does (MPPS), a study is complete as soon as it has ended and what it made is held.
"""

from dataclasses import dataclass
from enum import Enum

#: What quiet alone is worth, and what a reached or a missed count makes of it.
QUIET = 0.8
COUNTED = 0.99
SHORT = 0.4
ORDERED = 0.1
#: What it is worth that every procedure step is completed, and everything that they made is held.
STEPPED = 0.98

#: A study that is known to lack instances is waited for this many times longer.
PATIENCE = 10


class State(Enum):
    """What was last said of a study."""

    NEW = "new"
    RECEIVED = "received"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class Step(Enum):
    """What is to be said of a study next."""

    RECEIVE = "received"
    COMPLETE = "completed"
    REVISE = "revised"
    ARCHIVE = "archived"


@dataclass(frozen=True)
class Study:
    """What the decision needs. Times are seconds since 1970; ``told`` counts the instances last told of."""

    state: State
    instances: int
    told: int
    last_event: float
    quiet: float
    expected: int | None = None
    ordered: bool = False
    batches_open: int = 0
    #: Whether all known steps are completed, each has named what it made, and all of that is held.
    steps_done: bool = False


@dataclass(frozen=True)
class Proof:
    """One reason to hold a study for complete, and what it is worth alone (0 to 1)."""

    kind: str
    confidence: float


def evidence(study: Study) -> tuple[Proof, ...]:
    """The reasons, strongest last to be combined by ``confidence``."""
    proofs = [Proof("steps_completed", STEPPED) if is_finished(study) else Proof("quiet", QUIET)]
    if study.expected is not None:
        proofs.append(Proof("expected_count", COUNTED if study.instances >= study.expected else SHORT))
    if study.ordered:
        proofs.append(Proof("ordered", ORDERED))
    return tuple(proofs)


def is_finished(study: Study) -> bool:
    """Whether its steps alone say that a study is complete. A stated number that is not reached contradicts them."""
    return study.steps_done and not _is_short(study)


def _is_short(study: Study) -> bool:
    return study.expected is not None and study.instances < study.expected


def confidence(study: Study) -> float:
    """How sure we are: a stated count decides where there is one, else the reasons add up as independent ones."""
    proofs = {proof.kind: proof.confidence for proof in evidence(study)}
    if "expected_count" in proofs:
        return proofs["expected_count"]
    doubt = 1.0
    for worth in proofs.values():
        doubt *= 1 - worth
    return round(1 - doubt, 4)


def patience(study: Study) -> float:
    """Seconds of quiet after which the study is complete; longer while a stated count is not reached."""
    return study.quiet * (PATIENCE if _is_short(study) else 1)


@dataclass(frozen=True)
class Coming:
    """What is to be said of a study next, and from when on: seconds since 1970, by the events; 0 for at once."""

    step: Step
    due: float = 0.0


def coming(study: Study) -> Coming | None:
    """The next word on a study; None while there is nothing to say before something happens to it."""
    if study.state is State.NEW:
        return Coming(Step.RECEIVE)
    if study.instances > study.told:
        step = Step.COMPLETE if study.state is State.RECEIVED else Step.REVISE
        # What comes later was in no step that was known: it comes when it comes.
        at_once = step is Step.COMPLETE and is_finished(study)
        return Coming(step) if at_once else Coming(step, study.last_event + patience(study))
    if study.state is State.COMPLETED and study.batches_open == 0:
        return Coming(Step.ARCHIVE)
    return None


def next_step(study: Study, now: float) -> Step | None:
    """What to say at ``now`` (seconds since 1970, by the events), None for nothing."""
    found = coming(study)
    return found.step if found and now >= found.due else None
