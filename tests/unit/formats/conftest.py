"""Fixtures of the format tests."""

import pytest

from contracts.formats.manifest import Instance, Routing
from tests.unit.formats.files import describe


@pytest.fixture
def contents() -> list[bytes]:
    """Four files of very different sizes, one of them smaller than a header."""
    return [b"DICM" + bytes(range(256)) * 5, b"DICM12345678", b"DICM", b"DICM" + b"\x00\xff" * 70_000]


@pytest.fixture
def longest_instance() -> Instance:
    """An instance with every field as long as it gets, but for the index of many fragments."""
    uid = "1." + "2" * 62
    text = "W" * 16
    routing = Routing(
        modality=text,
        body_part=text,
        station_name=text,
        image_type=("DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"),
        burned_in=True,
        study_date="20260101",
        series_number=2**31 - 1,
        instance_number=2**31 - 1,
        patient_token="a" * 32,
        accession_token="b" * 32,
    )
    uids = dict.fromkeys(("sop_instance_uid", "study_uid", "series_uid"), uid)
    return describe(b"DICM" + bytes(100), **uids, routing=routing, flags=("opaque-header",))
