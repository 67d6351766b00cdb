"""Storage commitment: what is answered for each instance that a peer named (PS3.4 annex J.3)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.events import CommitmentDecided, CommitmentRequested, Outcome
from services.tier_routing.domain.identity import class_hash, uid_hash
from services.tier_routing.domain.policy import CommitmentLimits

#: Values of Failure Reason (0008,1197), PS3.3 section C.14.1.1.
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
CLASS_NOT_SUPPORTED = 0x0122
DUPLICATE_TRANSACTION = 0x0131
RESOURCE_LIMITATION = 0x0213

#: A request is looked at again at the latest after so long, should nobody have woken it.
LOOK_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True)
class Held:
    """One version of an instance in the ledger: the first batch that brought it, the AE titles of all that did.

    ``sop_class`` is its ``class_hash``, None where that was not noted; ``full`` tells that a target has no room for it.
    """

    batch: int
    sop_class: bytes | None
    sources: frozenset[str]
    secured: bool
    full: bool = False


@dataclass(frozen=True)
class Committed:
    """The instance is secured."""


@dataclass(frozen=True)
class Failed:
    """The instance is not committed and will not be; ``reason`` is a value of (0008,1197)."""

    reason: int


@dataclass(frozen=True)
class Pending:
    """Not known yet; if nothing changes it fails ``after`` the request."""

    after: timedelta


Answer = Committed | Failed | Pending


@dataclass(frozen=True)
class Wanted:
    """An instance as a peer named it; ``stored`` tells whether its SOP class is taken at all."""

    sop_class: str
    sop_instance: str
    stored: bool


def wanted(request: CommitmentRequested) -> Iterator[Wanted]:
    """Every instance of a request."""
    for each in request.referenced:
        for uid in each.sop_instance_uids:
            yield Wanted(each.sop_class_uid, uid, each.stored)


def answer(one: Wanted, versions: Sequence[Held], requester: str, age: timedelta, limits: CommitmentLimits) -> Answer:
    """What is said of an instance ``age`` after the request, given the versions of it that are here."""
    if not versions:
        return _in_time(age, limits.wait, NO_SUCH_INSTANCE) if one.stored else Failed(CLASS_NOT_SUPPORTED)
    meant = _meant(versions, requester)
    if meant is None:
        return _in_time(age, limits.wait, PROCESSING_FAILURE)
    if meant.sop_class not in (None, class_hash(one.sop_class)):
        return Failed(CLASS_INSTANCE_CONFLICT)
    if meant.secured:
        return Committed()
    return _in_time(age, limits.secured, RESOURCE_LIMITATION if meant.full else PROCESSING_FAILURE)


def _in_time(age: timedelta, limit: timedelta, reason: int) -> Answer:
    return Failed(reason) if age >= limit else Pending(limit)


def _meant(versions: Sequence[Held], requester: str) -> Held | None:
    """The version that the requester means and that is served first; None unless these are surely the same.

    Whoever is told that an instance is committed may delete it: then it must be his that one gets back.
    """
    if len(versions) == 1:
        return versions[0]
    first = min(each.batch for each in versions)
    theirs = [each for each in versions if requester in each.sources]
    earliest = [each for each in versions if each.batch == first]
    return theirs[0] if len(earliest) == 1 and theirs == earliest else None


@dataclass(frozen=True)
class Look:
    """What one look at a request gives: its decision, or when to look again."""

    decided: CommitmentDecided | None
    again: datetime | None = None


def look(
    request: CommitmentRequested,
    versions: Mapping[bytes, Sequence[Held]],
    limits: CommitmentLimits,
    heard: datetime,
    now: datetime,
) -> Look:
    """Decide on a request that was ``heard`` of once nothing of it is pending; ``versions`` are by ``uid_hash``."""
    age = now - heard
    answers = [
        (one, answer(one, versions.get(uid_hash(one.sop_instance), ()), request.calling_ae, age, limits))
        for one in wanted(request)
    ]
    pending = [told.after for _, told in answers if isinstance(told, Pending)]
    if pending:
        return Look(None, min(heard + min(pending), now + LOOK_AGAIN))
    reasons = [(one, told.reason if isinstance(told, Failed) else None) for one, told in answers]
    return Look(decided(request, reasons, now))


def refuse(request: CommitmentRequested, reason: int, now: datetime) -> CommitmentDecided:
    """The decision that fails every instance of a request for one reason."""
    return decided(request, [(one, reason) for one in wanted(request)], now)


def decided(
    request: CommitmentRequested, reasons: Iterable[tuple[Wanted, int | None]], now: datetime
) -> CommitmentDecided:
    """The event that tells what became of each instance, those with one SOP class and one reason together."""
    grouped: dict[tuple[str, int | None], list[str]] = {}
    for one, reason in reasons:
        grouped.setdefault((one.sop_class, reason), []).append(one.sop_instance)
    return CommitmentDecided(
        commitment_id=request.commitment_id,
        transaction_uid=request.transaction_uid,
        calling_ae=request.calling_ae,
        called_ae=request.called_ae,
        outcomes=tuple(
            Outcome(sop_class_uid=sop_class, reason=reason, sop_instance_uids=tuple(uids))
            for (sop_class, reason), uids in grouped.items()
        ),
        requested=request.requested,
        decided=now,
        peer=request.peer,
    )


def failures(event: CommitmentDecided) -> int:
    """How many instances of a decision are not committed."""
    return sum(len(each.sop_instance_uids) for each in event.outcomes if each.reason is not None)
