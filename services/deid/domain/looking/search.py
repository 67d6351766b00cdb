"""Needles made ready to be searched for: in decoded texts, in numbers, in bytes."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from services.deid.domain.looking.needles import Needles
from services.deid.domain.looking.text import spellings

#: In pixels, in numbers and with their separators left out shorter strings stand by chance.
LONG = 6
_SHORTEST = 4
_SEPARATORS = re.compile(r"[\W_]+")
_DIGITS = re.compile(rf"[0-9]{{{LONG},}}")
_NUMBER = re.compile(r"[+-]?0*([0-9]*)")
_UID = re.compile(r"(?<![\d.])[012](?:\.\d+){2,}")
_UID_BYTES = re.compile(rb"(?<![\d.])[012](?:\.\d+){2,}")
#: The digits of long UIDs are no number of anybody's.
_LONG_UID = re.compile(r"(?<![\d.])[012](?=[\d.]{19})(?:\.\d+){2,}")
#: A date, maybe with the time (PS3.5 section 6.2: DA, DT); and dates as people write them.
_COMPACT = re.compile(r"(?<!\d)([0-9]{8})(?:[0-9]{4}(?:[0-9]{2})?)?(?!\d)")
_YEAR_FIRST = re.compile(r"(?<!\d)([0-9]{4})[-/. ]([0-9]{1,2})[-/. ]([0-9]{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4})(?!\d)")


class Patterns:
    """Texts and dates made ready; ``kinds`` and ``spelled`` say of which kind a text and its bytes are.

    UIDs, which need no making ready and are others in each object, are told with each question.
    """

    def __init__(self, texts: dict[str, str], dates: frozenset[str]) -> None:
        self.kinds = texts
        self.dates = dates
        squeezed = {_squeezed(text): kind for text, kind in texts.items()}
        self.squeezed = {text: kind for text, kind in squeezed.items() if len(text) >= LONG and not text.isalpha()}
        self.text = _compiled(texts)
        runs = {run: kind for text, kind in squeezed.items() for run in _DIGITS.findall(text)}
        self.numbers = {run.lstrip("0"): kind for run, kind in runs.items()} | dict.fromkeys(dates, "date")
        self.numbers = {digits: kind for digits, kind in self.numbers.items() if len(digits) >= LONG}
        self._significant = {digits.rstrip("0") for digits in self.numbers}
        spelled = {each: kind for text, kind in texts.items() for each in spellings(text)}
        spelled |= {each: "date" for date in dates for each in _dates_spelled(date)}
        self.spelled = {each: kind for each, kind in spelled.items() if len(each) >= _SHORTEST}
        self.bytes = _compiled_bytes(self.spelled)
        self.long = [each for each in spelled if len(each) >= LONG and each.isascii() and b"\0" not in each]
        self.longest = max(map(len, self.spelled), default=0)

    def in_text(self, text: str, uids: frozenset[str]) -> Iterator[str]:
        """The kinds of what stands in a decoded text, in lower case."""
        if not text:
            return
        for found in _UID.findall(text):
            if found in uids:
                yield "uid"
        plain = _LONG_UID.sub(" ", text)
        if self.text:
            yield from (self.kinds[found] for found in self.text.findall(plain))
        if self.squeezed:
            yield from self._in_squeezed(_squeezed(plain))
        if self.dates and not self.dates.isdisjoint(_dates_in(plain)):
            yield "date"

    def _in_squeezed(self, text: str) -> Iterator[str]:
        for needle, kind in self.squeezed.items():
            if needle in text and not _in_number(needle, text):
                yield kind

    def in_numbers(self, value: str) -> Iterator[str]:
        """The kinds of what whole numbers in a value of IS or DS say, however they are written."""
        plain = value.replace(".", "")
        if not any(digits in plain for digits in self._significant):
            return
        for part in value.split("\\"):
            digits = whole(part.strip(" \0"))
            if digits in self.numbers:
                yield self.numbers[digits]
            elif self.dates and not self.dates.isdisjoint(_COMPACT.findall(digits)):
                yield "date"

    def in_bytes(self, lower: bytes, uids: frozenset[str]) -> Iterator[tuple[int, str]]:
        """Where in bytes, made lower case, any of it stands, and of which kind it is."""
        if self.bytes:
            for match in self.bytes.finditer(lower):
                yield match.start(), self.spelled[match.group()]
        for match in _UID_BYTES.finditer(lower) if uids else ():
            if match.group().decode() in uids:
                yield match.start(), "uid"


def patterns_of(needles: Needles) -> Patterns:
    """The instances of a study mostly have the same needles: what is made of them is kept for the next."""
    return _patterns(tuple(needles.texts.items()), needles.dates)


@lru_cache(maxsize=8)
def _patterns(texts: tuple[tuple[str, str], ...], dates: frozenset[str]) -> Patterns:
    return Patterns(dict(texts), dates)


def whole(text: str) -> str:
    """The digits of a whole number without sign and zeros in front, "" for any other (PS3.5 section 6.2: DS, IS)."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        try:
            number = float(text)
        except ValueError:
            return ""
        return str(int(abs(number))) if abs(number) < 1e16 and number.is_integer() else ""
    return found.group(1)


def _in_number(needle: str, text: str) -> bool:
    """Whether a needle of digits is everywhere part of a longer number."""
    return needle.isdigit() and not re.search(rf"(?<!\d){needle}(?!\d)", text)


def _dates_in(text: str) -> Iterator[str]:
    """The dates in a text as eight digits; where day and month may be either, both ways."""
    yield from _COMPACT.findall(text)
    for year, month, day in _YEAR_FIRST.findall(text):
        yield f"{year}{month:0>2}{day:0>2}"
    for one, other, year in _YEAR_LAST.findall(text):
        yield f"{year}{other:0>2}{one:0>2}"
        yield f"{year}{one:0>2}{other:0>2}"


def _dates_spelled(date: str) -> Iterator[bytes]:
    """A date in bytes: as DA has it, and with year or day in front."""
    year, month, day = date[:4], date[4:6], date[6:]
    written = [gap.join(order) for gap in "-/." for order in ((year, month, day), (day, month, year))]
    for text in (date, *written):
        yield from (text.encode(codec) for codec in ("ascii", "utf_16_le", "utf_16_be"))


def _compiled(texts: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(_expression, longest_first))) if longest_first else None


def _expression(text: str) -> str:
    """Numbers not within longer ones, short words not within longer ones."""
    escaped = re.escape(text)
    if text.isdigit():
        return rf"(?<![\w.]){escaped}(?![\w.])" if len(text) < 8 else rf"(?<!\d){escaped}(?!\d)"
    return rf"(?<![^\W\d_]){escaped}(?![^\W\d_])" if text.isalpha() and len(text) <= 5 else escaped


def _compiled_bytes(spelled: Iterable[bytes]) -> re.Pattern[bytes] | None:
    longest_first = sorted(spelled, key=len, reverse=True)
    return re.compile(b"|".join(map(_bytes_expression, longest_first))) if longest_first else None


def _bytes_expression(spelling: bytes) -> bytes:
    escaped = re.escape(spelling)
    if spelling.isdigit():
        bounds = (rb"(?<![\w.])", rb"(?![\w.])") if len(spelling) < 8 else (rb"(?<!\d)", rb"(?!\d)")
        return bounds[0] + escaped + bounds[1]
    if spelling.isalpha() and len(spelling) <= 5:
        return rb"(?<![a-z])" + escaped + rb"(?![a-z])"
    return escaped


def _squeezed(text: str) -> str:
    """Letters and digits alone: 12-345/67 is the same number as 1234567."""
    return _SEPARATORS.sub("", text)
