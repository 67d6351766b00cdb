"""What a data set says at its beginning: whose instance it is (PS3.3 section C.12.1 and C.7)."""

from contextlib import suppress

from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.elements import Encoding, Walk, is_deflated
from services.dicom_ingest.domain.negotiation import is_identifier
from services.dicom_ingest.domain.stow import Names
from services.dicom_ingest.domain.window import Malformed, Window

#: So many bytes are looked at; what is named later is not named here.
NAMES_WITHIN = 64 * 1024
_TAGS = {0x00080016: "sop_class", 0x00080018: "sop_instance", 0x0020000D: "study", 0x0020000E: "series"}


def identified(told: Names) -> Names:
    """``told`` without what is no UID: it may be anything, and an answer repeats it."""
    return Names(*(uid if is_identifier(uid) else "" for uid in (told.sop_class, told.sop_instance)))


def names_in(beginning: bytes | bytearray, transfer_syntax: str) -> Names:
    """The UIDs in the first bytes of a data set; one that is none is left out, and a deflated one is not read."""
    found: dict[str, str] = {}
    if is_deflated(transfer_syntax):
        return Names()
    window = Window.over(beginning)
    with suppress(Malformed):
        for element in Walk(window, Encoding.of(transfer_syntax), Bounds()).header():
            if element.tag in _TAGS:
                text = window.read(element.offset, element.length).strip(b"\0 ").decode("ascii", "replace")
                found |= {_TAGS[element.tag]: text} if is_identifier(text) else {}
            elif element.tag > max(_TAGS):
                break
    return Names(**found)
