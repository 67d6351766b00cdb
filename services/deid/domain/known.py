"""The names and numbers that a study's own header holds, in the forms in which texts repeat them."""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple, TypeVar, cast

from services.deid.domain.charset import decode
from services.deid.domain.dataset import TooMuch
from services.deid.domain.folding import fold, fold_letter, name_spellings
from services.deid.domain.shapes import Span, month_pattern
from services.deid.domain.words import allowed_words

#: Shorter strings prove nothing: they occur in technical values by chance.
SHORTEST = 4
#: Texts that are longer are not compared letter by letter.
LONGEST = 256 * 1024

#: So many parts of one name are joined to pairs.
_JOINED = 6
#: More than this names no patient.
_MOST_NEEDLES, _MOST_DATES = 4096, 32
#: So many zeros before a number are looked past.
_ZEROS = 40
#: Answers are remembered for texts of so many letters, and so many of them.
_REMEMBERED, _MOST_ANSWERS = 128, 1024
_PHONES = frozenset((0x00102154, 0x00080094, 0x00401103))
_SEPARATORS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d{6,}")
_PARTS = re.compile(r"[\\^=,;/()\[\]<>\s\0.]+")


Answer = TypeVar("Answer")


class Kind(StrEnum):
    """What a needle is made of, which decides what counts as finding it."""

    NAME = "name"
    JOINED = "joined"  # two parts of a name, side by side
    NUMBER = "number"
    TAIL = "tail"  # the end of a longer number


class Noted(NamedTuple):
    """A value of an identifying attribute as it is encoded."""

    tag: int
    vr: str
    value: bytes
    charsets: tuple[str, ...]


class Needle(NamedTuple):
    """Letters and digits, folded, and what they are."""

    text: str
    kind: Kind


class Known:
    """Searches texts for the needles; keeps what was found out about short ones, since a study repeats them."""

    def __init__(self, needles: Iterable[Needle], dates: str) -> None:
        """The needles, and a pattern of the dates, "" for none."""
        self.needles = tuple(sorted(set(needles), key=lambda one: (one.text, one.kind.name)))
        self.dates = re.compile(dates, re.IGNORECASE) if dates else None
        self._answers: dict[tuple[object, str], object] = {}

    def within(self, text: str) -> bool:
        """True when ``text`` has any of them."""
        return self.remember((bool, text), self._within)

    def _within(self, text: str) -> bool:
        return next(self.spans(text), None) is not None

    def remember(self, question: tuple[object, str], answer: Callable[[str], Answer]) -> Answer:
        """What ``answer`` says of the text of a question (who asks, text), remembered when it is short."""
        found = self._answers.get(question)
        if found is None:
            found = answer(question[1])
            if len(question[1]) <= _REMEMBERED:
                if len(self._answers) >= _MOST_ANSWERS:
                    self._answers.clear()
                self._answers[question] = found
        return cast("Answer", found)

    def spans(self, text: str) -> Iterator[Span]:
        """Where ``text`` has any of them; all of it when it is too long to tell."""
        if self.dates:
            yield from (found.span() for found in self.dates.finditer(text))
        folded = fold(text)
        squeezed = _SEPARATORS.sub("", folded)
        present = [needle for needle in self.needles if needle.text in squeezed]
        if present and len(text) > LONGEST:
            yield 0, len(text)
        elif present:
            yield from _Places(text, squeezed).of(present)


class _Places:
    """Positions in a squeezed text as those in the text."""

    def __init__(self, text: str, squeezed: str) -> None:
        self.text, self.squeezed = text, squeezed
        self.at = array("I")
        for index, letter in enumerate(text):
            self.at.extend([index] * len(_SEPARATORS.sub("", fold_letter(letter))))

    def of(self, needles: Iterable[Needle]) -> Iterator[Span]:
        for needle in needles:
            start = self.squeezed.find(needle.text)
            while start >= 0:
                end = start + len(needle.text)
                span = self.at[start], self.at[end - 1] + 1
                if self._counts(needle, span):
                    yield span
                start = self.squeezed.find(needle.text, start + 1)

    def _counts(self, needle: Needle, span: Span) -> bool:
        """True where the letters stand close enough together and are no part of something longer."""
        text, (start, end) = self.text, span
        length = len(needle.text)
        gap = max(map(len, _SEPARATORS.findall(text, start, end)), default=0)
        if needle.kind is Kind.TAIL:
            return gap <= 2 and not text[end : end + 1].isdigit()
        if needle.kind is Kind.NUMBER:
            return gap <= (3 if length > 5 else 0) and (not needle.text.isdigit() or self._whole(length, span))
        alone = not text[start - 1 : start].isalpha() and not text[end : end + 1].isalpha()
        if needle.kind is Kind.JOINED:
            return gap <= 3 and alone
        if length <= SHORTEST:
            return gap == 0 and (alone or not needle.text.isascii())
        if length <= 5:
            return gap <= 1 and not any(map(str.isspace, text[start:end]))
        return gap <= (3 if length > 9 else 1)

    def _whole(self, length: int, span: Span) -> bool:
        """True for a number that is no part of a longer one; zeros before it do not matter."""
        start, end = span
        before, after = self.text[max(0, start - _ZEROS) : start].rstrip("0"), self.text[end : end + 2]
        if before[-1:].isdigit() or after[:1].isdigit():
            return False
        fraction = (before[-1:] == "." and before[-2:-1].isdigit()) or (after[:1] == "." and after[1:].isdigit())
        return length >= 8 or not fraction


@lru_cache(16)
def known(noted: frozenset[Noted], common_words: frozenset[str]) -> Known:
    """What these values give to search for, TooMuch when it is more than names a patient; made once for a study."""
    needles: set[Needle] = set()
    dates = []
    for tag, vr, value, charsets in noted:
        text = decode(value, charsets).strip(" \0")
        if vr == "PN":
            needles.update(_names(text, common_words))
        elif vr in ("DA", "DT"):
            dates += [_date(each) for each in text.split("\\") if re.match(r"(?:18|19|20)\d{6}", each)]
        else:
            needles.update(each for one in text.split("\\") for each in _numbers(one, tag, common_words))
        if len(needles) > _MOST_NEEDLES or len(dates) > _MOST_DATES:
            raise TooMuch
    return Known(needles, "|".join(sorted(set(dates))))


def _numbers(text: str, tag: int, common_words: frozenset[str]) -> Iterator[Needle]:
    """A number with and without its letters and leading zeros; a value without digits, such as a place, as it is."""
    squeezed = _SEPARATORS.sub("", fold(text))
    if not tells(squeezed, common_words):
        return
    if squeezed.isalpha():
        yield Needle(squeezed, Kind.NAME)
        return
    yield Needle(squeezed, Kind.NUMBER)
    if len(short := squeezed.lstrip("0")) > SHORTEST and tells(short, common_words):
        yield Needle(short, Kind.NUMBER)
    if len(squeezed) < 24:  # an address is no number
        yield from (Needle(each.lstrip("0"), Kind.NUMBER) for each in _DIGITS.findall(squeezed) if len(set(each)) > 2)
    if tag in _PHONES and squeezed.isdigit() and len(squeezed) > 8:
        yield Needle(squeezed[-7:], Kind.TAIL)


def tells(value: str, common_words: frozenset[str]) -> bool:
    """False for short strings, common words and runs of one character such as 0000; two ideographs are a name."""
    long = len(value) >= (SHORTEST if value.isascii() or value[:1] < "\u0590" else 2)
    return long and len(set(value)) > 1 and value not in common_words


def _names(text: str, common_words: frozenset[str]) -> Iterator[Needle]:
    """The parts of each name, and any two of a name's parts joined, in both orders and with an initial for one."""
    titles = allowed_words().titles
    for name in re.split(r"[\\=]", text):
        parts = [part for part in _PARTS.split(name) if part and fold(part) not in titles][: 4 * _JOINED]
        spelled = [{_SEPARATORS.sub("", each) for each in name_spellings(part)} for part in parts]
        for spellings in spelled:
            yield from (Needle(each, Kind.NAME) for each in spellings if tells(each, common_words))
        for first, second in permutations(spelled[:_JOINED], 2):
            if not (first <= common_words and second <= common_words):
                yield from _joined(first, second)


def _joined(first: set[str], second: set[str]) -> Iterator[Needle]:
    for one in first:
        for other in second:
            for joined in (one + other, one[:1] + other, one + other[:1]):
                if len(joined) >= SHORTEST - 1 and not (len(one) == 1 == len(other)):
                    yield Needle(joined, Kind.JOINED)


def _date(date: str) -> str:
    """A pattern of one date (yyyymmdd) as it is written: any order, two or four digits of the year, or its month."""
    year, month, day = date[:4], int(date[4:6]), int(date[6:8])
    if not 1 <= month <= 12:
        return rf"(?<!\d){date[:8]}(?!\d)"
    name = month_pattern(allowed_words().months[month - 1])
    years, day_, month_ = rf"(?:{year[:2]})?{year[2:]}", rf"0?{day}", rf"0?{month}"
    gap, wide = r"\s?[-/. ]\s?", r"(?:st|nd|rd|th|er)?[-/., ]{0,3}(?:de |of )?"
    dd, mm = f"{day:02}", f"{month:02}"
    forms = (
        f"{date[:8]}|{dd}{mm}{year}|{mm}{dd}{year}|{date[2:8]}|{dd}{mm}{year[2:]}",
        rf"{years}{gap}{month_}{gap}{day_}",
        rf"{day_}{gap}{month_}{gap}{years}",
        rf"{month_}{gap}{day_}{gap}{years}",
        rf"{day_}{wide}{name}{wide}{years}",
        rf"{name}{wide}{day_}{wide}{years}",
    )
    return rf"(?<![\d.])(?:{'|'.join(forms)})(?!\d)"
