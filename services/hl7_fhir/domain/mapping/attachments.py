"""Documents inside of fields: ED, RP and text as FHIR Attachments."""

import base64
import binascii
import re
from typing import TYPE_CHECKING

from services.hl7_fhir.domain.mapping.datatypes import Json, text_of, valued
from services.hl7_fhir.domain.mapping.functions import Options
from services.hl7_fhir.domain.mapping.rows import Convert
from services.hl7_fhir.domain.messages.message import Repetition, part

if TYPE_CHECKING:
    from services.hl7_fhir.domain.mapping.site import Site

_MIME = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+\Z")
#: ED.2 and ED.3 (tables 0191 and 0291) that name no media type by themselves.
_MEDIA_TYPES = {
    "PDF": "application/pdf",
    "HTML": "text/html",
    "XML": "text/xml",
    "RTF": "application/rtf",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "DICOM": "application/dicom",
    "TEXT": "text/plain",
    "PLAIN": "text/plain",
    "TXT": "text/plain",
}


def media_type(kind: str, subtype: str) -> str | None:
    """The media type of ED.2 and ED.3; None when they name none."""
    for text in (f"{kind}/{subtype}", kind, subtype):
        if _MIME.match(text.lower()) and text.lower().split("/")[0] in (
            "application",
            "text",
            "image",
            "audio",
            "video",
        ):
            return text.lower()
    return _MEDIA_TYPES.get(subtype.upper()) or _MEDIA_TYPES.get(kind.upper())


def attachment(_: Options) -> Convert:
    """ED[Attachment]: ED.5 as base64, whatever ED.4 says it is."""

    def made(repetition: Repetition, _: "Site") -> Json | None:
        kind, subtype, encoding = part(repetition, 2), part(repetition, 3), part(repetition, 4).upper()
        # What follows the fourth component is data: text that was not escaped may hold delimiters.
        sent = "^".join("&".join(component) for component in repetition[4:])
        data = _base64(sent, encoding)
        return {**(valued(contentType=media_type(kind, subtype)) or {}), "data": data} if data else None

    return made


def _base64(sent: str, encoding: str) -> str | None:
    try:
        if encoding == "BASE64":
            packed = "".join(sent.split())
            base64.b64decode(packed, validate=True)
            return packed or None
        content = bytes.fromhex(sent) if encoding == "HEX" else sent.encode()
    except (ValueError, binascii.Error):
        return None
    return base64.b64encode(content).decode() or None


def pointer(_: Options) -> Convert:
    """RP[Attachment]: where something lies; only what is a URI can be told."""

    def made(repetition: Repetition, _: "Site") -> Json | None:
        url = part(repetition, 1)
        if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S+\Z", url):
            return None
        return valued(contentType=media_type(part(repetition, 3), part(repetition, 4)), url=url)

    return made


def base64_text(_: Options) -> Convert:
    """Text as the data of an Attachment."""

    def made(repetition: Repetition, _: "Site") -> str | None:
        text = text_of("^".join("&".join(component) for component in repetition))
        return base64.b64encode(text.encode()).decode() if text else None

    return made
