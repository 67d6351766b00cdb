"""What people decide of what was withheld, and what follows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from contracts.formats.manifest import Instance
from services.deid.domain.looking.scanner import Finding
from shared.errors import Unprocessable

_LONGEST_REASON = 1000
_DIGEST = 64


class Action(StrEnum):
    """What may be decided. ``expire`` is what the retention of quarantine does by itself."""

    APPROVE = "approve"  # goes out as it was shown
    REJECT = "reject"  # stays out for good, and its bytes go
    RETRY = "retry"  # is cleaned again under the present profile
    EXPIRE = "expire"


class State(StrEnum):
    """How a withheld instance stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    CLEANED = "cleaned"  # a retry came to a file that may go out, and it went
    EXPIRED = "expired"  # nobody decided in time


#: In which of them the original's bytes are of no use any more.
FINAL = frozenset((State.APPROVED, State.REJECTED, State.CLEANED, State.EXPIRED))
_AFTER = {Action.APPROVE: State.APPROVED, Action.REJECT: State.REJECTED, Action.EXPIRE: State.EXPIRED}


class VerdictRefused(Unprocessable):
    """The decision can't be read, or can't be made of this instance any more; ``reason`` is fit to be shown."""


@dataclass(frozen=True)
class Verdict:
    """A decision. ``candidate`` is the SHA-256 of the data set that was shown: what goes out is what was looked at."""

    action: Action
    reason: str
    candidate: str = ""


@dataclass(frozen=True)
class Entry:
    """A withheld instance. ``instance`` describes its file; it is None of what was withheld by earlier versions."""

    id: str
    source_pack_id: str
    project: str
    study_ref: str
    sop_instance_uid: str
    dataset_sha256: str
    reason: str
    state: State
    since: float
    size: int
    blob_key: str
    findings: tuple[Finding, ...] = ()
    instance: Instance | None = None


class Ruling(NamedTuple):
    """A decision as it is kept: of which entry, by whom, when (seconds since 1970), what came of it."""

    id: str
    entry: str
    action: str
    state: str
    who: str
    told: float
    outcome: str
    reason: str


def read_verdict(body: Any) -> Verdict:
    """``{action, reason, candidate}``; ``candidate`` only of an approval. VerdictRefused for anything else."""
    if not isinstance(body, dict):
        raise VerdictRefused("say-action-and-reason")
    action, reason, candidate = (body.get(name, "") for name in ("action", "reason", "candidate"))
    if action not in (Action.APPROVE, Action.REJECT, Action.RETRY):
        raise VerdictRefused("say-approve-reject-or-retry")
    if not isinstance(reason, str) or not reason.strip() or len(reason) > _LONGEST_REASON:
        raise VerdictRefused("say-a-reason")
    if action == Action.APPROVE and not (isinstance(candidate, str) and len(candidate) == _DIGEST):
        raise VerdictRefused("say-the-candidate-that-was-looked-at")
    return Verdict(Action(action), reason.strip(), candidate if action == Action.APPROVE else "")


def is_repeat(state: State, action: Action) -> bool:
    """Whether a decision was made already; VerdictRefused when another one was."""
    if state is State.WAITING:
        return False
    if state is _AFTER.get(action) or (state is State.CLEANED and action is Action.RETRY):
        return True
    raise VerdictRefused(f"already-{state.value}")
