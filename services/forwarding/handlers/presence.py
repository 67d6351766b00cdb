"""Whether a destination is there: said once when it changes, and kept for operators."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from shared.observability import logger

log = logger("causeway.forwarding")


class Standing(Protocol):
    """Where it is kept."""

    async def stands(self, **values: Any) -> None:
        """Note ``away`` and ``away_since`` (seconds since 1970)."""
        ...


class Presence:
    """Of one destination."""

    def __init__(self, name: str, ledger: Standing, now: Callable[[], datetime]) -> None:
        self._name = name
        self._ledger = ledger
        self._now = now
        #: None until it is known: what an earlier process has kept may be over.
        self._away: str | None = None

    async def here(self) -> None:
        """It has answered."""
        if self._away != "":
            self._away = ""
            await self._ledger.stands(away=None, away_since=None)

    async def away(self, reason: str) -> None:
        """It has not, or it has no room."""
        if reason != self._away:
            since = {} if self._away else {"away_since": self._now().timestamp()}
            self._away = reason
            log.warning("destination-away", target=self._name, reason=reason)
            await self._ledger.stands(away=reason, **since)
