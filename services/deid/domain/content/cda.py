"""CDA documents written anew from what is known to be harmless (HL7 CDA R2; PS3.20).

Nothing is copied that is not named here: identifiers, people, organizations, times, comments and whatever else a
document holds stays behind. Words of the narrative go through the same list as those of reports.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from services.deid.domain.content.ages import is_old_age
from services.deid.domain.content.cda_words import INSTANCE, NUMERIC, WORDS, is_of_patient, is_public, is_unit
from services.deid.domain.profile import OLDEST_AGE

NAMESPACE = "urn:hl7-org:v3"
#: Larger, deeper or with more elements is not taken apart.
SIZE_LIMIT, DEPTH_LIMIT, ELEMENT_LIMIT = 16 * 1024 * 1024, 64, 100_000

_COUNT = re.compile(r"[1-9]\d?")
_NUMBER = re.compile(r"[+-]?\d{1,5}(\.\d{1,6})?")

#: Elements that hold others; of the clinical statements only what they are, not whose or when.
_STRUCTURE = frozenset({
    "ClinicalDocument", "component", "structuredBody", "section", "entry", "entryRelationship", "organizer",
    "observation", "act", "procedure", "regionOfInterest", "substanceAdministration", "supply", "reference",
    "interpretationCode",
})  # fmt: skip
#: The narrative block (CDA R2 section 4.3.5), and its text.
_NARRATIVE = frozenset({
    "title", "text", "paragraph", "list", "item", "table", "thead", "tbody", "tfoot", "tr", "th", "td",
    "caption", "content", "br", "sub", "sup",
})  # fmt: skip
#: Elements with coded attributes alone.
_CODED = frozenset({
    "code", "value", "statusCode", "confidentialityCode", "languageCode", "translation", "targetSiteCode",
    "approachSiteCode", "methodCode", "priorityCode", "qualifier", "name", "low", "high",
})  # fmt: skip
#: The parts of a header that every document must have, without what they would say (CDA R2 section 4.2).
_HEADER = (
    '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id nullFlavor="MSK"/>'
    '<code code="18748-4" codeSystem="2.16.840.1.113883.6.1"/><effectiveTime nullFlavor="MSK"/>'
    '<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>'
    '<recordTarget><patientRole nullFlavor="MSK"><id nullFlavor="MSK"/></patientRole></recordTarget>'
    '<author><time nullFlavor="MSK"/><assignedAuthor><id nullFlavor="MSK"/></assignedAuthor></author>'
    "<custodian><assignedCustodian><representedCustodianOrganization>"
    '<id nullFlavor="MSK"/></representedCustodianOrganization></assignedCustodian></custodian>'
)
_START = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="{NAMESPACE}" xmlns:xsi="{INSTANCE}">{_HEADER}'
)
_NO_BODY = '<component><nonXMLBody><text mediaType="text/plain">REMOVED</text></nonXMLBody></component>'
EMPTY_CDA = f"{_START}{_NO_BODY}</ClinicalDocument>\n".encode()


class _TooMuch(Exception):
    """More than is taken apart, or a document type declaration, which could name entities."""


@dataclass
class _Open:
    """An open element: whether numbers in it are measured, and whether it is about who the patient is."""

    local: str
    measured: bool = False
    of_patient: bool = False


class _Writer:
    """Writes what may stay while the document is read; ``skipped`` counts levels below an element that does not."""

    def __init__(self, clean: Callable[[str], str], oldest: int) -> None:
        self._clean = clean
        self._oldest = oldest
        self._open: list[_Open] = []
        self._skipped = self._elements = 0
        self._words: list[str] = []
        self.written: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._flush()
        self._elements += 1
        if self._elements > ELEMENT_LIMIT or len(self._open) + self._skipped > DEPTH_LIMIT:
            raise _TooMuch
        space, _, local = name.rpartition(" ")
        if self._skipped or space != NAMESPACE or not self._stays(local):
            self._skipped += 1
            return
        self._open.append(self._entered(local, attributes))
        if len(self._open) > 1:
            self.written.append(f"<{local}{''.join(self._attributes(attributes))}>")

    def end(self, _name: str) -> None:
        self._flush()
        if self._skipped:
            self._skipped -= 1
            return
        local = self._open.pop().local
        if self._open:
            self.written.append(f"</{local}>")

    def characters(self, text: str) -> None:
        if not self._skipped and self._open and self._open[-1].local in _NARRATIVE:
            self._words.append(text)

    def _flush(self) -> None:
        """A run of text as a whole: names may be in pieces."""
        if self._words:
            self.written.append(escape(self._clean("".join(self._words))))
            self._words.clear()

    def _stays(self, local: str) -> bool:
        """Whether an element goes out where it stands: the header is written anew, so only its body and title."""
        if not self._open:
            return local == "ClinicalDocument"
        above = self._open[-1].local
        if len(self._open) == 1:
            return local in ("title", "component")
        if above in _NARRATIVE:
            return local in _NARRATIVE
        return above in _STRUCTURE | _CODED and local in _STRUCTURE | _NARRATIVE | _CODED

    def _entered(self, local: str, attributes: dict[str, str]) -> _Open:
        """An element with what it inherits; a code tells what the statement around it is about."""
        above = self._open[-1] if self._open else _Open("")
        if local == "code" and is_of_patient(attributes.get("codeSystem", ""), attributes.get("code", "")):
            above.of_patient = True
        kind = attributes.get(f"{INSTANCE} type", "")
        measured = kind in NUMERIC if local == "value" else local in ("low", "high") and above.measured
        return _Open(local, measured, above.of_patient)

    def _attributes(self, attributes: dict[str, str]) -> Iterator[str]:
        """What an element says that stays: words of the vocabularies, published codes, numbers with their units."""
        for name, value in attributes.items():
            if value in WORDS.get(name, ()) or (name in ("colspan", "rowspan") and _COUNT.fullmatch(value)):
                yield f" {name.replace(INSTANCE + ' ', 'xsi:')}={quoteattr(value)}"
        system, code, unit = (attributes.get(name, "") for name in ("codeSystem", "code", "unit"))
        if unit and is_unit(unit):
            yield f" unit={quoteattr(unit)}"
        at = self._open[-1]
        if at.of_patient and at.local != "code":
            return
        if code and is_public(system, code):
            yield f" code={quoteattr(code)} codeSystem={quoteattr(system)}"
        elif at.measured and self._is_measure(attributes.get("value", ""), unit):
            yield f" value={quoteattr(attributes['value'])}"

    def _is_measure(self, value: str, unit: str) -> bool:
        """Whether ``value`` is a number, and no age of the oldest."""
        return _NUMBER.fullmatch(value) is not None and not is_old_age(float(value), unit, self._oldest)


def clean_cda(document: bytes, clean: Callable[[str], str], oldest: int = OLDEST_AGE) -> bytes:
    """The document anew, its words as ``clean`` leaves them, without ages of ``oldest`` years and more.

    An empty one where it can't be read or says nothing.
    """
    writer = _Writer(clean, oldest)
    if len(document) > SIZE_LIMIT:
        return EMPTY_CDA
    try:
        _parser(writer).Parse(document.rstrip(b"\0 "), True)
    except (expat.ExpatError, _TooMuch, LookupError, ValueError):
        return EMPTY_CDA
    body = "".join(writer.written)
    return f"{_START}{body}</ClinicalDocument>\n".encode() if "<structuredBody" in body else EMPTY_CDA


def _parser(writer: _Writer) -> expat.XMLParserType:
    """A parser that takes no document type declaration, and so no entity but the five of XML itself."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = writer.start
    parser.EndElementHandler = writer.end
    parser.CharacterDataHandler = writer.characters
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _refuse(*_declaration: object) -> None:
    raise _TooMuch
