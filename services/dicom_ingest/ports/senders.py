"""Who may send over HTTP."""

from typing import Protocol

from services.dicom_ingest.domain.peers import Peer


class Senders(Protocol):
    """Those who are known by whose token they show."""

    def enter(self, holder: str, address: str) -> Peer:
        """The peer that sends a request, which must ``leave``; RequestRefused (403, or 503 for too many at a time)."""
        ...

    def leave(self, holder: str) -> None:
        """A request that was let in is over."""
        ...

    def pause(self, peer: Peer, size: int, instances: int) -> float:
        """Seconds to wait after so many bytes and instances have come, at the peer's rate."""
        ...
