"""Bytes that strangers may have held for them, and who gives way when there are no more."""

import socket
from collections.abc import Iterator

import pytest

from services.dicom_ingest.adapters.allowance import Allowance


@pytest.fixture
def three() -> Iterator[tuple[socket.socket, ...]]:
    pairs = [socket.socketpair() for _ in range(3)]
    yield tuple(ours for ours, _theirs in pairs)
    for pair in pairs:
        for each in pair:
            each.close()


def is_cut(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


def test_the_oldest_that_is_still_sending_gives_way(three: tuple[socket.socket, ...]) -> None:
    allowance = Allowance(100)
    assert [allowance.take(each, 40) for each in three] == [True, True, True]
    assert list(map(is_cut, three)) == [True, False, False]


def test_those_who_have_sent_everything_keep_theirs_until_they_give_it_back(three: tuple[socket.socket, ...]) -> None:
    allowance = Allowance(100)
    first, second, third = three
    assert allowance.take(first, 60) and allowance.take(second, 40)
    allowance.complete(first)
    assert not allowance.take(third, 50)
    assert not is_cut(second)  # for nothing
    allowance.give(first)
    allowance.give(first)
    assert allowance.take(third, 60)
    assert not any(map(is_cut, three))


def test_what_is_longer_than_all_there_is_cuts_nobody(three: tuple[socket.socket, ...]) -> None:
    allowance = Allowance(100)
    assert allowance.take(three[0], 100) and not allowance.take(three[1], 101)
    assert not is_cut(three[0])
