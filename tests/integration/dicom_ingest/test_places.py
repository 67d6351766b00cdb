"""Who keeps a place among the associations: whoever gets on, not whoever brings nothing or is gone."""

import socket
import time
from contextlib import ExitStack

import pytest

from tests.fuzz import wire
from tests.integration.dicom_ingest.peers import connected, pdu
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.test_patience import greeted, is_served, units
from tests.integration.dicom_ingest.test_registry import registry
from tests.support.attackers import answer, connect
from tests.support.services import eventually

pytestmark = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

#: As many as there are places by default.
PLACES = 64


async def test_associations_that_bring_nothing_keep_nobody_out_and_cost_nobody_who_stores_his_place(
    site: IngestSite,
) -> None:
    """They come from three addresses and have said who they are; half of them have begun a message too."""
    site.start(pdu_header_deadline=60)
    with connected(site.port) as working, connected(site.port) as newcomer, ExitStack() as stack:
        greeted(working)
        assert is_served(working)
        silent = [stack.enter_context(connect(site.port, number)) for number in range(PLACES - 1)]
        for number, connection in enumerate(silent):
            greeted(connection, b"EVIL%d" % (number % 3))
            connection.sendall(pdu(wire.P_DATA, bytes(1000))[: 7 * (number % 2)])
        with connected(site.port) as another:
            for connection, title in ((newcomer, b"CT2"), (another, b"CT3")):
                greeted(connection, title)
                assert is_served(connection)
        assert is_served(working)
        # Nobody had to go whose place was not needed.
        assert sum(map(was_told_to_go, silent)) in (1, 2)


def was_told_to_go(connection: socket.socket) -> bool:
    """Whether an A-ABORT is there already."""
    connection.settimeout(0.05)
    try:
        return answer(connection)[0] == "A-ABORT"
    except TimeoutError:
        return False


def held_back(site: IngestSite, **settings: object) -> socket.socket:
    """A peer that was so fast that it has to wait for most of a minute."""
    site.start(peers_file=registry(site, "{ae_title: CT1, addresses: 127.0.0.1, rate: {bytes: 4KiB}}"), **settings)
    connection = socket.create_connection(("127.0.0.1", site.port))
    greeted(connection)
    for unit in units(bytes.fromhex("08001600") + b"UI\0\0" + PADDING):
        connection.sendall(unit)
    time.sleep(1)
    return connection


#: A private element of 200 kB.
PADDING = b"\x09\x00\x10\x10OB\0\0" + (200_000).to_bytes(4, "little") + bytes(200_000)


async def test_a_stop_does_not_wait_for_a_peer_that_is_held_back_for_longer_than_for_others(site: IngestSite) -> None:
    with held_back(site, drain_grace=1):
        assert site.process is not None and site.process.process is not None
        # Killed when it takes more than 15 s.
        site.process.stop()
        assert site.process.process.returncode == 0


async def test_a_peer_that_was_held_back_leaves_its_place_when_it_is_gone(site: IngestSite) -> None:
    with held_back(site, max_associations=1) as connection:
        with connected(site.port) as other:
            other.sendall(wire.Greeting(calling=b"CT1").encode())
            assert answer(other)[0] == "A-ASSOCIATE-RJ", "its place is its own while it waits"
        connection.close()
        await eventually(lambda: is_let_in(site), within=15)


def is_let_in(site: IngestSite) -> bool:
    with connected(site.port) as connection:
        connection.sendall(wire.Greeting(calling=b"CT1").encode())
        return answer(connection)[0] == "A-ASSOCIATE-AC"
