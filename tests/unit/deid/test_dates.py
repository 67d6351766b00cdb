"""Dates that move, years, ages."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deid.domain.dates import capped, is_offset, is_temporal, shift, to_years

DAYS = st.integers(-3640, -7)
DATES = st.dates(date(1901, 1, 1), date(2099, 12, 31))


@given(DATES, DATES, DAYS)
def test_intervals_stay_what_they_were(one: date, other: date, days: int) -> None:
    """In DA, and in DT whatever their precision below the day."""
    moved = [shift(f"{each:%Y%m%d}".encode(), "DA", days) for each in (one, other)]
    assert moved == [f"{each + timedelta(days):%Y%m%d}".encode() for each in (one, other)]
    with_time = f"{one:%Y%m%d}235959.123456+0100".encode()
    assert shift(with_time, "DT", days) == (moved[0] or b"") + b"235959.123456+0100"


@pytest.mark.parametrize(
    ("value", "vr", "moved"),
    [
        (b"20200229", "DA", b"20200222"),
        (b"20200301 ", "DA", b"20200223"),
        (b"2020.03.01", "DA", b"20200223"),
        (b"20200301\\20200308", "DA", b"20200223\\20200301"),
        (b"", "DA", b""),
        (b"20200301101112.5-0500", "DT", b"20200223101112.5-0500"),
        (b"202003", "DT", b"202002"),
        (b"2020", "DT", b"2019"),
        (b"2020030110", "DT", b"2020022310"),
        (b"235960.5", "TM", b"235960.5"),
        (b"10", "TM", b"10"),
        (b"10:11:12", "TM", b"10:11:12"),
    ],
)
def test_every_form_of_the_standard_moves_by_a_week(value: bytes, vr: str, moved: bytes) -> None:
    """Precision and offset from UTC stay; times of day do not move."""
    assert shift(value, vr, -7) == moved


@pytest.mark.parametrize(
    ("value", "vr"),
    [
        (b"20200230", "DA"),
        (b"20201301", "DA"),
        (b"Kilmister", "DA"),
        (b"20200301-20200308", "DA"),
        (b"20200301\\Doe", "DA"),
        (b"00010101", "DA"),
        (b"20200301991112", "DT"),
        (b"2020030", "DT"),
        (b"20200301101112 Doe", "DT"),
        (b"256060", "TM"),
        (b"noon", "TM"),
    ],
)
def test_what_is_no_date_does_not_stay(value: bytes, vr: str) -> None:
    assert shift(value, vr, -7) is None


@pytest.mark.parametrize(
    ("value", "vr", "year"),
    [(b"20200315", "DA", b"20200101"), (b"20200315101112+0100", "DT", b"2020"), (b"101112", "TM", None)],
)
def test_a_year_is_all_that_is_left(value: bytes, vr: str, year: bytes | None) -> None:
    assert to_years(value, vr) == year


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (b"089Y", b"089Y"),
        (b"090Y", b"090Y"),
        (b"104Y", b"090Y"),
        (b"006M", b"006M"),
        (b"999M", b"999M"),
        (b"003D", b"003D"),
        (b"", b""),
        (b"89", None),
        (b"Doe", None),
    ],
)
def test_ages_from_ninety_on_are_one(age: bytes, told: bytes | None) -> None:
    assert capped(age, 90) == told


def test_ages_in_months_are_capped_too() -> None:
    assert capped(b"999M", 80) == b"080Y"


def test_what_a_value_is_can_be_told() -> None:
    assert is_temporal(b"20200101", "DA") and is_temporal(b"034Y", "AS")
    assert not is_temporal(b"034", "AS")
    assert is_offset(b"+0100 ") and not is_offset(b"Berlin")
