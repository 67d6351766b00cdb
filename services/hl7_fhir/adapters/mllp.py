"""The MLLP server: a plain port and, where there are certificates, one for TLS beside it."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from services.hl7_fhir.adapters.conversation import END, START, Conversation
from services.hl7_fhir.adapters.hall import Answer, Hall, Limits
from shared.errors import RetryLater
from shared.observability import logger

__all__ = ["END", "START", "Limits", "MllpServer", "Port"]

_HANDSHAKE = 10.0
#: How often the certificates are looked at again, seconds.
_LOOK_EVERY = 5.0

log = logger("causeway.mllp")


@dataclass(frozen=True)
class Port:
    """Where it listens. ``context`` gives what TLS is spoken with as the files say it now; None: no TLS."""

    host: str
    port: int
    context: Callable[[], ssl.SSLContext] | None = None


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
        sockets = [_bound(wanted) for wanted in self._wanted]
        listeners = [_Listener(wanted, sock, self._hall) for wanted, sock in zip(self._wanted, sockets, strict=True)]
        try:
            for listener in listeners:
                await listener.open()
            self.ports = tuple(sock.getsockname()[1] for sock in sockets)
            self.listening.set()
            for port in self.ports:
                log.info("mllp-listening", port=port)
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                for listener in listeners:
                    await listener.refresh()
        finally:
            self._stopping = True
            for listener in listeners:
                listener.close()
            for sock in sockets:
                sock.close()
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


class _Listener:
    """One port. New certificates are for those who connect from then on."""

    def __init__(self, wanted: Port, sock: socket.socket, hall: Hall) -> None:
        self._wanted = wanted
        self._socket = sock
        self._hall = hall
        self._context: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Accept connections."""
        self._context = self._wanted.context() if self._wanted.context else None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Conversation(self._hall),
            sock=self._socket.dup(),
            ssl=self._context,
            ssl_handshake_timeout=_HANDSHAKE if self._context else None,
            backlog=128,
        )

    async def refresh(self) -> None:
        """Serve the next ones with what the files say now; the socket stays, so that nobody is turned away."""
        if self._wanted.context is None or self._wanted.context() is self._context:
            return
        former = self._server
        await self.open()
        if former is not None:
            former.close()

    def close(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()


def _bound(wanted: Port) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        wanted.host, wanted.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    sock.bind(address)
    sock.listen(128)
    return sock
