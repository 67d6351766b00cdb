"""CDA documents written anew from what is known to be harmless (HL7 CDA R2; PS3.20).

Nothing is copied that is not named here: identifiers, people, organizations, times, comments and whatever else a
document holds stays behind. Words of the narrative go through the same list as those of reports.
"""

import re
from collections.abc import Callable, Iterator
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "urn:hl7-org:v3"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
#: Larger, deeper or with more elements is not taken apart.
SIZE_LIMIT, DEPTH_LIMIT, ELEMENT_LIMIT = 16 * 1024 * 1024, 64, 100_000

#: Code systems that are published: SNOMED CT, LOINC, UCUM, RadLex, DICOM, ICD-10, and those of HL7 itself.
_PUBLIC = re.compile(r"2\.16\.840\.1\.113883\.(6\.(96|1|8|256|3|90)|5(\.\d+){1,3})|1\.2\.840\.10008\.2\.16\.4")
_CODE, _COUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,31}"), re.compile(r"[1-9]\d?")
_NUMBER, _UNIT = re.compile(r"[+-]?\d{1,5}(\.\d{1,6})?"), re.compile(r"[A-Za-z0-9%./*\[\]{}()'^+-]{1,24}")
_WORD = re.compile(r"[A-Za-z_]{1,16}")

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
_ATTRIBUTES = {
    "classCode": _WORD,
    "moodCode": _WORD,
    "typeCode": _WORD,
    "nullFlavor": _WORD,
    "inversionInd": _WORD,
    "negationInd": _WORD,
    "unit": _UNIT,
    "colspan": _COUNT,
    "rowspan": _COUNT,
    "listType": _WORD,
    f"{_INSTANCE} type": _WORD,
}

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
    f'<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="{NAMESPACE}" xmlns:xsi="{_INSTANCE}">{_HEADER}'
)
_NO_BODY = '<component><nonXMLBody><text mediaType="text/plain">REMOVED</text></nonXMLBody></component>'
EMPTY_CDA = f"{_START}{_NO_BODY}</ClinicalDocument>\n".encode()


class _TooMuch(Exception):
    """More than is taken apart, or a document type declaration, which could name entities."""


class _Writer:
    """Writes what may stay while the document is read; ``skipped`` counts levels below an element that does not."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._open: list[str] = []
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
        self._open.append(local)
        if len(self._open) > 1:
            self.written.append(f"<{local}{''.join(self._attributes(local, attributes))}>")

    def end(self, _name: str) -> None:
        self._flush()
        if self._skipped:
            self._skipped -= 1
            return
        local = self._open.pop()
        if self._open:
            self.written.append(f"</{local}>")

    def characters(self, text: str) -> None:
        if not self._skipped and self._open and self._open[-1] in _NARRATIVE:
            self._words.append(text)

    def _flush(self) -> None:
        """A run of text as a whole: names may be in pieces."""
        if self._words:
            self.written.append(escape(self._clean("".join(self._words))))
            self._words.clear()

    def _stays(self, local: str) -> bool:
        """Whether an element goes out where it stands: the header is written anew, so only its body and title."""
        above = self._open
        if not above:
            return local == "ClinicalDocument"
        if len(above) == 1:
            return local in ("title", "component")
        if above[-1] in _NARRATIVE:
            return local in _NARRATIVE
        return above[-1] in _STRUCTURE | _CODED and local in _STRUCTURE | _NARRATIVE | _CODED

    def _attributes(self, local: str, attributes: dict[str, str]) -> Iterator[str]:
        for name, value in attributes.items():
            shape = _ATTRIBUTES.get(name)
            if shape and shape.fullmatch(value):
                yield f" {name.replace(_INSTANCE + ' ', 'xsi:')}={quoteattr(value)}"
        if "codeSystem" in attributes and _PUBLIC.fullmatch(attributes["codeSystem"]):
            if _CODE.fullmatch(attributes.get("code", "")):
                yield f" code={quoteattr(attributes['code'])} codeSystem={quoteattr(attributes['codeSystem'])}"
        elif local in ("value", "low", "high") and _NUMBER.fullmatch(attributes.get("value", "")):
            yield f" value={quoteattr(attributes['value'])}"


def clean_cda(document: bytes, clean: Callable[[str], str]) -> bytes:
    """The document anew, its words as ``clean`` leaves them; an empty one where it can't be read or says nothing."""
    writer = _Writer(clean)
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
