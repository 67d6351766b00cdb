"""The names and numbers that a study's own headers hold, in the forms in which texts repeat them."""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from typing import TypeVar, cast

from services.deid.domain.dataset import TooMuch
from services.deid.domain.folding import fold, fold_letter
from services.deid.domain.known_dates import WrittenDates
from services.deid.domain.known_numbers import KnownNumbers
from services.deid.domain.known_values import SEPARATORS, SHORTEST, Kind, Needle, Noted, needles_of
from services.deid.domain.shapes import Span

#: Texts that are longer are not compared letter by letter.
LONGEST = 256 * 1024

#: More than this names no patient.
_MOST_NEEDLES, _MOST_DATES = 4096, 4096
#: So many zeros before a number are looked past.
_ZEROS = 40
#: Answers are remembered for texts of so many letters, and so many of them.
_REMEMBERED, _MOST_ANSWERS = 128, 1024
#: What stands before the fraction of a decimal, but not within 1.2.840.
_DECIMAL = re.compile(r"(?:^|[^\d.])\d+\.$")


Answer = TypeVar("Answer")


class Known:
    """Searches texts for the needles; keeps what was found out about short ones, since a study repeats them."""

    def __init__(self, needles: Iterable[Needle], dates: Iterable[str]) -> None:
        """The needles, and the dates of eight digits each."""
        self.needles = tuple(sorted(set(needles), key=lambda one: (one.text, one.kind.name)))
        self.dates = WrittenDates(dates)
        self._answers: dict[tuple[object, str], object] = {}

    def within(self, text: str) -> bool:
        """True when ``text`` has any of them."""
        return self.remember((bool, text), self._within)

    @cached_property
    def numbers(self) -> KnownNumbers:
        """What tells in numeric values."""
        return KnownNumbers(self.needles, self.dates)

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
        yield from self.dates.spans(text)
        folded = fold(text)
        squeezed = SEPARATORS.sub("", folded)
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
            self.at.extend([index] * len(SEPARATORS.sub("", fold_letter(letter))))

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
        gap = max(map(len, SEPARATORS.findall(text, start, end)), default=0)
        if needle.kind is Kind.TAIL:
            return gap <= 2 and not text[end : end + 1].isdigit()
        if needle.kind is Kind.NUMBER:
            return gap <= (3 if length > 5 else 0) and (not needle.text.isdigit() or self._whole(length, span))
        if needle.kind is Kind.PLACE and needle.text.isdecimal():
            return self._is_code(needle.text, span)
        alone = not text[start - 1 : start].isalpha() and not text[end : end + 1].isalpha()
        if needle.kind is Kind.JOINED:
            return gap <= 3 and alone
        if needle.kind is Kind.PLACE:
            return gap <= 1 and alone
        if length <= SHORTEST:
            return gap == 0 and (alone or not needle.text.isascii())
        if length <= 5:
            return gap <= 1 and not any(map(str.isspace, text[start:end]))
        return gap <= (3 if length > 9 else 1)

    def _is_code(self, digits: str, span: Span) -> bool:
        """True for a postal code, which has no zeros before it, and at most a hyphen in it."""
        start, end = span
        plain = self.text[start:end].replace("-", "") == digits
        return plain and self.text[start - 1 : start] != "0" and self._whole(len(digits), span)

    def _whole(self, length: int, span: Span) -> bool:
        """True for a number that stands alone or between stops, as in 12345.2 and 1.2.12345.7, whatever zeros it has
        before it.

        Digits within a longer number prove nothing (1234 in 91234567), nor do up to seven as the fraction of a decimal
        (0.4711).
        """
        start, end = span
        before = self.text[max(0, start - _ZEROS) : start].rstrip("0")
        if before[-1:].isdigit() or self.text[end : end + 1].isdigit():
            return False
        return length >= 8 or _DECIMAL.search(before) is None


@lru_cache(16)
def known(noted: frozenset[Noted], dates: frozenset[str], common_words: frozenset[str]) -> Known:
    """What these values and dates give to search for, TooMuch when it is more than names a patient; made once for a
    study."""
    needles: set[Needle] = set()
    for one in noted:
        needles.update(needles_of(one, common_words))
        if len(needles) > _MOST_NEEDLES or len(dates) > _MOST_DATES:
            raise TooMuch
    return Known(needles, dates)
