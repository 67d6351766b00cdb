"""The requestor of an association against peers that are slow, silent, or no DICOM at all."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shared.dimse import store_request
from shared.errors import RetryLater
from shared.requestor import Requestor
from tests.fuzz.wire import command_set, item, pdu, us

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
LONGEST = item(0x51, (16_384).to_bytes(4, "big"))
ACCEPTING = pdu(2, bytes(68) + item(0x21, b"\1\0\0\0" + item(0x40, EXPLICIT.encode())) + item(0x50, LONGEST))
PATIENCE = 0.5


class Away(RetryLater):
    """What the caller wants to hear."""


@contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """Our end of a connection to a peer that behaves like this."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs:
            theirs.recv(65536)
            behave(theirs)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    with ours:
        yield ours
    thread.join(10)


def opened(connection: socket.socket) -> Requestor:
    return Requestor(connection, {1: (CT, EXPLICIT)}, calling="US", called="THEM", timeout=PATIENCE, away=Away)


def trickling(sent: bytes) -> Callable[[socket.socket], None]:
    """A byte at a time, each long before one would lose patience."""

    def behave(connection: socket.socket) -> None:
        for byte in sent:
            try:
                connection.sendall(bytes((byte,)))
            except OSError:
                return
            time.sleep(PATIENCE / 5)

    return behave


def answered(message_id: int) -> bytes:
    """A C-STORE-RSP as one PDU."""
    told = command_set({0x0100: us(0x8001), 0x0120: us(message_id), 0x0800: us(0x0101), 0x0900: us(0)})
    return pdu(4, (len(told) + 2).to_bytes(4, "big") + b"\1\3" + told)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        pytest.param(trickling(ACCEPTING), "no-answer", id="a byte at a time"),
        pytest.param(lambda _: time.sleep(2 * PATIENCE), "no-answer", id="silent"),
        pytest.param(lambda _: None, "connection-lost", id="gone"),
        pytest.param(lambda they: they.sendall(pdu(3, b"\0\1\1\7")), "association-rejected", id="rejects"),
        pytest.param(lambda they: they.sendall(pdu(7, bytes(4))), "no-dicom", id="aborts"),
        pytest.param(lambda they: they.sendall(b"220 ready\r\n"), "no-dicom", id="speaks another protocol"),
        pytest.param(lambda they: they.sendall(ACCEPTING[:2] + b"\0\0\0\4wxyz"), "no-dicom", id="says nothing"),
    ],
)
def test_a_peer_that_does_not_accept_is_away_in_time(behave: Callable[[socket.socket], None], reason: str) -> None:
    begun = time.monotonic()
    with peer(behave) as connection, pytest.raises(Away, match=reason):
        opened(connection)
    assert time.monotonic() - begun < 4 * PATIENCE


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(trickling(answered(1)), "no-answer", id="a byte at a time"),
        pytest.param(lambda they: they.sendall(pdu(7, bytes(4))), "association-aborted", id="aborts"),
        pytest.param(lambda they: they.sendall(answered(2)), "no-dicom", id="answers another message"),
    ],
)
def test_a_peer_that_does_not_answer_is_away_in_time(answer: Callable[[socket.socket], None], reason: str) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(ACCEPTING)
        connection.recv(65536)
        answer(connection)

    with peer(behave) as connection:
        association = opened(connection)
        begun = time.monotonic()
        with pytest.raises(Away, match=reason):
            association.ask(1, store_request(CT, "1.2.3", association.next_message()), [b"data"])
        assert not association.is_clean
        association.release()
        assert time.monotonic() - begun < 4 * PATIENCE
