"""Encapsulated documents (PS3.3 section C.24): Table E.1-1 lets none out as it is, so another takes its place.

A page description may show text as lines, pictures or fonts of its own, and a printed model may be a face: no option
speaks of them, and nobody can prove what they show. A CDA says in words what it says, so its words can be cleaned
like those of a report.
"""

import struct

from services.deid.domain.content.cda import EMPTY_CDA
from services.deid.domain.dataset import Element, Elements, Encoding
from services.deid.domain.marks import BURNED_IN

_PDF, _CDA = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
_STL, _OBJ, _MTL = (f"1.2.840.10008.5.1.4.1.1.104.{number}" for number in (3, 4, 5))
DOCUMENT, DOCUMENT_LENGTH = 0x00420011, 0x00420015
_SOP_CLASS = 0x00080016


def _pdf(*objects: bytes) -> bytes:
    """A PDF of these objects, the first of which is the catalogue (ISO 32000 section 7.5)."""
    body, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size, start = len(objects) + 1, len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return bytes(body) + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start)


#: One page that says that the document was removed.
_NOTE = b"BT /F1 12 Tf 72 720 Td (Document removed by de-identification) Tj ET"
EMPTY_PDF = _pdf(
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    b"<< /Length %d >>\nstream\n%s\nendstream" % (len(_NOTE), _NOTE),
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
)
#: A binary STL: 80 bytes that say nothing, and no triangle.
EMPTY_STL = bytes(84)

_PLACEHOLDERS = {
    _PDF: EMPTY_PDF,
    _CDA: EMPTY_CDA,
    _STL: EMPTY_STL,
    _OBJ: b"# removed\n",
    _MTL: b"# removed\n",
}


def placeholder(where: str | int) -> bytes:
    """What stands for the document of an object of this SOP class; two bytes where there should be none."""
    return _PLACEHOLDERS.get(str(where), b"\0\0")


def is_cda(where: str | int) -> bool:
    """True at the top of objects of the class whose documents are CDA (HL7 Clinical Document Architecture)."""
    return where == _CDA


def described(elements: Elements, length: int, encoding: Encoding) -> Elements:
    """The data set with what it says of the document that took the place of another.

    Encapsulated Document Length, where it has one, is that without padding; Burned In Annotation, which objects of
    these classes have (PS3.3 section C.24.2), is NO.
    """
    kept = {each.tag: each for each in elements}
    if DOCUMENT_LENGTH in kept:
        value = struct.pack("<I" if encoding.little else ">I", length)
        kept[DOCUMENT_LENGTH] = kept[DOCUMENT_LENGTH]._replace(value=value)
    sop_class = kept[_SOP_CLASS].value.decode("latin-1").strip(" \0") if _SOP_CLASS in kept else ""
    if sop_class in _PLACEHOLDERS:
        kept[BURNED_IN] = Element(BURNED_IN, "CS", b"NO")
    return tuple(kept[tag] for tag in sorted(kept))
