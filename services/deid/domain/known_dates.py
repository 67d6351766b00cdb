"""A study's own dates in texts, numbers and bytes, in whatever form they are written."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, cached_property

from services.deid.domain.folding import fold
from services.deid.domain.shapes import Span, month_pattern
from services.deid.domain.words import allowed_words

#: Digits written together: a date, with the century or without it, and perhaps a time of day behind it.
_TOGETHER = re.compile(r"(?<!\d)\d{6,}")
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d\d{0,40})?)?")
_FRACTION = re.compile(r"(?:^|[^\d.])\d+\.$")
#: Three numbers, wherever a run of digits starts: places overlap.
_GAP = r"[^\S\r\n]?[-/._\\ \u5e74\u6708\ub144\uc6d4\u2010-\u2015][^\S\r\n]?"
_APART = re.compile(rf"(?<!\d)(?=((\d{{1,4}}){_GAP}(\d{{1,2}}){_GAP}['\u2019]?(\d{{1,4}})(?!\d)))")
#: The same with the century as Exif has it (2021:09:03), and with commas: two digits would be a time of day, or a list.
_LISTED = re.compile(r"(?<!\d)(?=((\d{4})([:,])(\d{2})\3(\d{2})(?!\d)))")
_DIGITS = re.compile(rb"(?<!\d)(?:18|19|20)\d{6,}")
_LETTERS = re.compile(r"[^\W\d_]+")
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_NUMERAL = re.compile(
    rf"(?<!\d)(?=((\d{{1,4}})[-/. ]{{1,2}}({'|'.join(_ROMAN)})[-/. ]{{1,2}}(\d{{1,4}})(?!\d)))", re.IGNORECASE
)

_Day = tuple[str, int, int]


class WrittenDates:
    """Dates of one study, each eight digits (yyyymmdd), searched for as they are written."""

    def __init__(self, dates: Iterable[str]) -> None:
        self.dates = frozenset(dates)
        self._days: set[_Day] = set()
        for date in self.dates:
            month, day = int(date[4:6]), int(date[6:])
            self._days |= {(date[:4], month, day), (date[2:4], month, day)}

    @cached_property
    def together(self) -> frozenset[str]:
        """The forms of eight and of six digits: any order of year, month and day."""
        orders = ((d[:4], d[4:6], d[6:]) for d in self.dates)
        every = ((y + m + d, d + m + y, m + d + y) for y, m, d in orders)
        short = ((d[2:], d[6:] + d[4:6] + d[2:4], d[4:] + d[2:4]) for d in self.dates)
        return frozenset(form for forms in (*every, *short) for form in forms)

    def spans(self, text: str) -> Iterator[Span]:
        """Where ``text`` has any of them, with a time of day that is written together with it."""
        if not self.dates:
            return
        text = text if text.isascii() else "".join(map(_plain, text))
        for run in _TOGETHER.finditer(text):
            if self.begins(run.group()) and (len(run.group()) > 7 or not _is_of_decimal(text, run.span())):
                yield run.span()
        yield from self._apart(text)
        if _has_month(text):
            yield from self._named(text)

    def begins(self, digits: str) -> bool:
        """True for a date and nothing behind it but a time of day; 91986010 holds none."""
        if digits in self.together:
            return True
        longer = digits[:8] in self.dates and _TIME.fullmatch(digits[8:])
        return bool(longer) or (len(digits) == 12 and digits[:6] in self.together and bool(_TIME.fullmatch(digits[6:])))

    def in_bytes(self, encoded: bytes) -> bool:
        """True when an encoded header has one as DICOM writes it: yyyymmdd, and perhaps a time of day."""
        return bool(self.dates) and any(self.begins(found.group().decode()) for found in _DIGITS.finditer(encoded))

    def _apart(self, text: str) -> Iterator[Span]:
        for found in _APART.finditer(text):
            if not self._days.isdisjoint(_readings(*found.group(2, 3, 4))) and not _is_version(text, found):
                yield found.span(1)
        for found in _LISTED.finditer(text):
            if (found[2], int(found[4]), int(found[5])) in self._days:
                yield found.span(1)
        for found in _NUMERAL.finditer(text):
            month = _ROMAN.index(found[3].lower()) + 1
            if not self._days.isdisjoint(((found[2], month, int(found[4])), (found[4], month, int(found[2])))):
                yield found.span(1)

    def _named(self, text: str) -> Iterator[Span]:
        for pattern in _with_names():
            for found in pattern.finditer(text):
                months = _months()[fold(found["month"]).rstrip(".")]
                if any((found["year"], month, int(found["day"])) in self._days for month in months):
                    yield found.span(1)


def _plain(letter: str) -> str:
    """Digits of other scripts as ASCII's."""
    return str(unicodedata.decimal(letter)) if letter.isdecimal() else letter


def _readings(first: str, second: str, third: str) -> Iterator[_Day]:
    """What three numbers may be as year, month and day."""
    if len(first) in (2, 4) and len(third) <= 2:
        yield first, int(second), int(third)
    if len(first) <= 2 and len(third) in (2, 4):
        yield third, int(second), int(first)
        yield third, int(first), int(second)


def _is_of_decimal(text: str, span: Span) -> bool:
    """True for six or seven digits that are the whole or the fraction of a decimal."""
    start, end = span
    whole = text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit()
    return whole or _FRACTION.search(text[max(0, start - 40) : start]) is not None


def _is_version(text: str, found: re.Match[str]) -> bool:
    """True for small numbers with stops among more of them: 1.3.1.86 is a version and no third of January."""
    if max(len(found[2]), len(found[4])) == 4:
        return False
    start, end = found.span(1)
    return text[start - 1 : start] == "." or (text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit())


def _has_month(text: str) -> bool:
    return any(map(str.isdigit, text)) and not _months().keys().isdisjoint(_LETTERS.findall(fold(text)))


@cache
def _months() -> dict[str, frozenset[int]]:
    """The months that a name stands for."""
    found: dict[str, set[int]] = {}
    for number, names in enumerate(allowed_words().months, 1):
        for name in names:
            found.setdefault(name, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in found.items()}


@cache
def _with_names() -> tuple[re.Pattern[str], ...]:
    """Three numbers, of which the month is a name: day or month first, or the year."""
    month = rf"(?P<month>{month_pattern(tuple(_months()))})(?![^\W\d_])"
    day, wide = r"(?P<day>\d{1,2})(?!\d)", r"(?:st|nd|rd|th|er)?[-/., _]{0,3}(?:(?:de|of) )?"
    year = r"['\u2019]?(?P<year>(?:\d\d)?\d\d)(?!\d)"
    forms = (rf"(?<!\d){day}{wide}{month}{wide}{year}", rf"(?<!\d){year}{wide}{month}{wide}{day}")
    behind = rf"(?<![^\W\d_]){month}{wide}{day}{wide}{year}"
    return tuple(re.compile(f"(?=({form}))", re.IGNORECASE) for form in (*forms, behind))
