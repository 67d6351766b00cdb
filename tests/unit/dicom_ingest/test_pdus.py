"""Protocol data units: deadlines, caps, and what is in them."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicom_ingest.adapters.pdus import (
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    P_DATA_TF,
    BadPdu,
    PduLimits,
    PduStream,
    PeerLost,
    PeerTooSlow,
    data_pdus,
    fragments,
    short_pdu,
)

LIMITS = PduLimits(header_deadline=0.3, min_throughput=100_000, max_associate=1 << 20, max_data=16 * 1024)
Pair = tuple[socket.socket, PduStream]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A peer's socket and our stream."""
    ours, theirs = socket.socketpair()
    yield theirs, PduStream(ours, LIMITS)
    ours.close()
    theirs.close()


def pdu(kind: int, body: bytes) -> bytes:
    return bytes((kind, 0)) + len(body).to_bytes(4, "big") + body


def test_units_that_arrive_together_or_in_pieces_are_told_apart(pair: Pair) -> None:
    theirs, stream = pair
    sent = pdu(P_DATA_TF, b"first") + pdu(P_DATA_TF, b"second " * 1000) + short_pdu(A_RELEASE_RQ)

    def trickle() -> None:
        for at in range(0, len(sent), 997):
            theirs.sendall(sent[at : at + 997])

    thread = threading.Thread(target=trickle)
    thread.start()
    assert [(kind, bytes(body)) for kind, body in (stream.next(1),)] == [(P_DATA_TF, b"first")]
    kind, body = stream.next(1)
    assert (kind, bytes(body)) == (P_DATA_TF, b"second " * 1000)
    assert stream.next(1)[0] == A_RELEASE_RQ
    thread.join()


def test_a_greeting_may_be_longer_than_any_data(pair: Pair) -> None:
    theirs, stream = pair
    greeting = bytes(900_000)
    thread = threading.Thread(target=lambda: theirs.sendall(pdu(A_ASSOCIATE_RQ, greeting)))
    thread.start()
    assert len(stream.greeting(1, lambda _fixed, _length: None)) == len(greeting)
    thread.join()


def test_a_second_greeting_is_refused_by_its_header(pair: Pair) -> None:
    theirs, stream = pair
    theirs.sendall(pdu(A_ASSOCIATE_RQ, bytes(200)) + pdu(A_ASSOCIATE_RQ, bytes(900_000))[:6])
    stream.greeting(1, lambda _fixed, _length: None)
    with pytest.raises(BadPdu) as refused:
        stream.next(1)
    assert (refused.value.reason, refused.value.code) == ("unexpected-pdu", 2)


@pytest.mark.parametrize(
    ("kind", "length"),
    [(A_ASSOCIATE_RQ, 0xFFFFFFFF), (P_DATA_TF, 16 * 1024 + 1), (A_RELEASE_RQ, 5), (9, 4), (0, 0)],
)
def test_a_unit_that_is_too_long_or_of_no_kind_is_refused_by_its_header(pair: Pair, kind: int, length: int) -> None:
    theirs, stream = pair
    theirs.sendall(bytes((kind, 0)) + length.to_bytes(4, "big"))
    with pytest.raises(BadPdu):
        stream.next(1)


def test_silence_ends_after_the_patience_that_was_asked_for(pair: Pair) -> None:
    with pytest.raises(PeerTooSlow, match="idle"):
        pair[1].next(0.05)


def test_three_bytes_of_a_header_hold_nobody_up(pair: Pair) -> None:
    theirs, stream = pair
    theirs.sendall(b"\x01\x00\x00")
    with pytest.raises(PeerTooSlow, match="pdu-header"):
        stream.next(60)


def test_a_body_that_trickles_below_the_least_rate_is_given_up(pair: Pair) -> None:
    theirs, stream = pair
    theirs.sendall(bytes((P_DATA_TF, 0)) + (10_000).to_bytes(4, "big"))
    stop = threading.Event()

    def trickle() -> None:
        while not stop.is_set():
            theirs.sendall(b"x")
            time.sleep(0.02)

    thread = threading.Thread(target=trickle)
    thread.start()
    with pytest.raises(PeerTooSlow, match="pdu-body"):
        stream.next(60)
    stop.set()
    thread.join()


def test_a_peer_that_hangs_up_is_lost(pair: Pair) -> None:
    theirs, stream = pair
    theirs.sendall(b"\x04\x00\x00\x00")
    theirs.close()
    with pytest.raises(PeerLost):
        stream.next(1)


@given(st.binary(max_size=5000), st.integers(min_value=7, max_value=3000))
def test_a_command_is_read_from_the_units_it_is_cut_into(command: bytes, longest: int) -> None:
    units = list(data_pdus(5, command, longest))
    assert all(len(unit) - 6 <= longest for unit in units)
    found = [part for unit in units for part in fragments(memoryview(unit)[6:])]
    assert b"".join(bytes(part.data) for part in found) == command
    assert [part.is_last for part in found] == [False] * (len(found) - 1) + [True] * bool(found)
    assert all(part.context_id == 5 and part.is_command for part in found)


@given(st.binary(max_size=100))
def test_lengths_inside_a_unit_that_do_not_add_up_are_refused(body: bytes) -> None:
    try:
        total = sum(len(part.data) + 6 for part in fragments(memoryview(body)))
    except BadPdu:
        return
    assert total == len(body)
