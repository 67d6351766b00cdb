"""DIMSE command sets, with pynetdicom as the oracle."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode, encode

from services.dicom_ingest.domain.command import (
    C_STORE as STORE,
)
from services.dicom_ingest.domain.command import (
    SUCCESS,
    Command,
    MalformedCommand,
    parse,
    respond,
)


def pynetdicom_command(message: C_STORE_RQ | C_ECHO_RQ, primitive: C_STORE | C_ECHO) -> bytes:
    """The command set as pynetdicom sends it."""
    message.primitive_to_message(primitive)
    encoded = encode(message.command_set, True, True)
    assert encoded is not None
    return encoded


def test_a_store_request_of_pynetdicom_is_read() -> None:
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = "1.2.3"
    request.Priority = 2
    request.DataSet = BytesIO(b"\x08\x00\x05\x00\x00\x00\x00\x00")
    assert parse(pynetdicom_command(C_STORE_RQ(), request)) == Command(STORE, 7, str(CTImageStorage), "1.2.3", True)


def test_an_echo_request_of_pynetdicom_is_read() -> None:
    request = C_ECHO()
    request.MessageID = 1
    read = parse(pynetdicom_command(C_ECHO_RQ(), request))
    assert (read.field, read.message_id, read.has_data_set) == (0x0030, 1, False)


@pytest.mark.parametrize("comment", ["", "disk-low", "odd"])
def test_a_response_is_read_by_pynetdicom(comment: str) -> None:
    encoded = respond(Command(STORE, 9, "1.2.840", "1.2.3.4", True), 0xA700, comment)
    response: Dataset = decode(BytesIO(encoded), True, True)
    assert response.CommandField == 0x8001
    assert response.MessageIDBeingRespondedTo == 9
    assert response.Status == 0xA700
    assert response.CommandDataSetType == 0x0101
    assert (response.AffectedSOPClassUID, response.AffectedSOPInstanceUID) == ("1.2.840", "1.2.3.4")
    assert response.get("ErrorComment", "") == comment
    assert response.CommandGroupLength == len(encoded) - 12


def test_spaces_and_zeros_around_a_uid_are_not_of_it() -> None:
    read = parse(respond(Command(STORE, 9, " 1.2.840\0", "  1.2.3 ", True), SUCCESS))
    assert (read.sop_class, read.sop_instance) == ("1.2.840", "1.2.3")


def test_a_response_reads_as_what_it_answers() -> None:
    assert parse(respond(Command(STORE, 9, "1.2.840", "1.2.3.4", True), SUCCESS)).sop_instance == "1.2.3.4"


@given(st.binary(max_size=200))
def test_garbage_is_malformed_and_nothing_else(garbage: bytes) -> None:
    try:
        parse(garbage)
    except MalformedCommand as error:
        assert str(error) == "malformed-command"
