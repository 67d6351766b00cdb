"""Receiving until a deadline, whoever waits: the kernel or Python."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.dicom_ingest.adapters.deadlines import Deadlines, Late
from tests.support.certificates import Authority

Pair = tuple[socket.socket, Deadlines]


def plain(ours: socket.socket, theirs: socket.socket, _folder: Path) -> tuple[socket.socket, socket.socket]:
    return ours, theirs


def secured(ours: socket.socket, theirs: socket.socket, folder: Path) -> tuple[socket.socket, socket.socket]:
    authority = Authority(folder)
    certificate = authority.issue("localhost")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(certificate.certificate, certificate.key)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    found: list[socket.socket] = []
    thread = threading.Thread(target=lambda: found.append(client.wrap_socket(theirs)))
    thread.start()
    wrapped = server.wrap_socket(ours, server_side=True)
    thread.join()
    return wrapped, found[0]


@pytest.fixture(params=[plain, secured])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    ours, theirs = request.param(*socket.socketpair(), tmp_path)
    yield theirs, Deadlines(ours, usual=0.05)
    for each in (ours, theirs):
        with contextlib.suppress(OSError):
            each.close()


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def later(send: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(0.2, send)
    timer.start()
    return timer


def test_what_there_is_comes_at_once(pair: Pair) -> None:
    theirs, ours = pair
    theirs.sendall(b"abc")
    room = bytearray(10)
    assert ours.receive(memoryview(room), soon()) == 3
    assert room.startswith(b"abc")


def test_more_is_waited_for_longer_than_usual(pair: Pair) -> None:
    theirs, ours = pair
    timer = later(lambda: theirs.sendall(b"x"))
    assert ours.receive(memoryview(bytearray(10)), soon()) == 1
    timer.join()


def test_the_whole_comes_in_the_end(pair: Pair) -> None:
    theirs, ours = pair
    theirs.sendall(b"abc")
    timer = later(lambda: theirs.sendall(b"defg"))
    room, came, deadline = memoryview(bytearray(7)), 0, soon()
    while came < 7:
        came += ours.receive(room[came:], deadline, whole=True)
    assert bytes(room) == b"abcdefg"
    timer.join()


def test_silence_is_late_at_the_deadline_and_a_later_one_counts_again(pair: Pair) -> None:
    theirs, ours = pair
    for _ in range(2):
        with pytest.raises(Late):
            ours.receive(memoryview(bytearray(1)), soon(0.01), whole=True)
    with pytest.raises(Late):
        ours.receive(memoryview(bytearray(1)), soon(-1))
    timer = later(lambda: theirs.sendall(b"x"))
    assert ours.receive(memoryview(bytearray(1)), soon()) == 1
    timer.join()


def test_the_end_is_no_bytes(pair: Pair) -> None:
    theirs, ours = pair
    theirs.shutdown(socket.SHUT_RDWR)
    theirs.close()
    with contextlib.suppress(ssl.SSLError):
        assert ours.receive(memoryview(bytearray(1)), soon()) == 0
