"""The door of STOW-RS: who comes in by the AE registry as it is now, how many at a time, and how fast."""

import threading
from collections import Counter

from services.dicom_ingest.adapters.pacing import Paces
from services.dicom_ingest.adapters.peers import CurrentRegistry
from services.dicom_ingest.domain.peers import ANYBODY, Peer
from services.dicom_ingest.domain.stow import RequestRefused


class HttpDoor:
    """Lets requests in and out; a peer's rate is one over all its requests and associations."""

    def __init__(self, registry: CurrentRegistry, paces: Paces) -> None:
        self._registry = registry
        self._paces = paces
        self._present: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, holder: str, address: str) -> Peer:
        """The peer that sends; RequestRefused."""
        registry = self._registry.get()
        peer = ANYBODY if registry is None else registry.decide_http(holder, address)
        if peer is None:
            raise RequestRefused("not-registered", 403)
        with self._lock:
            if peer.associations is not None and self._present[holder] >= peer.associations:
                raise RequestRefused("busy", 503)
            self._present[holder] += 1
        return peer

    def leave(self, holder: str) -> None:
        """A request that was let in is over."""
        with self._lock:
            self._present[holder] -= 1
            if self._present[holder] <= 0:
                del self._present[holder]

    def pause(self, peer: Peer, size: int, instances: int) -> float:
        """Seconds to wait after so many bytes and instances."""
        return self._paces.pause(peer, size, instances)
