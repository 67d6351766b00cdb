"""Dates of a patient, moved together or reduced to their years; and ages (PS3.5 section 6.2, PS3.15 section E.3.6)."""

import re
from collections.abc import Callable
from datetime import date, timedelta

#: DA, also as ACR-NEMA wrote it (PS3.5 section 6.2 note 3 of DA); DT; TM, with its seconds and fractions optional.
_DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)")
_DATE_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?((?:\d\d){0,3}(?:\.\d{1,6})?)([+-]\d{4})?")
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?|\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?")
_ZONE = re.compile(rb"[+-](?:0\d|1[0-4])[0-5]\d")
_AGE = re.compile(r"(\d{3})([DWMY])")
#: How many of each a year has, at most.
_PER_YEAR = {"D": 366, "W": 53, "M": 12, "Y": 1}


def shift(value: bytes, vr: str, days: int) -> bytes | None:
    """The DA, DT or TM ``value`` moved by so many whole days; None when it is none.

    A time of day does not move; a DT keeps its precision and its offset from UTC, so intervals between values of the
    same precision stay what they were.
    """
    return _each(
        value, {"DA": lambda one: _moved_date(one, days), "DT": lambda one: _moved_time(one, days)}.get(vr, _time)
    )


def to_years(value: bytes, vr: str) -> bytes | None:
    """The DA or DT ``value`` with nothing but its year left; None when it is none, or a time of day."""
    return None if vr == "TM" else _each(value, _first_of_year if vr == "DA" else _year)


def is_temporal(value: bytes, vr: str) -> bool:
    """Whether ``value`` is what DA, DT, TM or AS may hold, and nothing else."""
    return (capped(value, 1000) if vr == "AS" else shift(value, vr, 0)) is not None


def is_offset(value: bytes) -> bool:
    """Whether ``value`` is an offset from UTC (PS3.3 section C.12.1.1.8)."""
    return _ZONE.fullmatch(value.strip(b" \0")) is not None


def capped(value: bytes, oldest: int) -> bytes | None:
    """The AS ``value`` with ages of ``oldest`` years and more as that age; None when it is none."""
    return _each(value, lambda one: _capped_age(one, oldest))


def _each(value: bytes, change: Callable[[str], str | None]) -> bytes | None:
    """Every one of several values changed; empty ones stay, and one that can't be changed spoils all."""
    changed: list[str] = []
    for one in value.decode("latin-1").split("\\"):
        text = one.strip(" \0")
        new = change(text) if text else ""
        if new is None:
            return None
        changed.append(new)
    return "\\".join(changed).encode()


def _moved_date(text: str, days: int) -> str | None:
    parts = _DATE.fullmatch(text)
    moved = _moved(int(parts[1]), int(parts[3]), int(parts[4]), days) if parts else None
    return f"{moved:%Y%m%d}".rjust(8, "0") if moved else None


def _moved_time(text: str, days: int) -> str | None:
    parts = _DATE_TIME.fullmatch(text)
    if not parts or (parts[4] and not _is_time(parts[4])):
        return None
    moved = _moved(int(parts[1]), int(parts[2] or 1), int(parts[3] or 1), days)
    if moved is None:
        return None
    precision = 8 if parts[3] else 6 if parts[2] else 4
    return f"{moved:%Y%m%d}".rjust(8, "0")[:precision] + parts[4] + (parts[5] or "")


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None


def _moved(year: int, month: int, day: int, days: int) -> date | None:
    try:
        return date(year, month, day) + timedelta(days)
    except (ValueError, OverflowError):
        return None


def _time(text: str) -> str | None:
    return text if _is_time(text) else None


def _first_of_year(text: str) -> str | None:
    return f"{text[:4]}0101" if _moved_date(text, 0) else None


def _year(text: str) -> str | None:
    return text[:4] if _moved_time(text, 0) else None


def _capped_age(text: str, oldest: int) -> str | None:
    parts = _AGE.fullmatch(text)
    if not parts:
        return None
    return f"{oldest:03d}Y" if int(parts[1]) // _PER_YEAR[parts[2]] >= oldest else text
