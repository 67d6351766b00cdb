"""MLLP as a sender speaks it: one connection, one message at a time, and bounds on whatever comes back.

Nothing that a receiver does costs more than a bounded time and a bounded memory: a message has a deadline from its
first byte to the last of its answer, and what stands before or in an answer has a bound.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from services.hl7_fhir.adapters.mllp import END, START
from services.hl7_fhir.domain.outgoing.answers import Answer, NotAnAnswer, control_id_of, read_answer
from services.hl7_fhir.domain.outgoing.receivers import Receiver, Tls
from shared.errors import RetryLater

#: Bytes of an answer, and what may stand in front of it; late answers to earlier messages that are passed over.
_LARGEST, _BETWEEN, _LATE = 64 * 1024, 1024, 32

T = TypeVar("T")


class Away(RetryLater):
    """The receiver did not take a message that was or was to be sent; ``reason`` is a fixed code."""


class MllpLink:
    """The connection to one receiver; it is opened when there is something to send, and again when it was lost."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._earlier: deque[str] = deque(maxlen=_LATE)
        # A thread of its own: a name server that does not answer must not take those that others need.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"link-{receiver.name}")

    async def exchange(self, content: bytes) -> Answer:
        """The receiver's answer to ``content``; Away when there is none, and then it may have the message or not."""
        try:
            reader, writer = await self._connected()
            async with asyncio.timeout(self._receiver.answer_timeout):
                writer.write(START + content + END)
                await writer.drain()
                answer = await self._answer(reader, control_id_of(content))
        except TimeoutError:
            await self.close()
            raise Away("no-answer") from None
        except ssl.SSLError:
            await self.close()
            raise Away("tls-refused") from None
        except (OSError, EOFError):
            await self.close()
            raise Away("connection-lost") from None
        except BaseException:
            await self.close()
            raise
        if not self._receiver.keep_open:
            await self.close()
        return answer

    async def close(self) -> None:
        """Hang up; the next exchange connects again."""
        writer, self._reader, self._writer = self._writer, None, None
        self._earlier.clear()
        if writer is not None:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def leave(self) -> None:
        """Hang up for good."""
        await self.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is not None and self._writer is not None:
            if not self._reader.at_eof() and not self._writer.is_closing():
                return self._reader, self._writer
            await self.close()
        self._reader, self._writer = await self._connect()
        return self._reader, self._writer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        receiver = self._receiver
        context = await self._context(receiver.tls)
        name = (receiver.tls.server_name or receiver.host) if receiver.tls else None
        for address, seconds in await self._addresses():
            try:
                async with asyncio.timeout(seconds):
                    return await asyncio.open_connection(
                        address, receiver.port, limit=_LARGEST, ssl=context, server_hostname=name
                    )
            except (ssl.SSLError, ssl.CertificateError):
                raise Away("tls-refused") from None
            except (TimeoutError, OSError):
                continue
        raise Away("not-reachable")

    async def _addresses(self) -> list[tuple[str, float]]:
        """Where the receiver may be, each with its share of the time."""
        host, seconds = self._receiver.host, self._receiver.connect_timeout
        try:
            async with asyncio.timeout(seconds):
                found = await self._aside(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except (TimeoutError, OSError):
            raise Away("not-reachable") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        return [(address, seconds / len(addresses)) for address in addresses]

    async def _context(self, tls: Tls | None) -> ssl.SSLContext | None:
        if tls is None:
            return None
        try:
            return await self._aside(lambda: client_context(tls))
        except OSError:
            raise Away("tls-files-unusable") from None

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _answer(self, reader: asyncio.StreamReader, control_id: str) -> Answer:
        """The answer with this MSA-2; late ones to earlier messages of this connection are passed over."""
        for _ in range(_LATE):
            try:
                answer = read_answer(await self._frame(reader))
            except NotAnAnswer:
                raise Away("no-acknowledgement") from None
            if answer.control_id == control_id:
                self._earlier.append(control_id)
                return answer
            if answer.control_id not in self._earlier:
                raise Away("answer-to-another")
        raise Away("answer-to-another")

    async def _frame(self, reader: asyncio.StreamReader) -> bytes:
        try:
            read = await reader.readuntil(END)
        except asyncio.LimitOverrunError:
            raise Away("answer-too-large") from None
        at = read.find(START)
        if not 0 <= at <= _BETWEEN:
            raise Away("no-mllp")
        return read[at + 1 : -len(END)]


def client_context(tls: Tls) -> ssl.SSLContext:
    """BCP 195 (RFC 9325): TLS 1.2 with ephemeral keys and authenticated encryption, or 1.3; the receiver proves itself.

    Made for each connection, so that new files hold from the next one on; OSError when one cannot be used.
    """
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    return context


def _no_password() -> str:
    """OpenSSL would ask at a terminal for that of an encrypted key."""
    return ""
