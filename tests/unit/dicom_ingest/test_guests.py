"""Places for connections: limits in all and by address, and who gives way when there is no room."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from services.dicom_ingest.adapters.guests import Guests, Place
from shared.giving_way import MOMENT, PAUSE, Progress

#: Bytes per second that a peer must bring.
LEAST = 1000


@dataclass
class House:
    """Guests of peers that a test has at hand, on a clock of its own."""

    now: float = 100.0
    ends: list[socket.socket] = field(default_factory=list)
    expected: frozenset[str] = frozenset()

    def open(self, most: int, most_per_address: int) -> Guests:
        return Guests(most, most_per_address, lambda address: address in self.expected, lambda: self.now)

    def knocking(self, guests: Guests, address: str) -> Place | None:
        ours, theirs = socket.socketpair()
        self.ends += [theirs, ours]
        return guests.enter(address, ours)

    def entered(self, guests: Guests, address: str) -> Place:
        place = self.knocking(guests, address)
        assert place is not None
        return place

    def let_in(self, guests: Guests, address: str, *, is_registered: bool = False) -> tuple[Place, Progress]:
        """A peer that has said who it is, and is waited for."""
        place, progress = self.entered(guests, address), Progress(LEAST, lambda: self.now)
        place.greeted(progress, is_registered)
        progress.wait()
        return place, progress


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    for each in house.ends:
        each.close()


def is_cut(place: Place) -> bool:
    """Whether reading ends at once."""
    place.connection.setblocking(False)
    try:
        return place.connection.recv(1) == b""
    except BlockingIOError:
        return False


def finish(progress: Progress) -> None:
    """Bring a message, and wait for the next."""
    progress.bring(100)
    progress.finish()
    progress.wait()


def test_those_who_have_finished_a_message_keep_their_places(house: House) -> None:
    guests = house.open(most=2, most_per_address=2)
    known = [house.let_in(guests, "10.0.0.1") for _ in range(2)]
    for _place, progress in known:
        finish(progress)
    house.now += 50
    assert house.knocking(guests, "10.0.0.2") is None
    known[0][0].leave()
    assert house.knocking(guests, "10.0.0.2") is not None
    assert not any(is_cut(place) for place, _progress in known)


def test_those_who_bring_their_first_message_keep_their_places_while_they_are_fast_enough(house: House) -> None:
    guests = house.open(most=1, most_per_address=1)
    place, progress = house.let_in(guests, "10.0.0.1")
    for _ in range(10):
        house.now += 1
        progress.bring(LEAST + 1)
        progress.wait()
        assert house.knocking(guests, "10.0.0.2") is None
    house.now += 2
    assert house.knocking(guests, "10.0.0.2") is not None
    assert is_cut(place)


def test_what_we_do_with_a_message_is_no_time_of_its_sender(house: House) -> None:
    guests = house.open(most=1, most_per_address=1)
    _place, progress = house.let_in(guests, "10.0.0.1")
    progress.bring(100)
    house.now += 60
    assert house.knocking(guests, "10.0.0.2") is None


def test_those_who_say_who_they_are_and_bring_nothing_give_way_after_a_moment(house: House) -> None:
    guests = house.open(most=2, most_per_address=2)
    first, _ = house.let_in(guests, "10.0.0.1")
    house.now += MOMENT / 2
    second, _ = house.let_in(guests, "10.0.0.2")
    assert house.knocking(guests, "10.0.0.3") is None
    house.now += MOMENT / 2
    assert house.knocking(guests, "10.0.0.3") is not None
    assert [is_cut(first), is_cut(second)] == [True, False]


def test_they_give_way_at_once_to_an_address_that_has_far_fewer_of_them(house: House) -> None:
    """Else whoever comes back fastest would have each place as soon as it can be taken."""
    guests = house.open(most=3, most_per_address=3)
    single, _ = house.let_in(guests, "10.0.0.2")
    many = [house.let_in(guests, "10.0.0.1")[0] for _ in range(2)]
    assert house.knocking(guests, "10.0.0.1") is None
    assert house.knocking(guests, "10.0.0.3") is not None
    assert [is_cut(place) for place in (single, *many)] == [False, True, False]


def test_a_newcomer_that_has_not_said_a_word_yet_stays_while_others_bring_nothing(house: House) -> None:
    """It would be the first to go otherwise, before its greeting could come."""
    guests = house.open(most=3, most_per_address=3)
    for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        house.let_in(guests, address)
    newcomer = house.entered(guests, "10.0.0.9")
    house.now += MOMENT
    for _ in range(2):
        house.let_in(guests, "10.0.0.1")
    assert not is_cut(newcomer)


def test_one_that_stops_inside_a_later_message_gives_way_after_a_pause(house: House) -> None:
    guests = house.open(most=1, most_per_address=1)
    place, progress = house.let_in(guests, "10.0.0.1")
    finish(progress)
    progress.bring(20)
    progress.wait()
    house.now += PAUSE / 2
    assert house.knocking(guests, "10.0.0.2") is None
    house.now += PAUSE / 2
    assert house.knocking(guests, "10.0.0.2") is not None
    assert is_cut(place)


def test_who_is_registered_gives_way_only_to_an_address_of_the_registry_and_after_all_others(house: House) -> None:
    house.expected = frozenset({"10.0.0.8"})
    guests = house.open(most=2, most_per_address=2)
    registered, _ = house.let_in(guests, "10.0.0.1", is_registered=True)
    unknown, progress = house.let_in(guests, "10.0.0.2")
    finish(progress)
    house.now += PAUSE
    assert house.knocking(guests, "10.0.0.9") is None
    expected, progress = house.let_in(guests, "10.0.0.8", is_registered=True)
    assert [is_cut(registered), is_cut(unknown)] == [False, True], "an idle one, for one that is expected"
    finish(progress)
    house.now += PAUSE
    assert house.knocking(guests, "10.0.0.8") is not None
    assert [is_cut(registered), is_cut(expected)] == [True, False]


def test_where_an_address_is_full_its_oldest_silent_connection_gives_way(house: House) -> None:
    guests = house.open(most=10, most_per_address=2)
    elsewhere = house.entered(guests, "10.0.0.2")
    first, second = (house.entered(guests, "10.0.0.1") for _ in range(2))
    third = house.entered(guests, "10.0.0.1")
    assert [is_cut(place) for place in (elsewhere, first, second, third)] == [False, True, False, False]


def test_where_all_is_full_the_address_with_most_silent_connections_gives_way(house: House) -> None:
    guests = house.open(most=3, most_per_address=3)
    single = house.entered(guests, "10.0.0.2")
    many = [house.entered(guests, "10.0.0.1") for _ in range(2)]
    house.entered(guests, "10.0.0.3")
    assert [is_cut(place) for place in (single, *many)] == [False, True, False]


def test_a_place_that_was_given_away_is_not_given_back_twice(house: House) -> None:
    guests = house.open(most=1, most_per_address=1)
    first = house.entered(guests, "10.0.0.1")
    second, progress = house.let_in(guests, "10.0.0.1")
    finish(progress)
    first.leave()
    assert house.knocking(guests, "10.0.0.1") is None
    second.leave()
    second.leave()
    assert house.knocking(guests, "10.0.0.1") is not None


def test_a_connection_in_whose_place_another_came_before_its_handshake_is_cut_as_it_begins(house: House) -> None:
    guests = house.open(most=1, most_per_address=1)
    first = house.entered(guests, "10.0.0.1")
    handle = first.connection.detach()
    second = house.entered(guests, "10.0.0.1")
    with socket.socket(fileno=handle) as secured:
        first.secured(secured)
        assert is_cut(first)
    assert not is_cut(second)
