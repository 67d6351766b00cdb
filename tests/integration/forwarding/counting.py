"""Receivers that keep nothing of what comes, whatever its size: how many bytes it was, and their digest."""

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.ports import free_ports

_HEADER = struct.Struct(">BxI")
_ASSOCIATE, _DATA, _RELEASE = 1, 4, 5
#: The longest PDU that is asked for, bytes.
_LONGEST = 256 * 1024


@dataclass(frozen=True)
class Counted:
    """What came: its length in bytes and its SHA-256."""

    length: int
    sha256: str


class CountingScp:
    """A Storage SCP of one association at a time that accepts everything (PS3.7 section 9.3.1, PS3.8 section 9.3)."""

    def __init__(self, more: bytes = b"") -> None:
        """``more`` is user information beside what every acceptor tells."""
        self._more = more
        (self.port,) = free_ports(1)
        self.counted: list[Counted] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb", 1 << 20) as stream:
                self._attend(connection, stream)

    def _attend(self, connection: socket.socket, stream: "Iterator[bytes]") -> None:
        digest, length, command = hashlib.sha256(), 0, b""
        while len(head := stream.read(6)) == 6:  # type: ignore[attr-defined]  # a file object of a socket
            kind, count = _HEADER.unpack(head)
            body = memoryview(stream.read(count))  # type: ignore[attr-defined]  # a file object of a socket
            if kind == _ASSOCIATE:
                connection.sendall(_accepting(bytes(body), self._more))
            elif kind == _RELEASE:
                connection.sendall(_HEADER.pack(6, 4) + bytes(4))
            for context, control, fragment in _values(body) if kind == _DATA else ():
                if control & 1:
                    command += fragment
                    continue
                digest.update(fragment)
                length += len(fragment)
                if control & 2:
                    self.counted.append(Counted(length, digest.hexdigest()))
                    connection.sendall(_success(context, command))
                    digest, length, command = hashlib.sha256(), 0, b""


def _values(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Context, message control header and fragment of each value of a P-DATA-TF (PS3.8 section 9.3.5)."""
    while body:
        (count,) = struct.unpack_from(">I", body)
        yield body[4], body[5], body[6 : 4 + count]
        body = body[4 + count :]


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    while body:
        kind, count = struct.unpack_from(">BxH", body)
        yield kind, body[4 : 4 + count]
        body = body[4 + count :]


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _accepting(request: bytes, more: bytes) -> bytes:
    """An A-ASSOCIATE-AC that takes the first transfer syntax of every context (PS3.8 section 9.3.3)."""
    items = list(_items(request[68:]))
    answer = request[:68] + b"".join(_item(0x10, value) for kind, value in items if kind == 0x10)
    for kind, value in items:
        if kind == 0x20:
            syntax = next(name for part, name in _items(value[4:]) if part == 0x40)
            answer += _item(0x21, value[:1] + bytes(3) + _item(0x40, syntax))
    told = _item(0x51, struct.pack(">I", _LONGEST)) + _item(0x52, b"1.2.826.0.1.3680043.8.498.1") + more
    answer += _item(0x50, told)
    return _HEADER.pack(2, len(answer)) + answer


def _success(context: int, request: bytes) -> bytes:
    """A C-STORE-RSP (PS3.7 section 9.3.1.2) with status 0000."""
    told = {}
    while request:
        number, count = struct.unpack_from("<2xHI", request)
        told[number], request = request[8 : 8 + count], request[8 + count :]
    told = {
        0x0002: told[0x0002],
        0x0100: struct.pack("<H", 0x8001),
        0x0120: told[0x0110],
        0x0800: struct.pack("<H", 0x0101),
        0x0900: struct.pack("<H", 0x0000),
        0x1000: told[0x1000],
    }
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in told.items())
    body = struct.pack("<HHII", 0, 0, 4, len(body)) + body
    return _HEADER.pack(_DATA, len(body) + 6) + struct.pack(">IBB", len(body) + 2, context, 3) + body


class CountingStow:
    """A STOW-RS service (PS3.18 section 10.5) for ``tests.integration.forwarding.stow.served``."""

    def __init__(self) -> None:
        self.counted: list[Counted] = []

    async def store(self, request: Request) -> Response:
        """Take the one part of a request."""
        boundary = request.headers["content-type"].partition("boundary=")[2]
        ending = f"\r\n--{boundary}--\r\n".encode()
        digest, length, held, is_begun = hashlib.sha256(), 0, b"", b""
        async for chunk in request.stream():
            held += chunk
            if not is_begun:
                _head, is_begun, rest = held.partition(b"\r\n\r\n")
                if not is_begun:
                    continue
                held = rest
            piece, held = held[: -len(ending)], held[-len(ending) :]
            digest.update(piece)
            length += len(piece)
        if held != ending:
            return JSONResponse({}, 400)
        self.counted.append(Counted(length, digest.hexdigest()))
        return JSONResponse({}, 200)


@contextmanager
def counting_scp(more: bytes = b"") -> Iterator[CountingScp]:
    """One that listens."""
    found = CountingScp(more)
    yield found
    found.close()
