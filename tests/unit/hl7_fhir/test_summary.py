"""Summaries of studies become FHIR that every judge accepts, whatever the images say."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.studies.hearing import COMPLETED, Heard, scheduled_of
from services.hl7_fhir.domain.studies.imaging_study import Ties, resource, subject
from services.hl7_fhir.domain.studies.summary import SummaryBroken, read_summary
from tests.support import studies as made
from tests.support.fhir import assert_valid

UID = "1.2.840.99.1"


def imaging_study(document: bytes, most: int = 100) -> dict[str, Any]:
    """The ImagingStudy of a summary."""
    images = read_summary(document, UTC, most)
    heard = Heard(UID, made.KEY.study_ref(UID), 1, COMPLETED, 1, 3, images)
    return {**resource(UID, heard.elements(), Ties()), "id": "x"}


wild = st.none() | st.text(max_size=80) | st.integers() | st.booleans() | st.lists(st.text(max_size=3), max_size=2)
instances = st.fixed_dictionaries(
    {"sop_instance_uid": st.text() | st.just("1.2.3"), "sop_class_uid": wild | st.just(made.CT), "number": wild}
)
series = st.fixed_dictionaries(
    {"series_uid": st.none() | st.text(max_size=70) | st.just("1.2.4"), "instances": st.lists(instances, max_size=3)},
    optional=dict.fromkeys(("modality", "number", "description", "body_part", "laterality", "date", "time"), wild),
)


@given(
    st.lists(series, max_size=3),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("study_date", "study_time", "utc_offset", "description"), wild)),
)
def test_whatever_the_images_say_is_valid_or_refused(listed: list[Any], said: dict[str, Any]) -> None:
    document = json.dumps({"series": listed, **said}).encode()
    try:
        found = imaging_study(document)
    except SummaryBroken:
        return
    assert_valid(found)


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"series": 1}', b'{"series": [{}]}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_summary_is_refused(document: bytes) -> None:
    with pytest.raises(SummaryBroken):
        read_summary(document, UTC, 100)


def test_a_space_that_does_not_break_is_a_space() -> None:
    found = imaging_study(made.summary(UID, description="Head\xa0CT\u2003plain"))
    assert_valid(found)
    assert found["description"] == "Head CT plain"


def test_a_summary_of_before_it_had_grown_is_read() -> None:
    rows = [{"sop_instance_uid": "1.2.3", "sop_class_uid": made.CT, "version": 1}]
    old = {
        "format": "causeway.study-summary/1",
        "study_uid": UID,
        "series": [{"series_uid": "1.2", "modality": "MR", "instances": rows}],
    }
    found = imaging_study(json.dumps(old).encode())
    assert_valid(found)
    assert found["series"][0]["numberOfInstances"] == 1 and "started" not in found


@pytest.mark.parametrize(
    ("day", "clock", "offset", "started"),
    [
        ("20260131", "113000.25", None, "2026-01-31T11:30:00+01:00"),
        ("20260131", "1130", "-0500", "2026-01-31T11:30:00-05:00"),
        ("20260131", None, None, "2026-01-31"),
        ("20260131", "11", None, "2026-01-31"),
        ("2026", "113000", None, None),
        ("20261331", "113000", None, None),
        (None, "113000", None, None),
    ],
)
def test_times_are_as_precise_as_they_were_told(day: Any, clock: Any, offset: Any, started: str | None) -> None:
    document = made.summary(UID, study_date=day, study_time=clock, utc_offset=offset)
    images = read_summary(document, ZoneInfo("Europe/Berlin"), 100)
    assert images.elements.get("started") == started


def test_versions_of_an_instance_are_one_and_series_and_instances_stand_by_number() -> None:
    first, second = made.series("1.2.9", 2, number="2"), made.series("1.2.8", 1, number="10")
    first["instances"] = [*reversed(first["instances"]), {**first["instances"][0], "version": 2}]
    found = imaging_study(made.summary(UID, series=[second, first]))
    assert [one["uid"] for one in found["series"]] == ["1.2.9", "1.2.8"]
    assert [one["number"] for one in found["series"][0]["instance"]] == [1, 2]


def test_a_series_without_a_modality_is_other_and_laterality_is_coded() -> None:
    found = imaging_study(made.summary(UID, series=[made.series("1.2", 1, modality=None, laterality="L")]))
    assert found["series"][0]["modality"]["code"] == "OT"
    assert found["series"][0]["laterality"]["code"] == "7771000"


def test_a_subject_is_a_patient_a_token_or_nobody() -> None:
    assert subject(Ties(patient="p", token="t")) == {"reference": "Patient/p", "type": "Patient"}
    assert subject(Ties(token="t"))["identifier"]["value"] == "t"
    assert "identifier" not in subject(Ties())


@pytest.mark.parametrize(
    ("order", "scheduled"),
    [
        ({"occurrenceDateTime": "2026-01-31T12:00:00+01:00"}, datetime(2026, 1, 31, 11, tzinfo=UTC)),
        ({"occurrenceDateTime": "2026-01-31"}, datetime(2026, 1, 31, tzinfo=UTC)),
        ({"occurrenceDateTime": "2026-01"}, None),
        ({"occurrencePeriod": {"start": "2026-01-31"}}, datetime(2026, 1, 31, tzinfo=UTC)),
        (
            {"occurrenceTiming": {"repeat": {"boundsPeriod": {"start": "2026-01-31"}}}},
            datetime(2026, 1, 31, tzinfo=UTC),
        ),
        ({}, None),
    ],
)
def test_when_an_order_is_scheduled(order: dict[str, Any], scheduled: datetime | None) -> None:
    assert scheduled_of(order) == scheduled
