"""Peers that break the rules, and pynetdicom as a well-behaved one."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, Verification

EXPLICIT = "1.2.840.10008.1.2.1"


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A bare connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def pdu(kind: int, body: bytes) -> bytes:
    """A protocol data unit."""
    return bytes((kind, 0)) + len(body).to_bytes(4, "big") + body


def received(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    while part := _receive(connection):
        parts.append(part)
    return b"".join(parts)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def associate(port: int, called: str = "CAUSEWAY", **contexts: list[str]) -> Association:
    """An association of pynetdicom that proposes verification and CT."""
    entity = AE(ae_title="PEER")
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage, EXPLICIT)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    return with_verdict(lambda: entity.associate("127.0.0.1", port, ae_title=called))


def with_verdict(call: Callable[[], Association]) -> Association:
    """An association that was answered: pynetdicom gives up when the answer is there before it waits for it."""
    for _ in range(5):
        association = call()
        if association.is_established or association.acceptor.primitive is not None:
            break
    return association


def echoes(port: int) -> bool:
    """Whether a C-ECHO succeeds."""
    association = associate(port)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status) and status.Status == 0
