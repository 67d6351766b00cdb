"""What an answer of a RIS means, and how notices are made."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset

from contracts.events import Blob, ProvenCopy, StepReported, StudyArchived
from services.dicom_ingest.domain.step_report import as_file
from services.forwarding.domain.answers import DELIVERED, DestinationAway, Outcome, failed
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.forwards import InputDamaged
from services.forwarding.domain.notices import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    MOST_TRIES,
    Answer,
    availability,
    encoded_as,
    of_answer,
    report,
)
from shared import dimse
from shared.identity import SiteKey

NOW = datetime.now(UTC)
BLOB = Blob(store="landing", key="k", size=1)
STEP = StepReported(
    step_ref="s", number=1, kind="created", state="in-progress", study_uids=(), study_refs=(), instances=0, report=BLOB,
    received=NOW,
)  # fmt: skip
COPY = ProvenCopy(sealed_id="s", pack_id="p", form="identified", target="t", generation=1, proven=NOW)
STUDY = StudyArchived(
    study_uid="1.2", study_ref="r", revision=1, instances=1, copies=(COPY,), withheld=0, summary=BLOB, archived=NOW
)
IAN = Destination(name="ris", kind="ian", host="ris", port=104, retrieve_ae="PACS", availability="NEARLINE")


@pytest.mark.parametrize("operation", ["create", "set"])
@pytest.mark.parametrize("status", [0x0105, 0x0106, 0x0112, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0124, 0x0211])
def test_what_is_wrong_with_a_notice_is_final(operation: str, status: int) -> None:
    assert of_answer(operation, Answer(status), 1) == failed(f"status-{status:04x}")


@pytest.mark.parametrize("status", [0x0001, 0x0107, 0x0116, 0xB000, 0xB305])
def test_warnings_are_successes(status: int) -> None:
    assert of_answer("set", Answer(status), 1) == Outcome(is_delivered=True, reason=f"status-{status:04x}")
    assert of_answer("create", Answer(0), 1) == DELIVERED


def test_a_failure_to_process_is_tried_again_but_not_for_ever() -> None:
    for tries in (1, MOST_TRIES - 1):
        with pytest.raises(DestinationAway):
            of_answer("set", Answer(0x0110), tries)
    assert of_answer("set", Answer(0x0110), MOST_TRIES) == failed("status-0110")
    with pytest.raises(DestinationAway):
        of_answer("set", Answer(0x0213), 10 * MOST_TRIES)


def test_a_duplicate_is_here_and_a_step_that_has_ended_may_have_been_ended_by_us() -> None:
    assert of_answer("create", Answer(0x0111), 1).is_delivered
    assert not of_answer("set", Answer(0x0111), 1).is_delivered
    assert of_answer("set", Answer(0x0110, 0xA710), 1) == failed("step-has-ended")
    assert of_answer("set", Answer(0x0110, 0xA710), 2).is_delivered


def test_a_report_is_its_data_set_byte_for_byte() -> None:
    found = report(as_file("1.2.3", IMPLICIT, b"anything"), STEP)
    assert (found.operation, found.sop_instance, found.transfer_syntax) == ("create", "1.2.3", IMPLICIT)
    assert found.data_set == b"anything"
    assert report(as_file("1.2.3", BIG, b"x"), STEP.model_copy(update={"kind": "set"})).operation == "set"


@given(st.integers(0, 400))
def test_a_report_that_is_cut_off_is_damaged_or_whole(length: int) -> None:
    """The data set itself has no end that could be missed."""
    file = as_file("1.2.3", EXPLICIT, b"")
    try:
        report(file[:length] + b"\x08\0\x05\0CS\0\0" * (length >= len(file)), STEP)
    except InputDamaged:
        assert length < len(file)


@pytest.mark.parametrize("file", [b"", bytes(500), as_file("no uid", EXPLICIT, b"x"), as_file("1.2", "1.2.840", b"x")])
def test_what_is_no_report_is_damaged(file: bytes) -> None:
    with pytest.raises(InputDamaged):
        report(file, STEP)


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG, EXPLICIT])
def test_a_notice_is_encoded_as_the_ris_takes_it(syntax: str) -> None:
    summary = (
        b'{"series": [{"series_uid": "1.2.1", "instances": [{"sop_instance_uid": "1.3", "sop_class_uid": "1.4"}]}]}'
    )
    notice = availability(summary, STUDY, IAN, SiteKey(bytes(32)))
    assert notice is not None
    read = read_dataset(BytesIO(encoded_as(notice, syntax)), syntax == IMPLICIT, syntax != BIG)
    (item,) = read.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (item.ReferencedSOPInstanceUID, item.RetrieveAETitle, item.InstanceAvailability) == (
        "1.3",
        "PACS",
        "NEARLINE",
    )
    again = availability(summary, STUDY.model_copy(update={"revision": 2}), IAN, SiteKey(bytes(32)))
    assert again is not None and again.sop_instance != notice.sop_instance


@pytest.mark.parametrize("summary", [b"", b"{}", b"[]", b'{"series": [{}]}', b'{"series": 1}'])
def test_what_is_no_summary_is_damaged(summary: bytes) -> None:
    with pytest.raises(InputDamaged):
        availability(summary, STUDY, IAN, SiteKey(bytes(32)))


def test_what_cannot_be_retrieved_is_not_told() -> None:
    nothing: dict[str, Any] = {"copies": (COPY.model_copy(update={"form": "deidentified"}),)}
    assert availability(b"{}", STUDY.model_copy(update=nothing), IAN, SiteKey(bytes(32))) is None
    alone = b'{"series": [{"series_uid": null, "instances": [{"sop_instance_uid": "1", "sop_class_uid": "1"}]}]}'
    assert availability(alone, STUDY, IAN, SiteKey(bytes(32))) is None


def test_values_of_a_pdu_are_told_apart_and_a_broken_one_ends() -> None:
    one = (4).to_bytes(4, "big") + b"\x01\x03ab"
    two = (3).to_bytes(4, "big") + b"\x01\x02c"
    assert list(dimse.values(one + two)) == [(3, b"ab"), (2, b"c")]
    assert list(dimse.values(bytes(6) * 3)), "a length of nothing goes on"
