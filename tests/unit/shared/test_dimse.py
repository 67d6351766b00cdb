"""PDUs of a requestor, checked by pynetdicom."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF

from shared import dimse
from tests.fuzz import wire


def decoded(stream: bytes) -> list[tuple[int, int, bytes]]:
    """(context, control, value) of each PDV of a stream of P-DATA-TF PDUs."""
    found = []
    while stream:
        length = int.from_bytes(stream[2:6], "big")
        pdu = P_DATA_TF()
        pdu.decode(stream[: 6 + length])
        for item in pdu.presentation_data_value_items:
            data = item.presentation_data_value
            found.append((item.presentation_context_id, data[0], data[1:]))
        stream = stream[6 + length :]
    return found


@given(size=st.integers(0, 4000), room=st.integers(1, 500).map(lambda n: 2 * n), cut=st.integers(1, 1500))
def test_fragments_are_full_and_even_and_the_last_one_says_so(size: int, room: int, cut: int) -> None:
    data = Random(size).randbytes(size)
    chunks = [data[at : at + cut] for at in range(0, size, cut)]
    found = decoded(b"".join(b"".join(pieces) for pieces in dimse.fragments(chunks, 3, room)))
    assert b"".join(value for _, _, value in found) == data
    assert {context for context, _, _ in found} == {3}
    assert [control for _, control, _ in found] == [0] * (len(found) - 1) + [2]
    assert all(len(value) == room for _, _, value in found[:-1])
    assert len(found[-1][2]) <= room


def test_a_request_is_what_pynetdicom_reads() -> None:
    command = dimse.store_request("1.2.840.10008.5.1.4.1.1.2", "2.25.77", 9)
    message = C_STORE_RQ()
    ((context, control, value),) = decoded(b"".join(dimse.command(5, command)))
    assert (context, control) == (5, 3)
    from io import BytesIO

    from pynetdicom.dsutils import decode

    message.command_set = decode(BytesIO(value), True, True)
    told = message.command_set
    assert (told.AffectedSOPClassUID, told.AffectedSOPInstanceUID) == ("1.2.840.10008.5.1.4.1.1.2", "2.25.77")
    assert (told.CommandField, told.MessageID, told.CommandDataSetType) == (1, 9, 1)
    assert told.CommandGroupLength == len(value) - 12


#: Of an A-ASSOCIATE-AC: a context that is accepted, and one that is refused without a transfer syntax that can be read.
CONTEXTS = wire.item(0x21, b"\1\0\0\0" + wire.item(0x40, b"1.2.840.10008.1.2")) + wire.item(
    0x21, b"\3\0\4\0" + wire.item(0x40, b"\xff")
)
LONGEST = wire.item(0x51, (16_384).to_bytes(4, "big"))


def accepting(*user_items: bytes, behind: bytes = b"") -> bytes:
    """The body of an A-ASSOCIATE-AC."""
    return bytes(68) + wire.item(0x10, b"1.2") + CONTEXTS + wire.item(0x50, b"".join(user_items)) + behind


@pytest.mark.parametrize(
    ("body", "room"),
    [
        (accepting(LONGEST), 16_378),
        (accepting(), 256 * 1024 - 6),
        (accepting(wire.item(0x51, bytes(4))), 256 * 1024 - 6),
        (accepting(wire.item(0x5A, b"later"), LONGEST, behind=wire.item(0x99, b"more")), 16_378),
        (accepting(wire.item(0x52, b"no uid"), LONGEST, wire.item(0x55, b"\xe4" * 40)), 16_378),
    ],
    ids=["usual", "silent", "boundless", "unknown", "misspelt"],
)
def test_of_an_answer_to_the_greeting_only_what_is_needed_is_read(body: bytes, room: int) -> None:
    assert dimse.accepted(body) == ({1: 0, 3: 4}, room)


ROLE = wire.COMMITMENT.encode()


def role(uid: bytes, scu: int, scp: int, length: int | None = None) -> bytes:
    """What an acceptor says of a proposed role (PS3.7 table D.3-10)."""
    told = (len(uid) if length is None else length).to_bytes(2, "big")
    return wire.item(0x54, told + uid + bytes((scu, scp)))


@pytest.mark.parametrize(
    ("items", "granted"),
    [
        ([LONGEST, role(ROLE, 0, 1)], {wire.COMMITMENT}),
        ([wire.item(0x5A, b"later"), role(ROLE + b"\0", 0, 1), role(b"1.2.3", 1, 1)], {wire.COMMITMENT, "1.2.3"}),
        ([role(ROLE, 1, 0), role(b"1.2.3", 0, 2)], set()),
        ([LONGEST], set()),
        (
            [role(ROLE, 0, 1, length=9), role(ROLE, 0, 1, length=200), wire.item(0x54, b"\1"), wire.item(0x54, b"")],
            set(),
        ),
    ],
    ids=["granted", "among others", "refused", "silent", "misspelt"],
)
def test_a_requestor_is_the_scp_of_what_the_acceptor_grants(items: list[bytes], granted: set[str]) -> None:
    assert dimse.scp_roles(accepting(*items)) == granted


def test_a_proposed_role_is_what_pynetdicom_reads() -> None:
    request = A_ASSOCIATE_RQ()
    request.decode(dimse.greeting({1: (wire.COMMITMENT, wire.EXPLICIT)}, "US", "THEM", [wire.COMMITMENT]))
    (told,) = request.user_information.role_selection.values()
    assert (told.sop_class_uid, told.scu_role, told.scp_role) == (wire.COMMITMENT, 0, 1)


@pytest.mark.parametrize("length", [0, 67, *range(len(accepting()) - 3, len(accepting(LONGEST)))])
def test_an_answer_that_is_cut_is_none(length: int) -> None:
    """Before its items begin, and everywhere in the last of them."""
    with pytest.raises(ValueError, match="cut"):
        dimse.accepted(accepting(LONGEST)[:length])


def test_a_greeting_proposes_each_pair_in_a_context_of_its_own() -> None:
    pairs = {1: ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"), 3: ("1.2.3.4", "1.2.840.10008.1.2.4.90")}
    read = A_ASSOCIATE_RQ()
    read.decode(dimse.greeting(pairs, "CAUSEWAY", "OLDPACS"))
    found = {one.context_id: (one.abstract_syntax, one.transfer_syntax[0]) for one in read.presentation_context}
    assert found == pairs
    assert (read.calling_ae_title.strip(), read.called_ae_title.strip()) == ("CAUSEWAY", "OLDPACS")


def test_a_status_is_found_wherever_it_stands() -> None:
    told = dimse.response(bytes.fromhex("00002001020000000700" + "00000009020000000007"[:16] + "00a7"))
    assert told == dimse.Response(7, 0xA700)
    assert dimse.response(b"\0" * 7) == dimse.Response(None, None)
