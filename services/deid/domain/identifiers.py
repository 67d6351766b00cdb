"""The identifiers of one object's own patient and case, searched for in everything that is about to go out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from services.deid.domain.dataset import Element, TooMuch
from services.deid.domain.dictionary import known_vr
from services.deid.domain.rules import Rules
from services.deid.domain.values import DUMMIES

#: Shorter strings prove nothing: they occur in technical values by chance.
SHORTEST = 4

#: More bytes of identifiers than this name no patient: a pattern takes a hundred times its length in memory.
MOST = 4096
#: So much of a header is folded at a time; two pieces share what an identifier may take.
WINDOW = 1024 * 1024

_PARTS = re.compile(rb"[\\^=,;/()\[\]<>\s\0]+")
_VALUES = re.compile(rb"\\")
#: What an earlier de-identification left in the source is no identifier of it.
_DUMMIES = frozenset(value.lower() for value in DUMMIES.values())
#: Text within binary values; longer runs of printable bytes are rare by chance.
_READABLE = re.compile(rb"[ -~]{5,}")
_SEPARATORS = re.compile(rb"[^a-z0-9\x80-\xff]+")
_LETTERS = re.compile(rb"[a-z]+")
#: The digits of new UIDs are random.
_NEW_UID = re.compile(rb"2\.25\.\d{1,39}")


@dataclass
class Identifiers:
    """Collects what names the patient while a data set is walked, then searches bytes for it, ignoring case.

    Values are compared as encoded: what stays is ASCII (values.is_harmless), and what is searched came in the same
    data set, so in the same character set.
    """

    rules: Rules
    _found: set[bytes] = field(default_factory=set)
    _uids: list[bytes] = field(default_factory=list)
    _size: int = 0
    _pattern: re.Pattern[bytes] | None = None

    def note(self, element: Element) -> None:
        """Remember the value of an element that names a person, a case or a place; TooMuch when it names too many."""
        if element.vr == "PN" or known_vr(element.tag) == "PN":
            self._add(_PARTS, element.value)
        elif element.tag in self.rules.identifying:
            self._add(_VALUES, element.value)

    def note_all(self, elements: Iterable[Element]) -> None:
        """Remember whatever identifies in these elements, at every depth."""
        for element in elements:
            self.note(element)
            for item in element.items or ():
                self.note_all(item)

    def note_uid(self, uid: str) -> None:
        """Remember an original UID."""
        if uid:
            self._uids.append(uid.encode())

    def _add(self, separator: re.Pattern[bytes], value: bytes) -> None:
        if len(value) > MOST:
            raise TooMuch
        parts = (each.strip(b" \0").lower() for each in separator.split(value))
        fresh = {part for part in parts if self._tells(part)} - self._found
        if fresh:
            self._found |= fresh
            self._size += sum(map(len, fresh))
            self._pattern = None
        if self._size > MOST:
            raise TooMuch

    def _tells(self, value: bytes) -> bool:
        """False for short strings, common words, dummies and runs of one character such as 0000."""
        short = len(value) < SHORTEST or len(set(value)) == 1
        return not (short or value in _DUMMIES or value.decode("latin-1") in self.rules.common_words)

    def in_value(self, value: bytes) -> bool:
        """True when ``value`` holds any of them, also with its separators left out."""
        pattern = self._compiled()
        if pattern is None:
            return False
        folded = value.lower()
        return pattern.search(folded) is not None or pattern.search(_squeezed(folded)) is not None

    def in_binary(self, value: bytes) -> bool:
        """True when ``value``, which should be no text, spells any of them."""
        return any(self.in_value(run.group()) for run in _READABLE.finditer(value))

    def in_header(self, header: bytes) -> bool:
        """True when an encoded header holds any of them; within UIDs, which are new, only whole ones count."""
        if any(_stands_alone(uid, header) for uid in self._uids):
            return True
        pattern = self._compiled()
        return pattern is not None and any(pattern.search(piece) for piece in _pieces(header))

    def _compiled(self) -> re.Pattern[bytes] | None:
        if self._pattern is None and self._found:
            self._pattern = re.compile(b"|".join(sorted(map(_expression, self._spellings()), reverse=True)))
        return self._pattern

    def _spellings(self) -> Iterator[bytes]:
        for value in self._found:
            yield value
            squeezed = _squeezed(value)
            if squeezed != value and self._tells(squeezed):
                yield squeezed


def _pieces(header: bytes) -> Iterator[bytes]:
    """All that stands between new UIDs, folded."""
    start = 0
    for found in _NEW_UID.finditer(header):
        yield from _windows(header, start, found.start())
        start = found.end()
    yield from _windows(header, start, len(header))


def _windows(header: bytes, start: int, end: int) -> Iterator[bytes]:
    """Bytes ``start`` to ``end`` in pieces of bounded size, each identifier whole in one, with what is around it."""
    while start < end:
        stop = min(end, start + WINDOW)
        yield header[start:stop].lower()
        start = stop if stop == end else stop - MOST - 2


def _stands_alone(uid: bytes, header: bytes) -> bool:
    """True when ``uid`` is in ``header`` and not only as part of a longer one."""
    at = header.find(uid)
    while at >= 0:
        around = header[at - 1 : at] + header[at + len(uid) : at + len(uid) + 1]
        if not any(each in b".0123456789" for each in around):
            return True
        at = header.find(uid, at + 1)
    return False


def _expression(value: bytes) -> bytes:
    """Digits must not be part of a longer number, and four letters not part of a longer word."""
    escaped = re.escape(value)
    if value.isdigit():
        return rb"(?<![\d.])" + escaped + rb"(?![\d.])" if len(value) < 8 else rb"(?<!\d)" + escaped + rb"(?!\d)"
    if len(value) == SHORTEST and _LETTERS.fullmatch(value):
        return rb"(?<![a-z])" + escaped + rb"(?![a-z])"
    return escaped


def _squeezed(value: bytes) -> bytes:
    """Letters and digits alone: 12-345/67 is the same number as 1234567."""
    return _SEPARATORS.sub(b"", value)
