"""The door: who comes in by the registry as it is now, and how many of one AE title."""

import threading
from collections import Counter
from pathlib import Path
from typing import Protocol

from services.dicom_ingest.adapters.greeting import (
    APPLICATION_CONTEXT,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_NOT_RECOGNIZED,
    CALLING_AE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    Refusal,
    TurnedAway,
)
from services.dicom_ingest.domain.peers import ANYBODY, Caller, Peer, Registry, Turned
from services.dicom_ingest.domain.peers_file import read_peers
from shared.observability import metrics
from shared.watched import Watched


class CurrentRegistry(Protocol):
    """The registry; None where everybody may come."""

    def get(self) -> Registry | None:
        """As it is now."""
        ...


class NoRegistry:
    """Everybody may come."""

    def get(self) -> None:
        """None."""
        return


def peers_file(path: Path | None) -> CurrentRegistry:
    """The registry in a file that is read again when it changes; DocumentRefused, OSError at first."""
    return NoRegistry() if path is None else Watched("peers", [path], lambda: read_peers(path.read_text(), path.name))


class Door:
    """Lets callers in and out."""

    def __init__(
        self, *, registry: CurrentRegistry, called: frozenset[str], calling: frozenset[str], most_per_ae: int
    ) -> None:
        """``called`` and ``calling`` are AE titles of settings, empty: any; they hold beside the registry."""
        self.registry = registry
        self._called, self._calling = called, calling
        self._most_per_ae = most_per_ae
        self._present: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, caller: Caller, application_context: str = APPLICATION_CONTEXT) -> Peer:
        """The peer that calls, which must ``leave``; TurnedAway (PS3.8 table 9-21)."""
        if application_context != APPLICATION_CONTEXT:
            raise _turned(APPLICATION_CONTEXT_NOT_SUPPORTED)
        peer = self.identify(caller)
        self._count(caller.calling_ae, peer.associations or self._most_per_ae)
        return peer

    def identify(self, caller: Caller) -> Peer:
        """The peer that calls, not let in yet; TurnedAway."""
        if not caller.called_ae or (self._called and caller.called_ae not in self._called):
            raise _turned(CALLED_AE_NOT_RECOGNIZED)
        if not caller.calling_ae or (self._calling and caller.calling_ae not in self._calling):
            raise _turned(CALLING_AE_NOT_RECOGNIZED)
        registry = self.registry.get()
        found = ANYBODY if registry is None else registry.decide(caller)
        if isinstance(found, Turned):
            raise _turned(Refusal(1, 1, found.reason))
        return found

    def expects(self, address: str) -> bool:
        """Whether the registry has a peer at this address, or in its network."""
        registry = self.registry.get()
        return registry is not None and registry.expects(address)

    def leave(self, calling_ae: str) -> None:
        """An association that was let in is over."""
        with self._lock:
            self._present[calling_ae] -= 1
            if self._present[calling_ae] <= 0:
                del self._present[calling_ae]

    def refresh(self) -> None:
        """Take notice of a changed registry although nobody calls."""
        self.registry.get()

    def _count(self, calling_ae: str, most: int) -> None:
        with self._lock:
            if self._present[calling_ae] >= most:
                raise _turned(LOCAL_LIMIT_EXCEEDED)
            self._present[calling_ae] += 1


def _turned(refusal: Refusal) -> TurnedAway:
    metrics().count("causeway_associations_total", outcome="rejected")
    return TurnedAway(refusal)
