"""The MLLP server: a plain port and, where there are certificates, one for TLS beside it."""

import asyncio

from services.hl7_fhir.adapters.conversation import END, START, Conversation
from services.hl7_fhir.adapters.hall import Answer, Hall, Limits
from services.hl7_fhir.adapters.listener import Listeners, Port
from shared.errors import RetryLater
from shared.observability import logger

__all__ = ["END", "START", "Limits", "MllpServer", "Port"]

log = logger("causeway.mllp")


class MllpServer:
    """Listens, and gives each message to ``answer``; an oversize frame's head to ``refuse``, then hangs up."""

    def __init__(
        self, *, ports: tuple[Port, ...], answer: Answer, refuse: Answer, limits: Limits | None = None
    ) -> None:
        """``ports``: port 0 takes a free one."""
        self._wanted = ports
        self._limits = limits or Limits()
        self._hall = Hall(answer, refuse, self._limits)
        self._stopping = False
        self.listening = asyncio.Event()
        self.ports: tuple[int, ...] = ()

    @property
    def port(self) -> int:
        """The first port."""
        return self.ports[0]

    async def run(self) -> None:
        """Serve until cancelled; messages that are being answered then are answered first."""
        listeners = Listeners(self._wanted, lambda: Conversation(self._hall))
        self.ports = listeners.ports
        self.listening.set()
        for port in self.ports:
            log.info("mllp-listening", port=port)
        try:
            await listeners.serve()
        finally:
            self._stopping = True
            await self._hang_up()

    async def check(self) -> None:
        """RetryLater unless it listens: a readiness check."""
        if not self.listening.is_set() or self._stopping:
            raise RetryLater("mllp-not-listening")

    async def _hang_up(self) -> None:
        """Let messages that are being committed get their answers, close what is idle, then close everything."""
        deadline = asyncio.get_running_loop().time() + self._limits.farewell
        while self._hall.present and asyncio.get_running_loop().time() < deadline:
            for guest in tuple(self._hall.present):
                guest.close_unless_busy()
            await asyncio.sleep(0.02)
        for guest in tuple(self._hall.present):
            guest.abort()
