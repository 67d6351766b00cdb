"""What storage commitment needs: a place that survives, and ways to reach a peer."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from contracts.events import CommitmentDecided, CommitmentRequested
from services.dicom_ingest.domain.peers import CallBack, Peer
from shared.errors import RetryLater


class NotReported(RetryLater):
    """The peer was not reached, or did not answer."""


class Line(Protocol):
    """The association on which a commitment was asked for."""

    @property
    def is_open(self) -> bool:
        """Whether the peer is still there."""
        ...

    def report(self, decision: CommitmentDecided) -> int:
        """Send the report and return the peer's status; NotReported."""
        ...


class Calls(Protocol):
    """New associations to peers."""

    def report(self, decision: CommitmentDecided, callback: CallBack) -> int:
        """Call the peer, send the report and return its status; NotReported."""
        ...


class Requests(Protocol):
    """Requests and decisions on a disk that every process of a host sees. Blocking."""

    def keep(self, request: CommitmentRequested, traceparent: str | None) -> None:
        """Return when the request is durable; one that was answered before is answered again. OSError."""
        ...

    def asked(self) -> list[tuple[CommitmentRequested, str | None]]:
        """The requests that the bus may hear of now, with their traceparents: it has heard of all that was stored
        before of what they name."""
        ...

    def told(self, commitment_id: str) -> None:
        """The bus has heard of the request."""
        ...

    def decide(self, decision: CommitmentDecided) -> None:
        """Return when the decision is durable; one reported stays so, unless it was asked for since. OSError."""
        ...

    def decided(self) -> list[str]:
        """The ids of the decisions that their peers do not know."""
        ...

    def peer_of(self, commitment_id: str) -> str:
        """What stands for the peer that a decision is for; empty when it is done."""
        ...

    def hold(self, commitment_id: str) -> AbstractContextManager[CommitmentDecided | None]:
        """The decision, ours to report; None while another process is at it, or it is done."""
        ...

    def reported(self, commitment_id: str) -> None:
        """The peer knows."""
        ...

    def give_up(self, commitment_id: str) -> None:
        """The peer was not reached in all that time."""
        ...

    def forget(self, age: float) -> None:
        """Let go of what was reported longer ago than ``age`` seconds."""
        ...

    def undelivered(self) -> int:
        """How many were given up."""
        ...


@dataclass(frozen=True)
class Reach:
    """Where requests and decisions lie, and how peers are reached.

    ``remembered`` gives what a request keeps of the peer that made it, and ``callback`` where that one is called
    (NotReported where that is not known); it is tried for ``give_up_after`` seconds.
    """

    requests: Requests
    calls: Calls
    remembered: Callable[[Peer], str | None]
    callback: Callable[[CommitmentDecided], CallBack]
    give_up_after: float
