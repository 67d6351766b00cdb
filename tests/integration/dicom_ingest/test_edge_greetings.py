"""Greetings, commands and aborts at the edges of what the standard allows: both receivers answer alike."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contracts.events import AssociationEnded
from services.dicom_ingest.domain.commitment import INVALID_ARGUMENT
from tests.fuzz import wire
from tests.integration.dicom_ingest.peers import connected
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.test_edge_associations import farewells
from tests.integration.dicom_ingest.wire import unit
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import encode

both = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

VERIFYING, STORING, COMMITTING = 1, 3, 13
CANNOT_UNDERSTAND = 0xC000
#: Version names have 16 characters at most, and a UID has no letters (PS3.7 sections D.3.3.2.1 and D.3.3.2.3).
MISSPELT = wire.item(0x52, b"none"), wire.item(0x55, b"A VERSION OF NO OFFICIAL LENGTH")
#: Of a type that a later edition may define, and a user who wants to hear of it (PS3.7 section D.3.3.7).
UNHEARD_OF = wire.item(0x5A, b"later")
USER = wire.item(0x58, b"\x01\x01" + struct.pack(">H", 4) + b"user" + bytes(2))


@contextmanager
def welcomed(site: IngestSite, greeting: bytes) -> Iterator[socket.socket]:
    """An association that was asked for with these bytes, and is released in the end."""
    with connected(site.port) as connection:
        connection.sendall(greeting)
        assert unit(connection)[0] == 2
        yield connection
        connection.sendall(wire.pdu(wire.A_RELEASE_RQ, bytes(4)))
        assert unit(connection)[0] == 6


def say(connection: socket.socket, context: int, command: dict[int, bytes], data: bytes | None = None) -> int:
    """Send a message, of as many units as fragments; the status of the answer."""
    values = wire.fragments(context, wire.command_set(command), 16_000, is_command=True)
    values += [] if data is None else wire.fragments(context, data, 16_000, is_command=False)
    return told(connection, values)


def told(connection: socket.socket, values: list[wire.Value]) -> int:
    """Send fragments; the status of the answer to them."""
    for value in values:
        connection.sendall(wire.pdu(wire.P_DATA, value.encode()))
    kind, body = unit(connection)
    assert kind == wire.P_DATA
    answer = wire.read_command(wire.read_values(body)[0].data) or {}
    return int.from_bytes(answer[0x0900], "little")


@both
@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
async def test_who_does_not_speak_version_1_is_rejected(site: IngestSite, version: int) -> None:
    site.start()
    with connected(site.port) as connection:
        connection.sendall(wire.Greeting(version=version).encode())
        assert unit(connection) == (3, bytes((0, 1, 2, 2)))


@both
@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
async def test_who_speaks_other_versions_as_well_is_welcome(site: IngestSite, version: int) -> None:
    site.start()
    with welcomed(site, wire.Greeting(version=version).encode()) as connection:
        assert say(connection, VERIFYING, wire.echo_elements(1)) == 0


@both
async def test_items_that_nobody_knows_or_reads_are_passed_over(site: IngestSite) -> None:
    site.start()
    greeting = wire.Greeting(user_items=(*MISSPELT, UNHEARD_OF, USER)).body() + wire.item(0x99, b"more")
    with welcomed(site, wire.pdu(wire.A_ASSOCIATE_RQ, greeting)) as connection:
        assert say(connection, VERIFYING, wire.echo_elements(1)) == 0


@both
async def test_an_instance_whose_uids_have_spaces_around_them_lands_under_those(site: IngestSite) -> None:
    site.start()
    (image,) = make_instances(1)
    elements = wire.store_elements(1, f" {image.SOPInstanceUID} ")
    with welcomed(site, wire.Greeting().encode()) as connection:
        assert say(connection, STORING, elements, encode(image, wire.EXPLICIT)) == 0
    (batch,) = await site.landed(1)
    assert [each.sop_instance_uid for each in batch.manifest.instances] == [image.SOPInstanceUID]


@both
async def test_a_request_without_its_data_set_is_refused_and_others_stored(site: IngestSite) -> None:
    site.start()
    (image,) = make_instances(1)
    none = {0x0800: wire.us(0x0101)}
    with welcomed(site, wire.Greeting().encode()) as connection:
        assert say(connection, STORING, wire.store_elements(1, "1.2.3") | none) == CANNOT_UNDERSTAND
        assert say(connection, COMMITTING, wire.action_elements(2) | none) == INVALID_ARGUMENT
        stored = wire.store_elements(3, image.SOPInstanceUID)
        assert say(connection, STORING, stored, encode(image, wire.EXPLICIT)) == 0
    ended: AssociationEnded
    (ended,) = await farewells(site, 1)
    assert (ended.stored, ended.refused) == (1, 1)
    assert "Traceback" not in site.log() and not site.logged("library-log")


@both
async def test_fragments_without_a_byte_change_nothing(site: IngestSite) -> None:
    site.start()
    (image,) = make_instances(1)
    command = wire.command_set(wire.store_elements(1, image.SOPInstanceUID))
    pieces = [(1, b""), (1, command), (3, b""), (0, b""), (0, encode(image, wire.EXPLICIT)), (2, b"")]
    with welcomed(site, wire.Greeting().encode()) as connection:
        assert told(connection, [wire.Value(STORING, control, piece) for control, piece in pieces]) == 0
    (batch,) = await site.landed(1)
    assert batch.dataset(batch.manifest.instances[0]) == encode(image, wire.EXPLICIT)


async def test_who_is_aborted_while_it_is_sending_hears_why_and_is_not_reset(site: IngestSite) -> None:
    """Hanging up is left to the peer for a while (PS3.8 section 9.2, Sta13); pynetdicom does not wait long for that."""
    site.start()
    stray = wire.pdu(wire.P_DATA, wire.Value(STORING, 0, bytes(100_000)).encode())
    with connected(site.port) as connection:
        connection.sendall(wire.Greeting().encode())
        assert unit(connection)[0] == 2
        connection.sendall(10 * stray)
        kind, body = unit(connection)
        assert (kind, body[2]) == (wire.A_ABORT, 2)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


@both
async def test_a_second_greeting_is_refused_by_its_header(site: IngestSite) -> None:
    """PS3.8 table 9-10: AA-8."""
    site.start()
    with connected(site.port) as connection:
        connection.sendall(wire.Greeting().encode())
        assert unit(connection)[0] == 2
        assert say(connection, VERIFYING, wire.echo_elements(1)) == 0
        connection.sendall(wire.pdu(wire.A_ASSOCIATE_RQ, b"", 900_000))
        assert unit(connection) == (7, bytes((0, 0, 2, 2)))
