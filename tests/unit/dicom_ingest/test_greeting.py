"""Greetings as they are read: what nobody knows is passed over, what is cut is none (PS3.8 section 9.3.1)."""

import pytest

from services.dicom_ingest.adapters.greeting import Greeting, plain, read_greeting
from services.dicom_ingest.adapters.pdus import BadPdu
from services.dicom_ingest.domain.negotiation import Proposal
from tests.fuzz import wire

CT = Proposal(3, wire.CT, (wire.EXPLICIT,))
WINDOW = wire.item(0x53, b"\0\5\0\5")


def greeting_of(*user_items: bytes, inside: bytes = b"", behind: bytes = b"") -> bytes:
    """A greeting for CT, with these items of user information, inside its context, and behind all others."""
    syntaxes = wire.item(0x30, wire.CT.encode()) + inside + wire.item(0x40, wire.EXPLICIT.encode())
    context = wire.item(0x20, b"\3\0\0\0" + syntaxes)
    return wire.Greeting(contexts=(context,), user_items=user_items, longest=20_000).body() + behind


def read(body: bytes) -> Greeting:
    return read_greeting(memoryview(body))


@pytest.mark.parametrize(
    "body",
    [
        greeting_of(WINDOW),
        greeting_of(wire.item(0x5A, b"later"), WINDOW, wire.item(0x77, b"")),
        greeting_of(wire.item(0x52, b"no uid"), WINDOW, wire.item(0x54, b"no role"), wire.item(0x55, bytes(40))),
        greeting_of(WINDOW, inside=wire.item(0x31, b"1.2.3")),
        greeting_of(WINDOW, behind=wire.item(0x99, b"more") + wire.item(0x00, b"")),
    ],
    ids=["known", "unknown", "misspelt", "inside", "behind"],
)
def test_only_what_is_read_must_be_understood(body: bytes) -> None:
    found = read(body)
    assert (found.proposals, found.longest_pdu, found.asks_for_window) == ((CT,), 20_000, True)


def test_of_nothing_unknown_nothing_changes_but_the_version() -> None:
    body = greeting_of(WINDOW)
    assert plain(memoryview(b"\0\3" + body[2:])) == body


@pytest.mark.parametrize("cut", range(1, 8))
@pytest.mark.parametrize("last", [WINDOW, wire.item(0x99, b"more")], ids=["known", "unknown"])
def test_a_greeting_that_ends_within_an_item_is_none(cut: int, last: bytes) -> None:
    with pytest.raises(BadPdu):
        read(greeting_of(behind=last[:-cut]))
