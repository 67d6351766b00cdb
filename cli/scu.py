"""C-STORE as a sender: data sets go out byte for byte, in the syntax they have (PS3.4 annex B, PS3.8)."""

import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cli import tls
from cli.dicom_files import Outgoing
from shared import dimse
from shared.dimse import Pair

#: One association proposes at most so many contexts: their ids are the odd numbers of one byte (PS3.8 section 9.3.2.2).
MAX_CONTEXTS = 128
_READ = 1024 * 1024
_REASONS = {(1, 7): "it does not know this called AE title", (1, 3): "it does not know this calling AE title"}


class ConnectionLost(Exception):
    """The peer cannot be reached, hung up, or aborted; the text says which."""


class Rejected(ConnectionLost):
    """The peer turned the association down, or TLS did; ``is_final`` when asking again is no use."""

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.is_final = is_final


@dataclass(frozen=True)
class Status:
    """A C-STORE status (PS3.4 annex B.2.3) and the peer's comment."""

    code: int
    comment: str = ""

    @property
    def is_success(self) -> bool:
        """Stored, with or without a warning."""
        return self.code == 0x0000 or self.code & 0xF000 == 0xB000


def _lost(what: str, error: OSError) -> ConnectionLost:
    told = f"{what}: {tls.reason(error)}"
    return Rejected(told, is_final=True) if tls.is_final(error) else ConnectionLost(told)


def _connect(host: str, port: int, timeout: float, secured_by: ssl.SSLContext | None) -> socket.socket:
    try:
        plain = socket.create_connection((host, port), timeout=timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain if secured_by is None else tls.secured(plain, secured_by, host)
    except OSError as error:
        raise _lost(f"cannot connect to {host}:{port}", error) from None


class Sender:
    """One association for data sets of these pairs of SOP class and transfer syntax."""

    def __init__(
        self,
        host: str,
        port: int,
        pairs: Sequence[Pair],
        calling: str,
        called: str,
        timeout: float,
        secured_by: ssl.SSLContext | None = None,
    ) -> None:
        """Connect and associate; ConnectionLost when that fails. ``timeout`` is seconds."""
        self._socket = _connect(host, port, timeout, secured_by)
        self._rest = b""
        self._messages = 0
        self._contexts: dict[Pair, int] = {}
        try:
            self._associate(pairs, calling, called)
        except BaseException:
            self._socket.close()
            raise

    def accepts(self, outgoing: Outgoing) -> bool:
        """Whether the peer takes this SOP class in this syntax."""
        return (outgoing.sop_class, outgoing.transfer_syntax) in self._contexts

    def store(self, outgoing: Outgoing) -> Status:
        """Send one data set and wait for the answer; ConnectionLost, OSError when the file cannot be read."""
        context = self._contexts[outgoing.sop_class, outgoing.transfer_syntax]
        self._messages = self._messages % 0xFFFF + 1
        request = dimse.store_request(outgoing.sop_class, outgoing.sop_instance, self._messages)
        first = dimse.command(context, request)
        with outgoing.path.open("rb", buffering=0) as file:
            try:
                for pieces in dimse.fragments(_data(file.fileno(), outgoing), context, self._room):
                    dimse.send(self._socket, [*first, *pieces])
                    first = []
                return self._answer()
            except TimeoutError:
                raise ConnectionLost("the peer does not answer") from None
            except OSError as error:
                raise ConnectionLost(f"the connection broke: {tls.reason(error)}") from None

    def release(self) -> None:
        """End the association in order."""
        try:
            self._socket.sendall(dimse.HEADER.pack(dimse.RELEASE_REQUEST, 4) + bytes(4))
            self._pdu()
        except (ConnectionLost, OSError):
            pass
        finally:
            self._socket.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _associate(self, pairs: Sequence[Pair], calling: str, called: str) -> None:
        ids = {2 * number + 1: pair for number, pair in enumerate(pairs)}
        try:
            self._socket.sendall(dimse.greeting(ids, calling, called))
            kind, body = self._pdu()
        except OSError as error:
            raise _lost("no association", error) from None
        if kind == dimse.REJECT and len(body) >= 4:
            result, source, reason = body[1], body[2], body[3]
            told = _REASONS.get((source, reason), f"source {source}, reason {reason}")
            raise Rejected(f"association rejected: {told}", is_final=result == 1)
        if kind != dimse.ACCEPT:
            raise ConnectionLost("the peer is no DICOM acceptor")
        try:
            results, self._room = dimse.accepted(body)
        except ValueError:
            raise ConnectionLost("the peer is no DICOM acceptor") from None
        if self._room < 2:
            raise ConnectionLost("the peer takes no data: its PDUs are too short")
        self._contexts = {pair: number for number, pair in ids.items() if results.get(number) == 0}

    def _answer(self) -> Status:
        command = b""
        while True:
            kind, body = self._pdu()
            if kind == dimse.ABORT:
                raise ConnectionLost("the peer aborted the association")
            if kind != dimse.DATA:
                raise ConnectionLost("the peer does not keep to the protocol")
            for control, fragment in dimse.values(body):
                command += fragment
                if control & 2:
                    told = dimse.response(command)
                    return Status(0xC000 if told.status is None else told.status, told.comment)

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = dimse.HEADER.unpack(self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            received = self._socket.recv(64 * 1024)
            if not received:
                raise ConnectionLost("the peer hung up")
            self._rest += received
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def _data(handle: int, outgoing: Outgoing) -> Iterator[bytes]:
    """The data set, about a mebibyte at a time."""
    at, end = outgoing.offset, outgoing.offset + outgoing.length
    while at < end:
        block = os.pread(handle, min(_READ, end - at), at)
        if not block:
            raise ConnectionLost("the file became shorter while it was sent")
        at += len(block)
        yield block
