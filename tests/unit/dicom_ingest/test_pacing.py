"""A peer that is too fast waits; nothing of what it sends is lost."""

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest

from services.dicom_ingest.adapters.guests import cut
from services.dicom_ingest.adapters.pacing import Pace, Paces
from services.dicom_ingest.domain.peers import ANYBODY, Peer, Rate


@dataclass
class Taken:
    """An instance that remembers what it was given."""

    data: bytes = b""
    ends: list[str] = field(default_factory=list)

    def write(self, chunk: memoryview) -> None:
        self.data += bytes(chunk)

    def commit(self) -> None:
        self.ends.append("commit")

    def abandon(self) -> None:
        self.ends.append("abandon")


def test_a_burst_of_a_second_is_free_and_what_is_beyond_waits() -> None:
    now = [100.0]
    pace = Pace(10, clock=lambda: now[0])
    assert [round(pace.take(5), 3) for _ in range(4)] == [0, 0, 0.5, 1.0]
    now[0] += 60
    assert [pace.take(10), round(pace.take(1), 3)] == [0, 0.1]


def test_a_peer_waits_over_all_its_associations_after_bytes_and_after_instances() -> None:
    waited: list[float] = []
    paces = Paces(wait=lambda _connection, seconds: waited.append(seconds))
    peer = Peer("CT1", (ip_network("10.0.0.1"),), rate=Rate(instances=1, size=100))
    with socket.socket() as connection:
        for taken in (Taken(), Taken()):
            incoming = paces.keep(peer, taken, connection)
            incoming.write(memoryview(bytes(200)))
            incoming.commit()
            assert (taken.data, taken.ends) == (bytes(200), ["commit"])
    assert [round(seconds) for seconds in waited] == [1, 3, 1]


def test_who_has_no_rate_is_not_touched() -> None:
    taken = Taken()
    with socket.socket() as connection:
        assert Paces().keep(ANYBODY, taken, connection) is taken


@pytest.mark.parametrize("end", ["the peer is gone", "the peer will send no more", "it is cut"])
def test_a_wait_is_over_when_its_connection_is(end: str) -> None:
    ours, theirs = connections()
    paces = Paces()
    taken = Taken()
    incoming = paces.keep(Peer("CT1", rate=Rate(size=1)), taken, ours)
    with ours, theirs, ThreadPoolExecutor(1) as association:
        # What has come and is not read yet is no reason to wait.
        theirs.sendall(bytes(100))
        waiting = association.submit(incoming.write, memoryview(bytes(100)))
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)
        if end == "the peer is gone":
            theirs.close()
        elif end == "it is cut":
            cut(ours)
        else:
            theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionAbortedError):
            waiting.result(timeout=10)
    assert taken.data == bytes(100)


def connections() -> tuple[socket.socket, socket.socket]:
    """Both ends of one over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        return listening.accept()[0], theirs
