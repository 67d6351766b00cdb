"""uvicorn's server with an acceptor that finds a place for a connection before it is one.

asyncio's own takes whatever comes until it has no handles left.
"""

import asyncio
import errno
import socket
from asyncio import sslproto

import uvicorn

from shared.http.patience import PromptProtocol
from shared.http.places import Places
from shared.observability import logger

#: What ``accept`` says of a peer that is gone; all else is of us, and lasts a while: no handles, no memory.
_OF_THE_PEER = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR})
_PAUSE = 0.1
#: Four records (RFC 8446 section 5.1), bytes.
_TLS_BUFFER = 64 * 1024
#: How often it is looked whether somebody gives way, seconds.
_LOOK_EVERY = 0.02

log = logger("causeway.http")


class AcceptingServer(uvicorn.Server):
    """Serves the sockets it is given; who finds no place waits among those that are not accepted yet."""

    def __init__(self, config: uvicorn.Config, places: Places) -> None:
        super().__init__(config)
        self._places = places
        self._accepting: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        # Every connection with TLS has a buffer of so many bytes, filled with zeros: by default 256 KiB, for silence.
        # asyncio knows no other place for it than the class, so it holds for all of this process.
        sslproto.SSLProtocol.max_size = _TLS_BUFFER
        await super().startup(sockets=[])
        for listening in sockets or []:
            listening.setblocking(False)
            self._accepting.append(asyncio.create_task(self._accept(listening)))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and finish what is in work."""
        for task in (*self._accepting, *self._opening):
            task.cancel()
        await asyncio.gather(*self._accepting, *self._opening, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno not in _OF_THE_PEER:
                    log.warning("connection-not-accepted", code=errno.errorcode.get(error.errno or 0, "none").lower())
                    await asyncio.sleep(_PAUSE)
                continue
            await self._admit(connection, peer[0])
            # Whoever is let in has its turn before the next one comes.
            await asyncio.sleep(0)

    async def _admit(self, connection: socket.socket, address: str) -> None:
        guest = PromptProtocol(
            connection,
            address,
            self._places.is_crowded,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        while not self._places.enter(guest):  # noqa: ASYNC110 - silence is no event
            await asyncio.sleep(_LOOK_EVERY)
        task = asyncio.create_task(self._open(guest))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, guest: PromptProtocol) -> None:
        loop, tls = asyncio.get_running_loop(), self.config.ssl
        try:
            if tls is not None:
                await _heard(guest.connection, guest.patience)
            await loop.connect_accepted_socket(
                lambda: guest, guest.connection, ssl=tls, ssl_handshake_timeout=guest.patience if tls else None
            )
        except OSError as error:  # a handshake that failed is the peer's affair
            # Else the error and all of the connection hold each other until garbage is collected.
            error.__traceback__ = None


async def _heard(connection: socket.socket, patience: float) -> None:
    """Return when there is something to read: TLS costs memory before a peer has said a word. TimeoutError."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, heard.set)
    try:
        async with asyncio.timeout(patience):
            await heard.wait()
    except TimeoutError:
        connection.close()
        raise
    finally:
        loop.remove_reader(connection)
