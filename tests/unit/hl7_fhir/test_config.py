"""Settings say what they mean, and are refused when they mean nothing."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from services.hl7_fhir.config import Settings


@pytest.mark.parametrize(("name", "zone"), [("UTC", UTC), ("Europe/Zurich", ZoneInfo("Europe/Zurich"))])
def test_the_time_zone_is_named(name: str, zone: object) -> None:
    assert Settings(time_zone=name).zone == zone


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../passwd"},
        {"hl7_charset": "klingon"},
        {"mllp_connections": 0},
    ],
)
def test_settings_without_a_meaning_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)
