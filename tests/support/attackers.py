"""Peers that try to hold up or to exhaust a receiver, each on threads of its own until it is stopped."""

import contextlib
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from tests.fuzz import wire
from tests.fuzz.data_sets import deflate, many, nested

#: The receiver sees attackers at these addresses of the loopback network, 30 connections from each.
_NETWORK, _FROM_EACH = "127.0.66.", 30
_PATIENCE = 60.0
_EXPLICIT_CONTEXT, _DEFLATED_CONTEXT = 3, 9


@dataclass
class Tally:
    """How often each answer came: a unit's name, or ``closed`` without one. Statuses of C-STORE are in hexadecimal.

    ``begun`` is set when the attack has.
    """

    answers: Counter[str] = field(default_factory=Counter)
    begun: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: str) -> None:
        """One more."""
        with self.lock:
            self.answers[answer] += 1

    @property
    def stored(self) -> int:
        """Instances that were acknowledged."""
        return self.answers["0000"]


#: Attacks a port until the event is set, and tells what it was answered.
Attack = Callable[[int, threading.Event, Tally], None]


@contextlib.contextmanager
def attacked(attack: Attack, port: int) -> Iterator[Tally]:
    """Under attack; ends when the attacker has."""
    tally, stop = Tally(), threading.Event()
    thread = threading.Thread(target=attack, args=(port, stop, tally), daemon=True)
    thread.start()
    assert tally.begun.wait(_PATIENCE), "no attack"
    try:
        yield tally
    finally:
        stop.set()
        thread.join()


def connect(port: int, number: int = 0) -> socket.socket:
    """A connection from one of the attackers' addresses."""
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(_PATIENCE)
    connection.bind((f"{_NETWORK}{1 + number // _FROM_EACH}", 0))
    connection.connect(("127.0.0.1", port))
    return connection


#: By the first byte: those of units, and the alert of TLS (RFC 8446 section 5.1).
_NAMES = {
    0: "closed",
    2: "A-ASSOCIATE-AC",
    3: "A-ASSOCIATE-RJ",
    4: "P-DATA-TF",
    6: "A-RELEASE-RP",
    7: "A-ABORT",
    21: "alert",
}


def answer(connection: socket.socket) -> tuple[str, bytes]:
    """The name and body of the next unit."""
    head = _exactly(connection, 6)
    if len(head) < 6:
        return "closed", b""
    return _NAMES.get(head[0], "unknown"), _exactly(connection, int.from_bytes(head[2:], "big"))


def _exactly(connection: socket.socket, count: int) -> bytes:
    taken = b""
    with contextlib.suppress(ConnectionError):
        while len(taken) < count and (part := connection.recv(count - len(taken))):
            taken += part
    return taken


def slow_senders(port: int, stop: threading.Event, tally: Tally, count: int = 300) -> None:
    """So many connections that send a greeting a byte now and then; those that are closed come again a second later."""
    begun = wire.pdu(wire.A_ASSOCIATE_RQ, wire.Greeting().body()[:68], 100_000)
    _drip(port, stop, tally, count, lambda _number: begun)


def slow_handshakes(port: int, stop: threading.Event, tally: Tally, count: int = 300) -> None:
    """The same on a port with TLS: they send a ClientHello of 500 bytes (RFC 8446 section 4.1.2)."""
    _drip(port, stop, tally, count, lambda _number: b"\x16\x03\x01\x01\xf8\x01\x00\x01\xf4\x03\x03")


def slow_associations(port: int, stop: threading.Event, tally: Tally, count: int = 300) -> None:
    """The same, but they are let in, under ten titles: a whole greeting, then a P-DATA-TF a byte now and then."""
    _drip(port, stop, tally, count, lambda number: _let_in(b"EVIL%d" % (number % 10)))


def _let_in(title: bytes) -> bytes:
    return wire.Greeting(calling=title).encode() + wire.pdu(wire.P_DATA, b"", 0x3FFFF)


def _drip(port: int, stop: threading.Event, tally: Tally, count: int, begun: Callable[[int], bytes]) -> None:
    present: dict[int, socket.socket] = {}
    again: dict[int, float] = {}
    while not stop.is_set():
        for number in range(count):
            if number not in present and again.get(number, 0) < time.monotonic():
                with contextlib.suppress(OSError):
                    present[number] = connect(port, number)
                    present[number].sendall(begun(number))
                    present[number].setblocking(False)
            elif number in present and _is_over(present[number], tally):
                present.pop(number).close()
                again[number] = time.monotonic() + 1
        tally.begun.set()
        stop.wait(0.25)
    for connection in present.values():
        connection.close()


def _is_over(connection: socket.socket, tally: Tally) -> bool:
    """Send one byte; whether the other side has ended it."""
    try:
        connection.send(b"\0")
        told = connection.recv(4096)
        if told[:1] == b"\2":
            # It was let in; there may be more behind that.
            told = told[6 + int.from_bytes(told[2:6], "big") :] or connection.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        told = b""
    tally.note(_NAMES.get(told[0] if told else 0, "unknown"))
    return True


def pdu_4gib(port: int, stop: threading.Event, tally: Tally) -> None:
    """Greetings and data of 4 GiB by their headers, and as much of them as the receiver takes; twenty a second."""
    tally.begun.set()
    for number in itertools.count():
        if stop.wait(0.05):
            return
        with connect(port) as connection:
            if number % 2:
                connection.sendall(wire.Greeting().encode())
                answer(connection)
            kind = wire.P_DATA if number % 2 else wire.A_ASSOCIATE_RQ
            with contextlib.suppress(OSError):
                connection.sendall(wire.pdu(kind, bytes(65536), 0xFFFFFFFF))
            tally.note(answer(connection)[0])


def _storing(context: int, data: Callable[[], bytes], pause: float) -> Attack:
    """Stores one data set over and over, on one association, with a pause after each answer (seconds)."""

    def attack(port: int, stop: threading.Event, tally: Tally) -> None:
        content, number = data(), 0
        with connect(port) as connection:
            connection.sendall(wire.Greeting().encode())
            assert answer(connection)[0] == "A-ASSOCIATE-AC"
            tally.begun.set()
            while not number or not stop.wait(pause):
                number = number % 0xFFFF + 1
                tally.note(store(connection, context, number, content))
            connection.sendall(wire.pdu(wire.A_RELEASE_RQ, bytes(4)))
            answer(connection)

    return attack


def store(connection: socket.socket, context: int, number: int, content: bytes) -> str:
    """Store a data set: the status in four hexadecimal digits, or what came instead."""
    command = wire.command_set(wire.store_elements(number, f"1.2.3.{time.time_ns()}"))
    values = wire.fragments(context, command, 16_000, is_command=True)
    for value in (*values, *wire.fragments(context, content, 128_000, is_command=False)):
        connection.sendall(wire.pdu(wire.P_DATA, value.encode()))
    name, body = answer(connection)
    if name != "P-DATA-TF":
        return name
    told = wire.read_command(wire.read_values(body)[0].data) or {}
    return f"{int.from_bytes(told[0x0900], 'little'):04x}"


@lru_cache
def a_million_items() -> bytes:
    """A sequence of a million empty items, 8 MB."""
    return many(1_000_000, wire.EXPLICIT)


@lru_cache
def a_bomb() -> bytes:
    """256 MiB in 260 kB."""
    size = 256 << 20
    head = b"\x42\x00\x11\x00OB\0\0" + size.to_bytes(4, "little")
    return deflate(head + bytes(size))


@lru_cache
def deep() -> bytes:
    """Sequences in one another, 300 deep."""
    return nested(300, wire.EXPLICIT)


#: By the key of their ratio in bench/attacks.py.
ATTACKS: dict[str, Attack] = {
    "slow_senders": slow_senders,
    "slow_handshakes": slow_handshakes,
    "slow_associations": slow_associations,
    "pdu_4gib": pdu_4gib,
    "million_items": _storing(_EXPLICIT_CONTEXT, a_million_items, 1.0),
    "deflate_bomb": _storing(_DEFLATED_CONTEXT, a_bomb, 0.2),
    "deep_nesting": _storing(_EXPLICIT_CONTEXT, deep, 0.05),
}
#: Those that go for the port with TLS.
SECURED = frozenset({"slow_handshakes"})
#: Those that ``standard`` does not stand: each of its associations polls in two threads a thousand times a second
#: (docs/adr/0006), so that those that attackers are let into leave no processor to anybody else, whoever gives way.
FAST_ONLY = frozenset({"slow_associations"})


def attacks_on(receiver: str) -> list[str]:
    """The attacks that a receiver has to stand."""
    return [name for name in ATTACKS if receiver == "fast" or name not in FAST_ONLY]
