"""What is known of instances and batches on their way, and what is said of it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.events import BatchStored, Event, ForwardDelivered, ForwardFailed
from contracts.events.forward import Undelivered
from contracts.formats.manifest import Instance
from services.forwarding.domain.answers import Outcome
from services.forwarding.domain.syntaxes import DECOMPRESSED, RE_ENCODED
from shared.errors import CausewayError
from shared.identity import SiteKey

#: Attempts at one instance: two minutes with the pauses of the shipped settings.
PROOF = 8
#: What is said of instances that arrived whole, but not as they were.
_OTHER_FORMS = (DECOMPRESSED, RE_ENCODED)


class InputDamaged(CausewayError):
    """A source of an instance does not hold the bytes that were received."""

    def __init__(self) -> None:
        super().__init__("input-damaged")


class InputMissing(CausewayError):
    """A source of an instance is not there (any more)."""

    def __init__(self) -> None:
        super().__init__("input-missing")


class InputAway(CausewayError):
    """A source of an instance cannot be asked now: another one may be."""

    def __init__(self) -> None:
        super().__init__("input-away")


@dataclass(frozen=True)
class Result:
    """How one instance ended at one destination."""

    instance: Instance
    outcome: Outcome


@dataclass(frozen=True)
class Order:
    """A batch for one destination; ``run`` counts how often an operator had it tried again."""

    event: BatchStored
    run: int = 0


class Suspicion:
    """Tells an instance that a destination cannot bear from a destination that is away.

    An association that is aborted, or a request that is never answered, says nothing of its cause. A destination that
    is there again after each of ``PROOF`` attempts in a row, and breaks off at the same instance, does so because of
    it: what stands behind it in the queue must not wait for ever.
    """

    def __init__(self) -> None:
        self._key, self._times = "", 0

    def is_proven(self, key: str) -> bool:
        """Whether this time, at the instance ``key``, is the last that was needed."""
        self._times = self._times + 1 if key == self._key else 1
        self._key = key
        return self._times >= PROOF


def key_of(instance: Instance) -> str:
    """What the ledger knows an instance by: 32 hexadecimal digits of its identity."""
    return hashlib.sha256("\0".join(instance.identity).encode()).hexdigest()[:32]


def kept(order: Order, known: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """What stands of what is known: a later run is there for what failed before."""
    return {key: end for key, end in known.items() if end.is_delivered or order.run == 0}


def unsettled(instances: Iterable[Instance], known: Mapping[str, Outcome]) -> tuple[Instance, ...]:
    """Those of whom nothing is known yet, each identity once, in order."""
    return tuple({key_of(one): one for one in instances if key_of(one) not in known}.values())


def outcome_of(end: Outcome) -> str:
    """What is counted of an end: ``delivered``, in what other form than it had, or ``failed``."""
    if not end.is_delivered:
        return "failed"
    return end.reason if end.reason in _OTHER_FORMS else "delivered"


def facts(
    order: Order, destination: str, instances: Iterable[Instance], known: Mapping[str, Outcome], now: datetime
) -> list[Event]:
    """What is said when everything of a batch is settled: what was delivered, and what was not."""
    ends = [(one, known[key_of(one)]) for one in instances]
    delivered = [end for _, end in ends if end.is_delivered]
    missing = [_undelivered(one, end) for one, end in ends if not end.is_delivered]
    about = {
        "destination": destination,
        "batch_id": order.event.batch.batch_id,
        "study_ref": order.event.study_ref,
        "run": order.run,
    }
    told: list[Event] = []
    if delivered:
        warnings = sum(end.reason not in (None, *_OTHER_FORMS) for end in delivered)
        told.append(ForwardDelivered(**about, instances=len(delivered), warnings=warnings, delivered=now))
    if missing:
        told.append(ForwardFailed(**about, undelivered=tuple(missing), found=now))
    return told


def _undelivered(instance: Instance, end: Outcome) -> Undelivered:
    return Undelivered(
        sop_instance_uid=instance.sop_instance_uid,
        dataset_sha256=instance.dataset_sha256,
        reason=end.reason or "unknown",
    )


def event_id(site_key: SiteKey, fact: Event) -> str:
    """The ``ce-id`` of a fact: one per batch, destination and run."""
    about = fact.model_dump(include={"batch_id", "destination", "run"})
    return site_key.event_id(fact.subject, about["batch_id"], about["destination"], about["run"])
