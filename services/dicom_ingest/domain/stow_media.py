"""Media types of a store request and of its response (PS3.18 sections 8.6, 8.7 and 10.5; RFC 2046, RFC 9110)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message

from services.dicom_ingest.domain.stow import RequestRefused

DICOM, JSON, XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
_ANYTHING = ("application/*", "*/*")
#: The more precise name counts (RFC 9110 section 12.5.1).
_JSON_BY_ANY_NAME = (JSON, "application/json", *_ANYTHING)
_XML_BY_ANY_NAME = (XML, "application/xml", "text/xml", *_ANYTHING)
#: How a part's bytes may be written down: as they are (RFC 2045 section 6).
_IDENTITY = ("", "binary", "7bit", "8bit")
_LONGEST_BOUNDARY = 70


@dataclass(frozen=True)
class Body:
    """How a request's body is made up: parts between boundaries, or without a boundary one file."""

    boundary: str | None


def read_body(headers: Mapping[str, str]) -> Body:
    """What the body is by its headers; RequestRefused (415, 400) when it is nothing that can be stored."""
    kind = _parsed(headers.get("content-type", ""))
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise RequestRefused("content-encoding", 415)
    if kind.get_content_type() == DICOM:
        return Body(None)
    if kind.get_content_type() != "multipart/related" or _parameter(kind, "type").lower() not in ("", DICOM):
        raise RequestRefused("media-type", 415)
    boundary = _parameter(kind, "boundary")
    if not boundary or len(boundary) > _LONGEST_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
        raise RequestRefused("no-boundary", 400)
    return Body(boundary)


def check_part(headers: Mapping[str, str]) -> None:
    """RequestRefused (415) unless the part is a DICOM file as it is; a part that says nothing is taken for one."""
    kind = _parsed(headers.get("content-type", DICOM))
    if kind.get_content_type() != DICOM:
        raise RequestRefused("part-media-type", 415)
    if headers.get("content-transfer-encoding", "").strip().lower() not in _IDENTITY:
        raise RequestRefused("part-encoding", 415)


def declared_length(headers: Mapping[str, str]) -> int | None:
    """The Content-Length of a part, None where it has none that can be read."""
    text = headers.get("content-length", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def answer_type(accept: str) -> str:
    """JSON or XML, whichever the client prefers, JSON where it does not care; RequestRefused (406)."""
    wanted = {kind: quality for kind, quality in map(_preference, accept.split(",")) if kind}
    json, xml = (_quality(wanted or {"*/*": 1.0}, names) for names in (_JSON_BY_ANY_NAME, _XML_BY_ANY_NAME))
    if not json and not xml:
        raise RequestRefused("not-acceptable", 406)
    return JSON if json >= xml else XML


def _quality(wanted: Mapping[str, float], names: Iterable[str]) -> float:
    return next((wanted[name] for name in names if name in wanted), 0.0)


def _preference(text: str) -> tuple[str, float]:
    kind, *parameters = (each.strip().lower() for each in text.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return kind, float(quality)
    except ValueError:
        return kind, 0.0


def _parsed(content_type: str) -> Message:
    message = Message()
    message["content-type"] = content_type.replace("\r", " ").replace("\n", " ")
    return message


def _parameter(kind: Message, name: str) -> str:
    value = kind.get_param(name, "")
    return value.strip() if isinstance(value, str) else ""
