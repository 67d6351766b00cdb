"""What connections cost before anybody is known at their other end, and what an impossible greeting leads to."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.integration.dicom_ingest.peers import connected, echoes, pdu, received
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.test_hostile import ABORT, resident_bytes
from tests.integration.dicom_ingest.test_registry import registry

pytestmark = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

COUNT = 200
#: Version, reserved, called and calling title, reserved (PS3.8 table 9-11).
FIXED = b"\0\1\0\0" + b"CAUSEWAY".ljust(16) + b"STRANGER".ljust(16) + bytes(32)
REJECTED = b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x03"


def cost_of_each(site: IngestSite, stack: ExitStack, begin: Callable[[socket.socket], None]) -> float:
    """Bytes of the service's memory for each of COUNT connections that began so and say no more."""
    with connected(site.port) as warm_up:
        begin(warm_up)
    assert echoes(site.port)
    before = resident_bytes(site)
    for _ in range(COUNT):
        begin(stack.enter_context(connected(site.port)))
    time.sleep(0.5)
    assert echoes(site.port)
    return (resident_bytes(site) - before) / COUNT


@pytest.mark.parametrize("said", [b"", b"\x01\x00\x00\x10\x00\x00" + FIXED], ids=["nothing", "titles"])
async def test_a_connection_that_is_not_known_yet_costs_64_kilobytes_at_most(site: IngestSite, said: bytes) -> None:
    site.start(max_associations=300, max_associations_per_address=300)
    with ExitStack() as stack:
        assert cost_of_each(site, stack, lambda connection: connection.sendall(said)) <= 64 * 1024


async def test_an_unregistered_caller_is_told_so_before_its_greeting_is_read(site: IngestSite) -> None:
    site.start(peers_file=registry(site, "{ae_title: CT1, addresses: 127.0.0.1}"))
    with connected(site.port) as connection:
        connection.sendall(b"\x01\x00\x00\x10\x00\x00" + FIXED)
        assert received(connection) == REJECTED


async def test_more_contexts_than_there_are_ids_are_no_greeting(site: IngestSite) -> None:
    site.start()
    context = b"\x20\x00\x00\x04\x01\x00\x00\x00"
    with connected(site.port) as connection:
        connection.sendall(pdu(1, FIXED + context * 129))
        assert received(connection).startswith(ABORT)


async def test_a_slow_long_greeting_of_somebody_who_may_come_is_heard_out(site: IngestSite) -> None:
    """It grows beyond the first buffer, piece by piece."""
    site.start()
    with connected(site.port) as connection:
        connection.sendall(b"\x01\x00\x00\x01\x00\x00" + FIXED)
        for _ in range(3):
            time.sleep(0.05)
            connection.sendall(b"\x99\x00\x3f\xfc" + bytes(0x3FFC))
        connection.sendall((b"\x99\x00\x3f\xfc" + bytes(0x3FFC))[: 0x10000 - 68 - 3 * 0x4000])
        assert received(connection)[:1] in (b"\x03", b"\x07")
    assert echoes(site.port)
