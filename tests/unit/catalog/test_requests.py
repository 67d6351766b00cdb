"""Which requests are kept of a header."""

from typing import Any

import pytest

from services.catalog.domain.requests import MOST, requests_of, sequence_of


def header(*requests: Any) -> dict[str, Any]:
    """A header with these items."""
    return {"00400275": {"vr": "SQ", "Value": list(requests)}}


def test_the_keys_are_kept_and_nothing_else() -> None:
    item = {"00400009": {"vr": "SH", "Value": ["S1"]}, "00400007": {"vr": "LO", "Value": ["Head of John Doe"]}}
    found = requests_of(header(item))
    assert found == [{"step_id": "S1", "procedure_id": None}]
    kept = {"00400009": {"vr": "SH", "Value": ["S1"]}, "00401001": {"vr": "SH"}}
    assert sequence_of(found) == {"00400275": {"vr": "SQ", "Value": [kept]}}


@pytest.mark.parametrize("value", [{}, header(), header({}), header(None, "x"), {"00400275": None}])
def test_without_a_key_there_is_no_request(value: dict[str, Any]) -> None:
    assert requests_of(value) == [] and sequence_of([]) == {}


def test_no_sender_makes_the_index_grow_at_will() -> None:
    items = [{"00401001": {"vr": "SH", "Value": [str(number)]}} for number in range(1000)]
    assert len(requests_of(header(*items))) == MOST
