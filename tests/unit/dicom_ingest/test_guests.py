"""Places for connections: limits in all and by address, and who gives way when there is no room."""

import socket
from collections.abc import Iterator

import pytest

from services.dicom_ingest.adapters.guests import Guests, Place


@pytest.fixture
def peers() -> Iterator[list[socket.socket]]:
    """The peers' ends of the connections of a test."""
    ends: list[socket.socket] = []
    yield ends
    for each in ends:
        each.close()


def entered(guests: Guests, address: str, peers: list[socket.socket]) -> Place:
    place = knocking(guests, address, peers)
    assert place is not None
    return place


def knocking(guests: Guests, address: str, peers: list[socket.socket]) -> Place | None:
    ours, theirs = socket.socketpair()
    peers += [theirs, ours]
    return guests.enter(address, ours)


def is_cut(place: Place) -> bool:
    """Whether reading ends at once."""
    place.connection.setblocking(False)
    try:
        return place.connection.recv(1) == b""
    except BlockingIOError:
        return False


def test_those_who_have_said_who_they_are_keep_their_places(peers: list[socket.socket]) -> None:
    guests = Guests(most=2, most_per_address=2)
    known = [entered(guests, "10.0.0.1", peers) for _ in range(2)]
    for place in known:
        place.greeted()
    assert knocking(guests, "10.0.0.2", peers) is None
    known[0].leave()
    assert knocking(guests, "10.0.0.2", peers) is not None
    assert not any(map(is_cut, known))


def test_where_an_address_is_full_its_oldest_silent_connection_gives_way(peers: list[socket.socket]) -> None:
    guests = Guests(most=10, most_per_address=2)
    elsewhere = entered(guests, "10.0.0.2", peers)
    first, second = (entered(guests, "10.0.0.1", peers) for _ in range(2))
    third = entered(guests, "10.0.0.1", peers)
    assert [is_cut(place) for place in (elsewhere, first, second, third)] == [False, True, False, False]


def test_where_all_is_full_the_address_with_most_silent_connections_gives_way(peers: list[socket.socket]) -> None:
    guests = Guests(most=3, most_per_address=3)
    single = entered(guests, "10.0.0.2", peers)
    many = [entered(guests, "10.0.0.1", peers) for _ in range(2)]
    entered(guests, "10.0.0.3", peers)
    assert [is_cut(place) for place in (single, *many)] == [False, True, False]


def test_a_place_that_was_given_away_is_not_given_back_twice(peers: list[socket.socket]) -> None:
    guests = Guests(most=1, most_per_address=1)
    first = entered(guests, "10.0.0.1", peers)
    second = entered(guests, "10.0.0.1", peers)
    first.leave()
    second.greeted()
    assert knocking(guests, "10.0.0.1", peers) is None
    second.leave()
    second.leave()
    assert knocking(guests, "10.0.0.1", peers) is not None


def test_a_connection_in_whose_place_another_came_before_its_handshake_is_cut_as_it_begins(
    peers: list[socket.socket],
) -> None:
    guests = Guests(most=1, most_per_address=1)
    first = entered(guests, "10.0.0.1", peers)
    handle = first.connection.detach()
    second = entered(guests, "10.0.0.1", peers)
    with socket.socket(fileno=handle) as secured:
        first.secured(secured)
        assert is_cut(first)
    assert not is_cut(second)
