"""How long a peer may take: between two PDUs, which the registry may say of it alone, and inside of one."""

import socket
import time

import pytest

from tests.fuzz import wire
from tests.integration.dicom_ingest.peers import connected, pdu
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.test_edge_senders import STUDIES, known, started
from tests.integration.dicom_ingest.test_registry import registry
from tests.integration.dicom_ingest.test_stow import multipart
from tests.support.attackers import answer, store
from tests.support.instances import as_file, make_instances
from tests.unit.dicom_ingest.data_sets import encode

receivers = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

EXPLICIT = "1.2.840.10008.1.2.1"
#: Of wire.Greeting: CT in explicit VR.
CONTEXT = 3


def greeted(connection: socket.socket, title: bytes = b"CT1") -> None:
    connection.settimeout(60)
    connection.sendall(wire.Greeting(calling=title).encode())
    assert answer(connection)[0] == "A-ASSOCIATE-AC"


def is_served(connection: socket.socket) -> bool:
    (image,) = make_instances(1)
    return store(connection, CONTEXT, 1, encode(image, EXPLICIT)) == "0000"


@receivers
async def test_a_peer_may_be_silent_for_as_long_as_the_registry_says_of_it(site: IngestSite) -> None:
    peers = (
        f"{{ae_title: {title}, addresses: 127.0.0.1, idle: {idle}}}" for title, idle in (("CT1", "1s"), ("MR1", "60s"))
    )
    site.start(idle_timeout=4, peers_file=registry(site, *peers, unknown="accept"))
    with connected(site.port) as impatient, connected(site.port) as usual, connected(site.port) as patient:
        for connection, title in ((impatient, b"CT1"), (usual, b"US1"), (patient, b"MR1")):
            greeted(connection, title)
        assert answer(impatient)[0] == "A-ABORT"
        assert is_served(usual), "for whom what all others may counts, from the last PDU on"
        assert answer(usual)[0] == "A-ABORT"
        assert is_served(patient)


async def test_over_http_too(site: IngestSite) -> None:
    """A client that is cut may hear why before it has said everything; httpx would not."""
    started(site, "{token: scanner, idle: 60s}", "{token: gateway, idle: 1s}", idle_timeout=4, unknown="accept")
    body = multipart(as_file(make_instances(1)[0]))
    with (
        connected(site.http_port) as patient,
        connected(site.http_port) as impatient,
        connected(site.http_port) as usual,
    ):
        for connection, who in ((impatient, "gateway"), (usual, "stranger"), (patient, "scanner")):
            lines = {"Host": "x", "Content-Length": len(body), "Connection": "close", **known(who)}
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            connection.sendall(f"POST {STUDIES} HTTP/1.1\r\n{head}\r\n".encode() + body[:100])
            connection.settimeout(60)
        assert impatient.recv(12) == b"HTTP/1.1 408"
        usual.setblocking(False)
        with pytest.raises(BlockingIOError):
            usual.recv(1)
        usual.settimeout(60)
        assert usual.recv(12) == b"HTTP/1.1 408"
        patient.sendall(body[100:])
        assert patient.recv(12) == b"HTTP/1.1 200"


@receivers
async def test_inside_a_pdu_a_peer_must_be_fast_enough_for_its_length(site: IngestSite) -> None:
    """It is never silent for long. The same rate that is too slow for a long time is none at all for a short one."""
    site.start(pdu_header_deadline=1.0, min_throughput=100_000, idle_timeout=60)
    unit = pdu(wire.P_DATA, wire.Value(CONTEXT, 0, bytes(200_000)).encode())
    with connected(site.port) as dripping:
        greeted(dripping)
        dripping.sendall(unit[:100])
        dripping.setblocking(False)
        told = b""
        for sent in range(100, 700):
            time.sleep(0.05)
            try:
                told = dripping.recv(10)
            except BlockingIOError:
                dripping.send(unit[sent : sent + 1])
            else:
                break
        assert told[:1] == bytes((wire.A_ABORT,))
    with connected(site.port) as steady:
        greeted(steady)
        (image,) = make_instances(1, rows=300)
        for unit in units(encode(image, EXPLICIT)):
            for at in range(0, len(unit), len(unit) // 8 + 1):
                # In all longer than the deadline of a header.
                steady.sendall(unit[at : at + len(unit) // 8 + 1])
                time.sleep(0.15 if len(unit) > 10_000 else 0)
        assert answer(steady)[0] == "P-DATA-TF"


def units(data_set: bytes) -> list[bytes]:
    """A C-STORE request as two PDUs, of which the second has all of the data set."""
    command = wire.command_set(wire.store_elements(1, "1.2.3.4"))
    values = (
        *wire.fragments(CONTEXT, command, 16_000, is_command=True),
        *wire.fragments(CONTEXT, data_set, 1 << 20, is_command=False),
    )
    assert len(values) == 2
    return [pdu(wire.P_DATA, value.encode()) for value in values]
