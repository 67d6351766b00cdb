"""Identifiers of C-FIND: what is read of them, and that nothing that comes in breaks or delays anything."""

import contextlib
import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import decode, encode

from services.hl7_fhir.domain.worklist import dimse
from services.hl7_fhir.domain.worklist.dicom_set import BadDataSet, Reader, element, sequence
from services.hl7_fhir.domain.worklist.dimse import BadPdu
from services.hl7_fhir.domain.worklist.keys import SEQUENCES, VRS
from services.hl7_fhir.domain.worklist.query import BadQuery, answer, read_query
from tests.support.worklist import query

PLAIN = b"\x10\x00\x10\x00PN\x04\x00Doe*"


def encoded(identifier: Dataset, *, implicit: bool = False) -> bytes:
    found = encode(identifier, implicit, True)
    assert found is not None
    return found


@pytest.mark.parametrize("implicit", [True, False])
def test_keys_become_conditions_and_return_keys(implicit: bool) -> None:
    asked = query(PatientName="Doe*", step_Modality="CT", step_ScheduledProcedureStepStartDate="20260101-20260102")
    found = read_query(encoded(asked, implicit=implicit), explicit=not implicit)
    assert {(each.column, each.values) for each in found.conditions} == {
        ("patient_name", ("doe*",)),
        ("modality", ("CT",)),
        ("date", ("20260101", "20260102")),
    }
    tags = [each.tag for each in found.wanted]
    assert tags == sorted(tags)
    assert 0x00400100 in tags
    assert not found.partial


@pytest.mark.parametrize("implicit", [True, False])
def test_sequences_of_undefined_length_are_read(implicit: bool) -> None:
    asked = query(step_Modality="MR")
    asked["ScheduledProcedureStepSequence"].is_undefined_length = True
    asked["ScheduledProcedureStepSequence"].value[0].is_undefined_length_sequence_item = True
    found = read_query(encoded(asked, implicit=implicit), explicit=not implicit)
    assert [each.values for each in found.conditions] == [("MR",)]


def test_values_of_several_patients_are_bounded() -> None:
    with pytest.raises(BadQuery):
        read_query(element(0x0020000D, "UI", b"\\".join([b"1.2"] * 300), True), explicit=True)


@pytest.mark.parametrize("value", ["*a*a*a*a*b", "x" * 600, "a*" * 100, "a\0b"])
def test_patterns_that_a_database_would_work_on_for_long_are_refused(value: str) -> None:
    for tag, vr in ((0x00100010, "PN"), (0x00100020, "LO")):
        with pytest.raises(BadQuery):
            read_query(element(tag, vr, value.encode(), True), explicit=True)
    assert read_query(element(0x00100020, "LO", b"***a****", True), explicit=True).conditions[0].values == ("*a*",)


@pytest.mark.parametrize("value", ["2026010", "20261301a", "20260101-x", "-", "2026.01-02"])
def test_dates_that_are_none_are_refused(value: str) -> None:
    with pytest.raises(BadQuery):
        read_query(element(0x00100030, "DA", value.encode(), True), explicit=True)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN[:-1],
        PLAIN[:7],
        b"\x10\x00\x10\x00pn\x04\x00Doe*",
        b"\x40\x00\x00\x01SQ\x00\x00\xff\xff\xff\xff",
        b"\x40\x00\x00\x01SQ\x00\x00\x08\x00\x00\x00\xfe\xff\x00\xe0\xff\x00\x00\x00",
        b"\x40\x00\x00\x01SQ\x00\x00\x08\x00\x00\x00\x10\x00\x10\x00\x00\x00\x00\x00",
    ],
)
def test_what_is_no_data_set_is_refused(content: bytes) -> None:
    with pytest.raises(BadDataSet):
        read_query(content, explicit=True)


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = sequence(0x00081120, [inner], True)
    return inner


def test_nesting_and_number_of_elements_have_bounds() -> None:
    for content in (nested(50), element(0x00100010, "PN", b"", True) * 5_000):
        with pytest.raises(BadDataSet):
            Reader(content, explicit=True, sequences=SEQUENCES).read()


tags = st.sampled_from(sorted(VRS)) | st.integers(0, 0xFFFFFFFF)
vrs = st.sampled_from(sorted({*VRS.values(), "UN", "OB", "XX", "AT"}))
elements = st.builds(lambda tag, vr, value: element(tag, vr, value, True), tags, vrs, st.binary(max_size=40))
data_sets = st.recursive(
    st.lists(elements, max_size=8).map(b"".join),
    lambda inner: st.builds(
        lambda tag, items, rest: sequence(tag, items, True) + rest, tags, st.lists(inner, max_size=3), inner
    ),
    max_leaves=6,
)


@given(st.binary(max_size=200) | data_sets, st.booleans(), st.booleans())
@settings(deadline=1000)
def test_any_identifier_is_read_or_refused(content: bytes, explicit: bool, combined: bool) -> None:
    try:
        found = read_query(content, explicit=explicit, combined=combined)
    except (BadDataSet, BadQuery):
        return
    made = answer(found, {0x00400100: [{0x00080060: "CT"}], 0x00100010: "Doe"}, "", explicit=explicit)
    assert isinstance(Reader(made, explicit=explicit, sequences=SEQUENCES, most=10_000).read(), dict)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_greeting_a_command_and_values_or_refused(content: bytes) -> None:
    for read in (
        dimse.read_greeting,
        dimse.read_command,
        lambda body: list(dimse.values(body)),
        lambda body: dimse.read_greeting(struct.pack(">HH", 1, 0) + bytes(64) + body),
    ):
        with contextlib.suppress(BadPdu):
            read(content)  # type: ignore[operator]  # a reader from the parameters


def test_identifiers_that_are_meant_to_take_long_do_not() -> None:
    size = 128 * 1024
    hostile = [
        element(0x00100010, "PN", b"*" * 60_000, True),
        element(0x00100010, "PN", b"?*" * 30_000, True),
        element(0x00100010, "PN", "ﷺ".encode() * 20_000, True),
        sequence(0x00400100, [b""] * (size // 8), True),
        nested(8) * 200,
        element(0x0020000D, "UI", b"\\" * 65_000, True),
    ]
    for content in hostile:
        with contextlib.suppress(BadDataSet, BadQuery):
            read_query(content, explicit=True)


def test_an_answer_is_read_by_pydicom_in_either_syntax() -> None:
    asked = read_query(encoded(query(PregnancyStatus=None, PatientWeight="")), explicit=True)
    data = {0x00100010: "Müller", 0x001021C0: "3", 0x00101030: "65", 0x00400100: [{0x00080060: "CT"}]}
    for explicit in (True, False):
        made = answer(asked, data, "ISO_IR 100", explicit=explicit)
        found = decode(BytesIO(made), not explicit, True)
        assert (str(found.PatientName), found.PregnancyStatus, found.PatientWeight) == ("Müller", 3, 65)
        assert found.ScheduledProcedureStepSequence[0].Modality == "CT"


def test_a_short_pdu_is_filled_evenly_and_never_exceeded() -> None:
    for longest in (128, 129, 4096):
        made = dimse.data_pdus(1, bytes(1000), is_command=False, longest=longest)
        at, whole = 0, 0
        while at < len(made):
            kind, length = dimse.header(made[at : at + 6])
            assert kind == dimse.DATA
            assert length <= longest
            pieces = list(dimse.values(made[at + 6 : at + 6 + length]))
            whole += sum(len(piece) for _, _, piece in pieces)
            at += 6 + length
            assert all(len(piece) % 2 == 0 for _, _, piece in pieces)
        assert whole == 1000
