"""Receivers of HL7 messages for tests: honest ones, and ones that do what receivers should not."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hl7 import END, START
from tests.support.ports import free_ports

#: Gets a message, its number from 1 and the connection; returns the raw bytes to be sent, None to hang up.
Behaviour = Callable[[bytes, int, asyncio.StreamWriter], Awaitable[bytes | None]]


def control_id(message: bytes) -> bytes:
    """MSH-10."""
    return message.split(b"\r", 1)[0].split(b"|")[9]


def acknowledgement(message: bytes, code: str = "AA", answers: bytes | None = None) -> bytes:
    """An answer without its frame."""
    named = control_id(message) if answers is None else answers
    return b"MSH|^~\\&|R|R|C|C|20260101||ACK|1|P|2.5\rMSA|" + code.encode() + b"|" + named + b"\r"


def framed(answer: bytes) -> bytes:
    """In an MLLP frame."""
    return START + answer + END


async def accept(message: bytes, _: int, __: asyncio.StreamWriter) -> bytes:
    """AA."""
    return framed(acknowledgement(message))


@dataclass
class Receiver:
    """Listens on ``port`` and notes every message; ``behaves`` says what it answers, and may be changed."""

    behaves: Behaviour = accept
    port: int = field(default_factory=lambda: free_ports(1)[0])
    tls: ssl.SSLContext | None = None
    got: list[bytes] = field(default_factory=list)
    connections: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.tls, limit=32 * 1024 * 1024
        )

    async def stop(self) -> None:
        """Be gone, connections and all."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                raw = await reader.readuntil(END)
                self.got.append(raw[raw.index(START) + 1 : -2])
                answer = await self.behaves(self.got[-1], len(self.got), writer)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        self._open.discard(writer)
        writer.close()

    async def has(self, count: int, within: float = 90) -> None:
        """Wait until it got so many messages, repeats among them."""
        async with asyncio.timeout(within):
            while len(self.got) < count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def receiving(behaves: Behaviour = accept, **more: Any) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver(behaves, **more)
    await receiver.start()
    yield receiver
    await receiver.stop()


def without_repeats(messages: list[bytes]) -> list[bytes]:
    """Each message once, in the order in which it was first got; a repeat must directly follow the first."""
    found: list[bytes] = []
    for message in messages:
        if not found or message != found[-1]:
            found.append(message)
    return found


def receivers_yaml(path: Path, **ports: int | tuple[int, str]) -> Path:
    """A file with a receiver for each name: its port, and perhaps more lines."""
    lines = ["format: causeway.receivers/1", "receivers:" if ports else "receivers: []"]
    for name, told in ports.items():
        port, more = told if isinstance(told, tuple) else (told, "")
        lines += [f"  - name: {name.replace('_', '-')}", "    host: 127.0.0.1", f"    port: {port}"]
        lines += ["    retry: {first: 20ms, longest: 100ms}"] if "retry" not in more else []
        lines += [f"    {line}" for line in more.splitlines()]
    path.write_text("\n".join(lines) + "\n")
    return path


def sequence_of(message: bytes) -> int:
    """The number in a control id such as ``M17``."""
    found = re.search(rb"\d+", control_id(message))
    assert found
    return int(found.group())
