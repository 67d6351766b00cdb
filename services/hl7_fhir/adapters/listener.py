"""TCP ports of the event loop, plain or with TLS whose certificates are read again when their files change."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.tls import TlsFiles, server_context
from shared.watched import Watched

_HANDSHAKE = 10.0
#: How often the certificates are looked at again, seconds.
_LOOK_EVERY = 5.0


@dataclass(frozen=True)
class Port:
    """Where it listens; port 0 takes a free one. ``context`` gives what TLS is spoken with as the files say it now;
    None: no TLS. ``handshake`` is how long one may take, seconds.
    """

    host: str
    port: int
    context: Callable[[], ssl.SSLContext] | None = None
    handshake: float = _HANDSHAKE


def tls_ports(
    host: str,
    port: int | None,
    files: tuple[Path | None, Path | None, Path | None],
    *,
    mutual: bool,
    handshake: float = _HANDSHAKE,
) -> tuple[Port, ...]:
    """The port for TLS, none without ``port``; ``files`` are certificate, key and who signs those of clients.

    OSError when one of them cannot be used.
    """
    certificate, key, client_ca = files
    if port is None or certificate is None or key is None:
        return ()
    found = TlsFiles(certificate, key, client_ca)
    context = Watched("certificates", found.paths(), lambda: server_context(found, mutual=mutual))
    return (Port(host, port, context.get, handshake),)


class Listeners:
    """Several ports, each of whose connections gets a protocol that ``protocol`` makes. They are bound at once."""

    def __init__(self, ports: Iterable[Port], protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """OSError when a port is taken."""
        self._listeners = [_Listener(wanted, protocol) for wanted in ports]
        self.ports = tuple(listener.port for listener in self._listeners)

    async def open(self) -> None:
        """Accept connections."""
        for listener in self._listeners:
            await listener.open()

    async def keep_fresh(self) -> None:
        """Look at the certificates again and again, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            for listener in self._listeners:
                await listener.refresh()

    def close(self) -> None:
        """Accept no more; those who are connected stay."""
        for listener in self._listeners:
            listener.close()


class _Listener:
    """One port. New certificates are for those who connect from then on."""

    def __init__(self, wanted: Port, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._wanted = wanted
        self._protocol = protocol
        self._socket = _bound(wanted)
        self._context: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self.port = int(self._socket.getsockname()[1])

    async def open(self) -> None:
        """Accept connections."""
        self._context = self._wanted.context() if self._wanted.context else None
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol,
            sock=self._socket.dup(),
            ssl=self._context,
            ssl_handshake_timeout=self._wanted.handshake if self._context else None,
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
        self._socket.close()


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
