"""TCP ports of the event loop, plain or with TLS whose certificates are read again when their files change.

Who has not ended the handshake is no connection yet, and only so many of them wait: the oldest gives way to the next.
So neither memory nor descriptors grow with those who never end it, and they keep nobody out who does.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.observability import logger, metrics
from shared.tls import TlsFiles, server_context
from shared.watched import Watched

_HANDSHAKE = 10.0
#: How many handshakes a port has at a time, unless it is told.
_WAITING = 64
#: How long accepting rests once there is no descriptor left for another connection, seconds.
_REST = 1.0

log = logger("causeway.listener")


@dataclass(frozen=True)
class Port:
    """Where it listens; port 0 takes a free one. ``context`` gives what TLS is spoken with as the files say it now;
    None: no TLS. ``handshake`` is how long one may take, seconds, ``waiting`` how many may be under way.
    """

    host: str
    port: int
    context: Callable[[], ssl.SSLContext] | None = None
    handshake: float = _HANDSHAKE
    waiting: int = _WAITING


def tls_ports(
    host: str,
    port: int | None,
    files: tuple[Path | None, Path | None, Path | None],
    *,
    mutual: bool,
    handshake: float = _HANDSHAKE,
    waiting: int = _WAITING,
) -> tuple[Port, ...]:
    """The port for TLS, none without ``port``; ``files`` are certificate, key and who signs those of clients.

    OSError when one of them cannot be used.
    """
    certificate, key, client_ca = files
    if port is None or certificate is None or key is None:
        return ()
    found = TlsFiles(certificate, key, client_ca)
    context = Watched("certificates", found.paths(), lambda: server_context(found, mutual=mutual))
    return (Port(host, port, context.get, handshake, waiting),)


class Listeners:
    """Several ports, each of whose connections gets a protocol that ``protocol`` makes. They are bound at once."""

    def __init__(self, ports: Iterable[Port], protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """OSError when a port is taken."""
        self._listeners = [_Listener(wanted, protocol) for wanted in ports]
        self.ports = tuple(listener.port for listener in self._listeners)

    async def serve(self) -> None:
        """Accept connections until cancelled; those who are connected then stay, and no port is bound any more."""
        async with asyncio.TaskGroup() as tasks:
            for listener in self._listeners:
                tasks.create_task(listener.serve())


class _Listener:
    """One port. New certificates are for those who connect from then on."""

    def __init__(self, wanted: Port, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._wanted = wanted
        self._protocol = protocol
        self._socket = _bound(wanted)
        #: Those who are not connected yet, in the order in which they came.
        self._waiting: dict[asyncio.Task[None], None] = {}
        self.port = int(self._socket.getsockname()[1])

    async def serve(self) -> None:
        """Accept connections until cancelled."""
        try:
            while True:
                await self._accept()
                # Who connects faster than is accepted stops nothing else, and what was accepted has begun, so that it
                # closes its own socket when it is cancelled.
                await asyncio.sleep(0)
        finally:
            waiting = tuple(self._waiting)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            self._socket.close()

    async def _accept(self) -> None:
        try:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        except ConnectionError:
            return  # it was gone before it was accepted
        except OSError as error:
            log.error("accept-failed", port=self.port, error=type(error).__name__)
            await asyncio.sleep(_REST)
            return
        while len(self._waiting) >= self._wanted.waiting:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.cancel()
            metrics().count("causeway_handshakes_total", outcome="gave-way")
        task = asyncio.create_task(self._connect(connection))
        self._waiting[task] = None
        task.add_done_callback(lambda done: self._waiting.pop(done, None))

    async def _connect(self, connection: socket.socket) -> None:
        """Give the connection its protocol once its handshake has ended; a handshake that fails ends it."""
        secured: dict[str, Any] = {}
        if self._wanted.context is not None:
            secured = {"ssl": self._wanted.context(), "ssl_handshake_timeout": self._wanted.handshake}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection, **secured)
        except OSError:
            metrics().count("causeway_handshakes_total", outcome="failed")


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
