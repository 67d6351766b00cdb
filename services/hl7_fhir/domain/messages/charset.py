"""The character set of a message by MSH-18 (HL7 v2 chapter 2, section 2.14.9.18, table 0211)."""

import codecs

from services.hl7_fhir.domain.messages.refusal import FieldInvalid, Place

#: Table 0211 to Python codecs. ISO IR sets that need escape sequences are read as ISO 2022.
_TABLE_0211 = {
    "ASCII": "ascii",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "ISO IR14": "iso2022_jp",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "JAS2020": "iso2022_jp",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
}

_CHARSET_FIELD = Place("MSH", 1, 18)


def codec(declared: str, default: str) -> str:
    """The Python codec for the first repetition of MSH-18, ``default`` when it is empty.

    Outside table 0211 the names of ISO 8859 and UTF-8 that senders really use are taken as well (``UTF-8``,
    ``ISO-8859-1``). FieldInvalid when the name means nothing here.
    """
    name = declared.strip().upper()
    if not name:
        return default
    if name in _TABLE_0211:
        return _TABLE_0211[name]
    return _by_common_name(name)


def _by_common_name(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        raise FieldInvalid("charset-unknown", _CHARSET_FIELD) from None
    if found.startswith(("iso8859", "cp125", "utf-8", "ascii", "iso2022_jp")):
        return found
    raise FieldInvalid("charset-unknown", _CHARSET_FIELD)


def decode(content: bytes, name: str) -> str:
    """The text of ``content``; FieldInvalid when the bytes are not in the character set that MSH-18 promised."""
    try:
        return content.decode(name)
    except (UnicodeDecodeError, ValueError):
        raise FieldInvalid("charset-mismatch", _CHARSET_FIELD) from None
