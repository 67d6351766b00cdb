"""The identifiers of one object's own patient and case, searched for in everything that is about to go out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from services.deid.domain.charset import SPECIFIC_CHARACTER_SET, charsets_of, decode, encode
from services.deid.domain.dataset import Element, TooMuch
from services.deid.domain.dictionary import is_registered, known_vr, tags_of
from services.deid.domain.known import Known, known
from services.deid.domain.known_values import SHORTEST, Noted, parts_of
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.rules import Rules
from services.deid.domain.shapes import Span
from services.deid.domain.terms import without_terms
from services.deid.domain.values import DUMMIES

#: More bytes of identifiers than this name no patient: a pattern takes a hundred times its length in memory.
MOST = 4096
#: So much of a header is folded at a time; two pieces share what an identifier may take.
WINDOW = 1024 * 1024

_PARTS = re.compile(rb"[\\^=,;/()\[\]<>\s\0]+")
_NAMED = frozenset(("PN", "DA", "DT"))
#: What an earlier de-identification left in the source is no identifier of it.
_DUMMIES = frozenset(value.lower() for value in DUMMIES.values())
#: Text within binary values; longer runs of printable bytes are rare by chance.
_READABLE = re.compile(rb"[ -~]{5,}")
_SEPARATORS = re.compile(rb"[^a-z0-9\x80-\xff]+")
_LETTERS = re.compile(rb"[a-z]+")
#: The digits of new UIDs are random, and those of the standard's own are nobody's.
_NO_ONES_UID = re.compile(rb"2\.25\.\d{1,39}|1\.2\.840\.10008(?:\.\d{1,9}){1,12}")
#: A date as DICOM writes it, and as ACR-NEMA did; what stands behind it is a time of day.
_DATE = re.compile(rb"((?:18|19|20)\d\d)(\.?)(\d\d)\2(\d\d)")
#: Characters of the longer form.
_DAY = 10
_FRACTION = re.compile(rb"(?:^|[^\d.])\d+\.$")


@dataclass
class Identifiers:
    """Collects what names the patient while a data set is walked, then searches text and bytes for it.

    Texts are compared as they are decoded, whatever their case, accents and separators (known.py); encoded headers as
    bytes, ignoring the case of ASCII and with the cases of other letters written out. A ``recognizer`` finds names in
    free text that no header has.
    """

    rules: Rules
    recognizer: Recognizer | None = None
    _noted: set[Noted] = field(default_factory=set)
    _found: set[bytes] = field(default_factory=set)
    _uids: list[bytes] = field(default_factory=list)
    _dates: set[str] = field(default_factory=set)
    _retained: set[str] = field(default_factory=set)
    _size: int = 0
    _pattern: re.Pattern[bytes] | None = None
    _known: Known | None = None
    _made: bytes = b""

    def note(self, element: Element, charsets: tuple[str, ...] = ()) -> None:
        """Remember the value of an element that names a person, a case or a place; TooMuch when it names too many."""
        if not element.value:
            return
        if element.vr == "PN" or element.tag in tags_of("PN"):
            noted = Noted(0, "PN", element.value, charsets)
            self._add(noted, _names_in(noted))
            return
        if _is_date(element):
            self._note_dates(element)
        if self._identifies(element.tag):
            noted = Noted(element.tag, known_vr(element.tag) or element.vr, element.value, charsets)
            if element.tag in self.rules.places:
                self._add(noted._replace(place=True), ())
            if element.tag in self.rules.identifying:
                self._add(noted, (part for each in _encodings(noted) for part in each.split(b"\\")))

    def note_all(self, elements: Iterable[Element], charsets: tuple[str, ...] = ()) -> None:
        """Remember whatever identifies in these elements, at every depth; an item may have character sets of its own
        (PS3.3 section C.12.1.1.2)."""
        elements = tuple(elements)
        charsets = charsets_of(elements, charsets)
        people, temporal, searched = tags_of("PN"), _temporal(), self.rules.searched
        for element in elements:
            tag, vr, _, items = element
            if tag in searched or tag in people or tag in temporal or vr in _NAMED:
                self.note(element, charsets)
            for item in items or ():
                self.note_all(item, charsets)

    def heeded(self, element: Element) -> Element | None:
        """The element as far as ``note_all`` heeds it: without times of day, in items nothing but what it looks at."""
        tag, vr, value, items = element
        if items is not None:
            heeded = tuple(tuple(filter(None, map(self._heeded_within, item))) for item in items)
            is_heeded = any(each.tag != SPECIFIC_CHARACTER_SET for item in heeded for each in item)
            return element._replace(items=heeded) if is_heeded else None
        if vr == "PN" or tag in tags_of("PN") or self._identifies(tag):
            return element
        if not _is_date(element) or tag not in self.rules.rows:
            return None
        return element._replace(value=b"\\".join(each[:_DAY] for each in value.split(b"\\")))

    def _identifies(self, tag: int) -> bool:
        """Whether an attribute that is no date names the patient, a case or a place, whatever its VR says."""
        return tag in self.rules.searched and tag not in _temporal()

    def _heeded_within(self, element: Element) -> Element | None:
        return element if element.tag == SPECIFIC_CHARACTER_SET else self.heeded(element)

    def leave_out(self, pseudonym: str) -> None:
        """Do not search in what stands for the patient: sixteen digits and letters may spell anything."""
        self._made = pseudonym.encode()

    def note_uid(self, uid: str) -> None:
        """Remember an original UID."""
        if uid:
            self._uids.append(uid.encode())

    def _note_dates(self, element: Element) -> None:
        """Remember a date of the table's, by whether it stays as it is; what the table does not list dates no case."""
        row = self.rules.rows.get(element.tag)
        if row is not None:
            dates = self._retained if row.code == "K" else self._dates
            found = {b"".join(one.group(1, 3, 4)) for one in map(_DATE.match, element.value.split(b"\\")) if one}
            fresh = {each.decode() for each in found - _DUMMIES} - dates
            if fresh:
                dates |= fresh
                self._known = None

    def _add(self, noted: Noted, parts: Iterable[bytes]) -> None:
        if noted in self._noted:
            return
        if len(noted.value) > MOST:
            raise TooMuch
        fresh = {part for part in (each.strip(b" \0").lower() for each in parts) if self._tells(part)} - self._found
        self._size += sum(map(len, fresh))
        if self._size > MOST:
            raise TooMuch
        if noted.value.lower().strip(b" \0") not in _DUMMIES:
            self._noted.add(noted)
        self._found |= fresh
        self._pattern = self._known = None

    def _tells(self, value: bytes) -> bool:
        """False for short strings, common words, dummies and runs of one character such as 0000."""
        short = len(value) < SHORTEST or len(set(value)) == 1
        return not (short or value in _DUMMIES or value.decode("latin-1") in self.rules.common_words)

    def known(self) -> Known:
        """What was noted, ready to be searched for in decoded texts."""
        if self._known is None:
            dates = frozenset(self._dates - self._retained)  # a newborn's date of birth is that of the study
            self._known = known(frozenset(self._noted), dates, self.rules.common_words)
        return self._known

    def spans(self, text: str) -> Iterator[Span]:
        """Where ``text`` has any of them, in whatever spelling."""
        return self.known().spans(text)

    def in_text(self, text: str) -> bool:
        """True when ``text`` has any of them."""
        return self.known().within(text)

    def in_value(self, value: bytes, charsets: tuple[str, ...] = ()) -> bool:
        """True when ``value``, encoded in these character sets, holds any of them."""
        return self.in_text(decode(value, charsets)) or (not value.isascii() and self._in_bytes(value.lower()))

    def in_coded(self, tag: int, value: bytes) -> bool:
        """True when a CS holds any of them beside what the standard defines for the attribute."""
        return self.in_value(without_terms(tag, value))

    def in_decimals(self, value: bytes) -> bool:
        """True when a DS or IS holds one that is no measure (known_numbers.py)."""
        return self.known().numbers.in_decimals(value.decode("latin-1"))

    def in_numbers(self, value: bytes, vr: str) -> bool:
        """True when a value of a numeric VR holds one that is no measure, or spells any of them."""
        return self.known().numbers.in_binary(value, vr) or self.in_binary(value)

    def in_uids(self, value: bytes) -> bool:
        """True when a component of a UID is one of them; of the standard's own UIDs none is."""
        numbers = self.known().numbers
        uids = (uid.strip(" \0") for uid in value.decode("latin-1").split("\\"))
        return any(numbers.in_uid(uid) for uid in uids if not is_registered(uid))

    def in_binary(self, value: bytes) -> bool:
        """True when ``value``, which should be no text, spells any of them."""
        return any(self.in_value(run.group()) for run in _READABLE.finditer(value))

    def has_uid(self, header: bytes) -> bool:
        """True when an encoded header holds an original UID, and not as part of a longer one."""
        return any(_stands_alone(uid, header) for uid in self._uids)

    def in_header(self, header: bytes) -> bool:
        """True when an encoded header holds any of them; within UIDs, which are new, only whole ones count."""
        if self.has_uid(header):
            return True
        dates = self.known().dates
        return any(self._in_bytes(piece) or dates.in_bytes(piece) for piece in _pieces(header, self._made))

    def _in_bytes(self, folded: bytes) -> bool:
        pattern = self._compiled()
        return pattern is not None and any(_counts(folded, found) for found in pattern.finditer(folded))

    def _compiled(self) -> re.Pattern[bytes] | None:
        if self._pattern is None and self._found:
            self._pattern = re.compile(b"|".join(sorted(map(_expression, self._spellings()), reverse=True)))
        return self._pattern

    def _spellings(self) -> Iterator[bytes]:
        for value in self._found:
            short = value.lstrip(b"0")
            yield short if value.isdigit() and len(short) > SHORTEST else value
            squeezed = _squeezed(value)
            if squeezed != value and self._tells(squeezed):
                yield squeezed


def _encodings(noted: Noted) -> Iterator[bytes]:
    """A value as it stands and, where case is not ASCII's alone, in capitals, in small letters and in UTF-8."""
    yield noted.value
    if not noted.value.isascii():
        text = decode(noted.value, noted.charsets)
        for spelled in {text, text.upper(), text.lower()}:
            yield from (encode(spelled, noted.charsets), spelled.encode())


def _names_in(noted: Noted) -> Iterator[bytes]:
    """The parts of a PN in every encoding, those within a double name as well; bytes of other letters than ASCII's
    may be any sign, and a part of an escape sequence (ISO 2022) is none."""
    for each in _encodings(noted):
        yield from _PARTS.split(each)
    plain = noted.value.isascii() and b"\x1b" not in noted.value
    for _, within in parts_of(decode(noted.value, noted.charsets)):
        for part in within:
            yield from [part.encode()] if plain else _encodings(noted._replace(value=encode(part, noted.charsets)))


def _is_date(element: Element) -> bool:
    return element.vr in ("DA", "DT") or element.tag in _temporal()


@cache
def _temporal() -> frozenset[int]:
    return tags_of("DA") | tags_of("DT")


def _pieces(header: bytes, made: bytes) -> Iterator[bytes]:
    """All that stands between what is made of a key and spells anything by chance: new UIDs, and ``made``; folded."""
    start = 0
    random = re.compile(_NO_ONES_UID.pattern + b"|" + re.escape(made)) if made else _NO_ONES_UID
    for found in random.finditer(header):
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
    """Digits must not be part of a longer number, zeros before them apart, and four letters not of a longer word."""
    escaped = re.escape(value)
    if value.isdigit():
        return rb"(?<!\d)0*" + escaped + rb"(?!\d)"
    if len(value) == SHORTEST and _LETTERS.fullmatch(value):
        return rb"(?<![a-z])" + escaped + rb"(?![a-z])"
    return escaped


def _counts(folded: bytes, found: re.Match[bytes]) -> bool:
    """False for up to seven digits that are the fraction of a decimal."""
    text, start = found.group().lstrip(b"0"), found.start()
    return len(text) > 7 or not text.isdigit() or _FRACTION.search(folded[max(0, start - 40) : start]) is None


def _squeezed(value: bytes) -> bytes:
    """Letters and digits alone: 12-345/67 is the same number as 1234567."""
    return _SEPARATORS.sub(b"", value)
