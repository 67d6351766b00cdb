"""What becomes of a message is what its error says, in each protocol."""

import pytest

from shared.errors import UNKNOWN, AlreadyDone, RetryLater, Unprocessable, answer
from shared.sql import DatabaseFull, DatabaseUnavailable, StatementRefused
from shared.storage import (
    BadKey,
    BlobCorrupt,
    BlobExists,
    BlobMissing,
    BlobTooLarge,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)


@pytest.mark.parametrize(
    ("error", "dicom", "http", "hl7"),
    [
        (RetryLater("bus-away"), 0xA700, 503, "AR"),
        (Unprocessable("not-dicom"), 0xC000, 422, "AE"),
        (AlreadyDone("known"), 0x0000, 200, "AA"),
        (LookupError("a text"), 0x0110, 500, "AR"),
    ],
)
def test_each_fate_has_its_answer(error, dicom, http, hl7):
    """One table tells the DICOM status, the HTTP status and the HL7 acknowledgement."""
    told = answer(error)
    assert (told.dicom, told.http, told.hl7) == (dicom, http, hl7)


@pytest.mark.parametrize(
    "error", [StoreUnavailable(), StoreRefused(), StoreFull(), DatabaseUnavailable(), DatabaseFull()]
)
def test_what_can_be_lifted_is_tried_again(error):
    """Outages, refusals and full disks are no fault of the message."""
    assert isinstance(error, RetryLater)


@pytest.mark.parametrize("kind", [BlobMissing, BlobExists, BlobCorrupt, BlobTooLarge, BadKey])
def test_what_is_wrong_with_a_blob_stays_wrong(kind):
    """No later attempt makes a blob right; its key is a field, not a part of the text."""
    error = kind("identified/0af3/0001")
    assert isinstance(error, Unprocessable)
    assert error.key == "identified/0af3/0001"
    assert "identified" not in str(error)


def test_a_fault_of_the_code_is_unknown():
    """A refused statement is counted and dead-lettered like any other unknown error."""
    assert answer(StatementRefused("IntegrityError")) is UNKNOWN
