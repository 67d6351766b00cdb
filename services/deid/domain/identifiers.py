"""The identifiers of an object's own patient and case, searched for in everything that is about to go out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from services.deid.domain.charset import SPECIFIC_CHARACTER_SET, charsets_of, decode, encode
from services.deid.domain.dataset import Element, TooMuch
from services.deid.domain.dictionary import is_registered, known_vr, tags_of
from services.deid.domain.known import Known, known
from services.deid.domain.known_values import SHORTEST, Noted, parts_of
from services.deid.domain.names import Names
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.rules import Rules
from services.deid.domain.shapes import Span
from services.deid.domain.spelled import MOST, counts, expression, pieces, squeezed, stands_alone
from services.deid.domain.terms import without_terms
from services.deid.domain.values import DUMMIES

_PARTS = re.compile(rb"[\\^=,;/()\[\]<>\s\0]+")
_NAMED = frozenset(("PN", "DA", "DT"))
#: What an earlier de-identification left in the source is no identifier of it.
_DUMMIES = frozenset(value.lower() for value in DUMMIES.values())
#: Text within binary values; longer runs of printable bytes are rare by chance.
_READABLE = re.compile(rb"[ -~]{5,}")
#: A date as DICOM writes it, and as ACR-NEMA did; what stands behind it is a time of day.
_DATE = re.compile(rb"((?:18|19|20)\d\d)(\.?)(\d\d)\2(\d\d)")
#: Characters of the longer form.
_DAY = 10


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
            self._add(Noted(0, "PN", element.value, charsets))
            return
        if _is_date(element):
            self._note_dates(element)
        if self._identifies(element.tag):
            noted = Noted(element.tag, known_vr(element.tag) or element.vr, element.value, charsets)
            if element.tag in self.rules.places:
                self._add(noted._replace(place=True))
            if element.tag in self.rules.identifying:
                self._add(noted)

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

    def names(self) -> Names:
        """What was noted, for the other objects of the study."""
        return Names(frozenset(self._noted), frozenset(self._dates), frozenset(self._retained))

    def note_names(self, study: Names) -> None:
        """Remember what other objects of the study name, too; TooMuch when that is too many.

        A date that stays in one of them goes on being nobody's.
        """
        if study.too_many:
            raise TooMuch
        for noted in study.noted:
            self._add(noted)
        self._dates |= study.dates - study.retained
        self._known = None

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

    def _add(self, noted: Noted) -> None:
        if noted in self._noted:
            return
        if len(noted.value) > MOST:
            raise TooMuch
        parts = (part.strip(b" \0").lower() for part in _parts_of(noted))
        fresh = set(filter(self._tells, parts)) - self._found
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
        return any(stands_alone(uid, header) for uid in self._uids)

    def in_header(self, header: bytes) -> bool:
        """True when an encoded header holds any of them; within UIDs, which are new, only whole ones count."""
        if self.has_uid(header):
            return True
        dates = self.known().dates
        return any(self._in_bytes(piece) or dates.in_bytes(piece) for piece in pieces(header, self._made))

    def _in_bytes(self, folded: bytes) -> bool:
        pattern = self._compiled()
        return pattern is not None and any(counts(folded, found) for found in pattern.finditer(folded))

    def _compiled(self) -> re.Pattern[bytes] | None:
        if self._pattern is None and self._found:
            self._pattern = re.compile(b"|".join(sorted(map(expression, self._spellings()), reverse=True)))
        return self._pattern

    def _spellings(self) -> Iterator[bytes]:
        for value in self._found:
            short = value.lstrip(b"0")
            yield short if value.isdigit() and len(short) > SHORTEST else value
            plain = squeezed(value)
            if plain != value and self._tells(plain):
                yield plain


def _parts_of(noted: Noted) -> Iterator[bytes]:
    """What of a value is searched for in bytes; of a place its words are, in texts alone."""
    if noted.vr == "PN":
        yield from _names_in(noted)
    elif not noted.place:
        yield from (part for each in _encodings(noted) for part in each.split(b"\\"))


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
