"""FHIR dates as ranges of milliseconds, and what the prefixes of a search say of them (R4 section 3.1.1.4.7)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

#: Where a period without a start begins, and one without an end ends; ABSENT stands for no date at all.
ABSENT, EARLIEST, LATEST = -(2**62), 1 - 2**62, 2**62
_DAY = 86_400_000
#: Classes of width: the widest range of each, in milliseconds, beginning with the narrowest.
WIDTHS = (_DAY, 400 * _DAY, LATEST)
PREFIXES = frozenset(("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Range:
    """Milliseconds since 1970 UTC, from ``low`` up to but without ``high``."""

    low: int
    high: int

    @property
    def width_class(self) -> int:
        """The place of the narrowest class in WIDTHS that it fits into."""
        return next(place for place, width in enumerate(WIDTHS) if self.high - self.low <= width or width == LATEST)


def read(text: str) -> Range:
    """The range that a date, dateTime or instant covers by its precision; without a zone UTC. ValueError else."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("no date")
    part = {name: int(value) for name, value in found.groupdict("1").items() if name not in ("zone", "fraction")}
    if found["hour"] is None:
        start = datetime(part["year"], part["month"], part["day"], tzinfo=UTC)
        return Range(_milliseconds(start), _milliseconds(start) + _days(found, start) * _DAY)
    second = int(found["second"] or 0)
    start = datetime(
        part["year"], part["month"], part["day"], part["hour"], part["minute"], min(second, 59), tzinfo=_zone(found)
    )
    low = _milliseconds(start) + int((found["fraction"] or "0").ljust(3, "0")[:3])
    return Range(low, low + (60_000 if found["second"] is None else 1000 if found["fraction"] is None else 1))


def _days(found: re.Match[str], start: datetime) -> int:
    if found["day"] is not None:
        return 1
    if found["month"] is not None:
        return ((start.replace(day=28) + timedelta(days=4)).replace(day=1) - start).days if start.month < 12 else 31
    return 366 if start.year % 4 == 0 and (start.year % 100 or start.year % 400 == 0) else 365


def _zone(found: re.Match[str]) -> timezone:
    text = found["zone"]
    if text in (None, "Z"):
        return UTC
    shift = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-shift if text[0] == "-" else shift)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(milliseconds: int) -> datetime:
    """The time ``milliseconds`` after 1970 UTC, cut to the years that a database knows."""
    return _EPOCH + timedelta(milliseconds=max(-62_135_596_800_000, min(milliseconds, 253_402_300_799_000)))


def covered(value: Any) -> Range | None:
    """The range of a date, Period or Timing of a resource (its outer limits); None for what is none."""
    if isinstance(value, str):
        return _lenient(value)
    if not isinstance(value, Mapping):
        return None
    if "event" in value or "repeat" in value or "code" in value:
        return _timing(value)
    start, end = _lenient(value.get("start")), _lenient(value.get("end"))
    if start is None and end is None:
        return None
    low, high = start.low if start else EARLIEST, end.high if end else LATEST
    return Range(low, max(low + 1, high))


def _timing(value: Mapping[str, Any]) -> Range | None:
    events = [found for each in value.get("event", ()) if (found := _lenient(each))]
    if events:
        return Range(min(each.low for each in events), max(each.high for each in events))
    repeat = value.get("repeat")
    return covered(repeat["boundsPeriod"]) if isinstance(repeat, Mapping) and "boundsPeriod" in repeat else None


def _lenient(text: Any) -> Range | None:
    try:
        return read(text) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Asked:
    """What one value of a search asks of a date: a prefix and a range."""

    prefix: str
    range: Range

    def lows(self, width: int) -> tuple[int, int]:
        """Between which values, both included, ``low`` of a match lies that is at most ``width`` wide."""
        low, high = self.range.low, self.range.high
        return {
            "eq": (low, high - 1),
            "ne": (EARLIEST, LATEST),
            "gt": (high - width, LATEST),
            "lt": (EARLIEST, low - 1),
            "ge": (min(low, high - width), LATEST),
            "le": (EARLIEST, high - 1),
            "sa": (high, LATEST),
            "eb": (EARLIEST, low - 1),
            "ap": (low - width, high - 1),
        }[self.prefix]


def asked(text: str, now: datetime) -> Asked:
    """The value of a date parameter; ValueError when it is none. ``now`` is what ``ap`` measures nearness from."""
    prefix, rest = (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)
    try:
        found = read(rest.replace(" ", "+"))
    except OverflowError:
        raise ValueError("no date") from None
    if prefix == "ap":  # a tenth of the distance from now, at least the precision of the value
        slack = max(abs(_milliseconds(now) - found.low) // 10, 0)
        found = Range(max(EARLIEST, found.low - slack), found.high + slack)
    return Asked(prefix, found)
