"""Requests that lack what they must have are answered, by either receiver (PS3.7 sections 9.1 and 10.1)."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fuzz.wire import (
    P_DATA,
    Greeting,
    Value,
    action_elements,
    command_set,
    echo_elements,
    pdu,
    read_command,
    read_values,
    store_elements,
    us,
)
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite

VERIFICATION, STORAGE, COMMITMENT = 1, 3, 13
SOP_CLASS, REQUESTED_CLASS, DATA_SET_TYPE = 0x0002, 0x0003, 0x0800
SOP_INSTANCE, REQUESTED_INSTANCE, ACTION_TYPE = 0x1000, 0x1001, 0x1008
NO_DATA_SET = us(0x0101)
ECHO, ACTION, STORE = echo_elements(7), action_elements(7), store_elements(7, "1.2.3")
#: An N-GET-RQ, an operation that is never offered, and nothing that it must have.
GET = {0x0100: us(0x0110), 0x0110: us(7), DATA_SET_TYPE: NO_DATA_SET}


def without(elements: dict[int, bytes], *left_out: int) -> dict[int, bytes]:
    return {number: value for number, value in elements.items() if number not in left_out}


CASES = {
    "echo": (VERIFICATION, ECHO, 0x0000),
    "echo of no class": (VERIFICATION, without(ECHO, SOP_CLASS), 0x0000),
    "action without information": (COMMITMENT, ACTION | {DATA_SET_TYPE: NO_DATA_SET}, 0x0115),
    "action of no class": (COMMITMENT, without(ACTION, REQUESTED_CLASS), 0x0118),
    "action of no instance": (COMMITMENT, without(ACTION, REQUESTED_INSTANCE), 0x0112),
    "action of nothing": (COMMITMENT, without(ACTION, REQUESTED_CLASS, REQUESTED_INSTANCE, ACTION_TYPE), 0x0118),
    "action of no type": (COMMITMENT, without(ACTION, ACTION_TYPE), 0x0123),
    "store without data set": (STORAGE, STORE | {DATA_SET_TYPE: NO_DATA_SET}, 0xC000),
    "store of nothing": (STORAGE, without(STORE, SOP_CLASS, SOP_INSTANCE) | {DATA_SET_TYPE: NO_DATA_SET}, 0xC000),
    "get of nothing": (STORAGE, GET, 0x0211),
}


@contextmanager
def association(port: int) -> Iterator[socket.socket]:
    """One with the contexts of every well-made greeting."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(Greeting().encode())
        assert received(connection)[0] == 2
        yield connection


def received(connection: socket.socket) -> tuple[int, bytes]:
    """The next unit: its type and its body."""
    with connection.makefile("rb", buffering=0) as stream:
        kind, length = struct.unpack(">BxI", stream.read(6) or b"")
        body = b""
        while len(body) < length:
            body += stream.read(length - len(body)) or b""
    return kind, body


def status(connection: socket.socket, context: int, elements: dict[int, bytes]) -> int:
    """What is answered to a request."""
    sent = [Value(context, 3, command_set(elements))]
    if elements[DATA_SET_TYPE] != NO_DATA_SET:
        sent.append(Value(context, 2, bytes(8)))
    for value in sent:
        connection.sendall(pdu(P_DATA, value.encode()))
    kind, body = received(connection)
    assert kind == P_DATA
    (answer,) = read_values(body)
    told = read_command(answer.data)
    assert told is not None and (answer.context, told[0x0120]) == (context, us(7))
    return int.from_bytes(told[0x0900], "little")


@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_a_request_that_lacks_something_is_answered_and_the_association_goes_on(site: IngestSite) -> None:
    site.start()
    with association(site.port) as connection:
        told = {name: status(connection, *case[:2]) for name, case in CASES.items()}
    assert told == {name: expected for name, (_, _, expected) in CASES.items()}
