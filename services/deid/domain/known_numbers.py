"""A study's own numbers and dates where values are numbers, most of which are measures."""

import math
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property

from services.deid.domain.known_dates import WrittenDates
from services.deid.domain.known_values import Kind, Needle

#: A shorter number is a measure: Window Center 1024 is no Study ID. Of dates those of eight digits count, not 260131.
_SHORTEST = 6
#: A component of a UID that is shorter is an arc of somebody's registration, such as 1107.
_SHORTEST_ARC = 5
_CODES = {"FD": "d", "FL": "f", "SL": "i", "SV": "q", "UL": "I", "UV": "Q"}  # two bytes hold no such number
#: Of larger ones a float of four bytes has no whole parts.
_LARGEST = 10**24
_TIMED = re.compile(r"\d{8}(?:[01]\d|2[0-3])[0-5]\d")


class KnownNumbers:
    """Numbers that tell by themselves: identifiers of six digits and more, and whole dates in any order."""

    def __init__(self, needles: Iterable[Needle], dates: WrittenDates) -> None:
        """The needles of a study, of which those of letters are left out, and its dates."""
        whole = (needle.text for needle in needles if needle.kind in (Kind.NUMBER, Kind.TAIL))
        self._arcs = {text.lstrip("0") for text in whole if text.isdecimal() and text.isascii()}
        self._dates = dates
        telling = (int(text) for text in self._arcs if len(text) >= _SHORTEST)
        self._numbers = {*telling, *(int(date) for date in dates.together if len(date) == 8)}

    def in_decimals(self, value: str) -> bool:
        """True when the whole part of any value of a DS or IS is one: 20260131, 20260131.0 or 2.0260131e7."""
        return any(map(self._is_known, filter(None, map(_whole, value.split("\\")))))

    def in_binary(self, value: bytes, vr: str) -> bool:
        """True when the whole part of any value of ``vr`` is one, in whatever order its bytes stand."""
        return bool(self._numbers) and not self._stored.isdisjoint(_values(value, _CODES.get(vr, "")))

    def in_uid(self, uid: str) -> bool:
        """True when a component (PS3.5 section 9.1) is one of five digits and more, or begins with a date: alone, or
        with a time of day behind it; or when three of them are a date with its century."""
        arcs = uid.split(".")
        return self._has_day(arcs) or any(
            (len(arc) >= _SHORTEST_ARC and arc in self._arcs)
            or (arc[:8] in self._dates.dates and (len(arc) == 8 or _TIMED.match(arc) is not None))
            for arc in arcs
        )

    def _has_day(self, arcs: list[str]) -> bool:
        """Whether three components side by side are a date in any order; of 1.3.12 nobody can say it."""
        return any(
            any(len(arc) == 4 for arc in (first, third)) and any(self._dates.spans(f"{first}-{second}-{third}"))
            for first, second, third in zip(arcs, arcs[1:], arcs[2:], strict=False)
        )

    def _is_known(self, whole: int) -> bool:
        return whole in self._numbers or (len(str(whole)) > 8 and self._dates.begins(str(whole)))

    @cached_property
    def _stored(self) -> set[int]:
        """The numbers, also as floats of four and eight bytes round them."""
        found = set(self._numbers)
        for number in self._numbers:
            if number < _LARGEST:
                found |= {int(struct.unpack("<f", struct.pack("<f", number))[0]), int(float(number))}
        return found


def _whole(text: str) -> int | None:
    """The whole part without its sign; None where there is none, and of what no DS may hold (PS3.5 section 6.2)."""
    plain = text.strip(" \0+-")
    if plain.isdecimal():
        return int(plain) if len(plain) <= 64 else None
    with suppress(ValueError):
        number = abs(float(plain))
        return int(number) if math.isfinite(number) and number < _LARGEST else None
    return None


def _values(value: bytes, code: str) -> Iterator[int]:
    """The whole parts of numbers, read in both byte orders."""
    size = struct.calcsize(f"<{code}") if code else 0
    for order in "<>" if size else "":
        for number in struct.unpack(f"{order}{len(value) // size}{code}", value[: len(value) // size * size]):
            if code not in "fd" or (math.isfinite(number) and abs(number) < _LARGEST):
                yield abs(int(number))
