"""What connections cost before anybody is known at their other end, and what an impossible greeting leads to."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from tests.integration.dicom_ingest.peers import connected, echoes, pdu, received
from tests.integration.dicom_ingest.secured import Secured
from tests.integration.dicom_ingest.site import MEMORY_BOUND, RECEIVERS, IngestSite
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


def kept_bytes(site: IngestSite) -> int:
    """The service's memory without what is given back within two seconds of the last answer."""
    sizes = []
    for _ in range(20):
        time.sleep(0.1)
        sizes.append(resident_bytes(site))
    return min(sizes)


def item(kind: int, value: bytes) -> bytes:
    """An item of a greeting (PS3.8 section 9.3.2)."""
    return struct.pack(">BxH", kind, len(value)) + value


def greeting(contexts: int, syntaxes: int) -> bytes:
    """One that proposes CT in so many contexts, each in explicit VR and others as long as a UID may be."""
    others = b"".join(item(0x40, b"1.2.840.10008.1.2." + b"9" * 42 + b"%04d" % each) for each in range(syntaxes))
    proposed = item(0x30, b"1.2.840.10008.5.1.4.1.1.2") + item(0x40, b"1.2.840.10008.1.2.1") + others
    told = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    ids = (2 * number + 1 for number in range(contexts))
    all_of_them = b"".join(item(0x20, bytes((each, 0, 0, 0)) + proposed) for each in ids)
    return pdu(1, FIXED + item(0x10, b"1.2.840.10008.3.1.1.1") + all_of_them + told)


#: 128 contexts with some 110 syntaxes each: nearly 1 MiB.
LONGEST = greeting(128, 118)


@pytest.mark.parametrize(
    "said",
    [b"", b"\x01\x00\x00\x10\x00\x00" + FIXED, b"\x01\x00\x00\x00\x40\x00" + FIXED + bytes(0x4000 - 69)],
    ids=["nothing", "titles", "nearly all of 16 KiB"],
)
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


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_greeting_of_nearly_1_mebibyte_is_answered_and_not_kept(site: IngestSite) -> None:
    assert 1_000_000 < len(LONGEST) < 1 << 20
    site.start()
    sizes = []
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(connected(site.port))
            connection.settimeout(60)
            connection.sendall(LONGEST)
            assert connection.recv(1) == b"\x02"
            sizes.append(kept_bytes(site))
        # Its objects would be 5 MB; there is the buffer for data, and what the allocator keeps for each thread.
        assert (sizes[-1] - sizes[0]) / 3 <= 5 << 20


async def test_long_greetings_that_never_end_cost_little_and_keep_nobody_out(site: IngestSite) -> None:
    """Fifty times what may be held for all of them; whoever ends a greeting is heard meanwhile."""
    site.start(max_associations=300, max_associations_per_address=300)
    with ExitStack() as stack:
        for _ in range(COUNT):
            connection = stack.enter_context(connected(site.port))
            with suppress(OSError):
                connection.sendall(LONGEST[:-1])
        with connected(site.port) as legitimate:
            legitimate.settimeout(60)
            legitimate.sendall(LONGEST)
            assert legitimate.recv(1) == b"\x02"
        assert site.peak_bytes() < MEMORY_BOUND


async def test_more_items_than_anybody_has_to_tell_are_no_greeting(site: IngestSite) -> None:
    site.start()
    short = item(0x20, b"\1\0\0\0" + item(0x30, b"1.2") + item(0x40, b"1") * 13_000)
    with connected(site.port) as connection:
        connection.sendall(pdu(1, FIXED + short + short))
        assert received(connection).startswith(ABORT)


async def test_what_a_handshake_costs_before_anybody_is_known(site: IngestSite) -> None:
    """One that has not come far costs what a connection in the clear does; keys and buffers of TLS cost more."""
    secured = Secured(site)
    secured.start(max_associations=300, max_associations_per_address=300, tls_handshake_deadline=60)
    context = secured.context(secured.client)
    with ExitStack() as stack:

        def begin(finished: bool) -> None:
            connection = stack.enter_context(connected(secured.port))
            if finished:
                stack.enter_context(context.wrap_socket(connection, server_hostname="localhost"))
            else:
                connection.sendall(b"\x16\x03\x01\x01\xf8\x01\x00\x01\xf4\x03\x03")

        for finished, most in ((False, 96), (True, 128)):
            await asyncio.to_thread(begin, finished)
            before = resident_bytes(site)
            for _ in range(COUNT // 2):
                await asyncio.to_thread(begin, finished)
            time.sleep(0.5)
            cost = (resident_bytes(site) - before) / (COUNT // 2)
            assert cost <= most * 1024
