"""What tier routing needs from outside, in its own words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from contracts.events import Batch, CommitmentRequested, Event
from contracts.formats.manifest import Manifest
from services.tier_routing.domain.given_up import GivenUp
from services.tier_routing.domain.identity import Arrived


@dataclass(frozen=True)
class Selection:
    """What an operator asks about: a batch, a study, or everything."""

    batch_id: str | None = None
    study_uid: str | None = None
    everything: bool = False


class Manifests(Protocol):
    """The manifests of landing batches; RetryLater or Unprocessable."""

    async def read(self, batch: Batch) -> Manifest: ...


class Backlog(Protocol):
    """Whether every batch told before a place in the stream has been taken in, or given up."""

    async def is_settled(self, sequence: int) -> bool: ...


class Ledger(Protocol):
    """Plan and proof: what is heard goes in, what follows is told."""

    async def take_in(self, arrived: Arrived) -> bool: ...
    async def hear(self, event: Event, event_id: str, told: datetime) -> None: ...
    async def ask(self, request: CommitmentRequested, now: datetime, traceparent: str | None) -> bool: ...
    async def give_up(self, letter: GivenUp) -> None: ...


class Clockwork(Protocol):
    """What the ledger does when time passes; each tells how much it did."""

    async def close_due(self, now: datetime) -> int: ...
    async def sweep(self, now: datetime) -> int: ...
    async def decide_commitments(self, now: datetime) -> int: ...
    async def end_retention(self, now: datetime) -> int: ...


class Questions(Protocol):
    """What an operator may ask, and order."""

    async def overdue(self, now: datetime) -> list[dict[str, Any]]: ...
    async def packs_of(self, selection: Selection) -> list[dict[str, Any]]: ...
    async def commitments(self) -> dict[str, Any]: ...
    async def summary(self, now: datetime) -> dict[str, Any]: ...
    async def replan(self, selection: Selection, now: datetime, *, dry_run: bool) -> dict[str, Any]: ...
