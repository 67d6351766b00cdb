"""Text as DICOM writes it: names, lengths by VR, character sets (PS3.5 sections 6.1 and 6.2)."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from services.hl7_fhir.domain.mapping.vocabulary import words
from services.hl7_fhir.domain.messages.message import Field, Repetition, part
from services.hl7_fhir.domain.worklist.keys import LENGTHS

#: Specific Character Set by preference, where a value needs more than ASCII: its defined term and Python's codec
#: (PS3.3 section C.12.1.1.2). With code extensions the first value is empty, which is ASCII.
CODECS = {
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 166": "tis_620",
    "\\ISO 2022 IR 87": "iso2022_jp",
    "ISO_IR 192": "utf_8",
}
UTF8 = "ISO_IR 192"

#: VRs whose text is written in the Specific Character Set (PS3.5 section 6.1.2.2).
_EXTENDED = words("LO LT PN SH ST UC UT")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SINGLE_SHIFT = b"\x1b(J"
#: Signs of a name that are compared: some signs are several when folded.
_FOLDED = 192
_GROUPS = {"A": 0, "I": 1, "P": 2}


def clean(value: str, vr: str) -> str:
    """``value`` as one value of ``vr``: no control characters, no backslash but in LT and UT, no space around."""
    if vr in ("LT", "ST", "UT"):
        return _CONTROL_BUT_LINES.sub(" ", value).strip()
    return " ".join(_CONTROL.sub(" ", value).replace("\\", "/").split())


def is_too_long(value: str, vr: str) -> bool:
    """Whether ``value`` is longer than ``vr`` allows; of a name each component group counts."""
    longest = LENGTHS.get(vr)
    return longest is not None and any(len(each) > longest for each in (value.split("=") if vr == "PN" else (value,)))


def cut(value: str, vr: str) -> str:
    """``value`` cut to what ``vr`` allows."""
    longest = LENGTHS.get(vr)
    if longest is None:
        return value
    if vr == "PN":
        return "=".join(group[:longest].rstrip("^ ") for group in value.split("="))
    return value[:longest].rstrip()


def _name_part(value: str) -> str:
    return re.sub(r"[\^=]", " ", clean(value, "PN")).strip()


def _joined(parts: Iterable[str]) -> str:
    return "^".join(parts).rstrip("^ ")


def _given(repetition: Repetition, at: int) -> str:
    """The component group of XPN or XCN whose family name is component ``at`` (chapter 2.A.88 and 2.A.89)."""
    family, given, middle = (_name_part(part(repetition, at + n)) for n in range(3))
    suffix = [_name_part(part(repetition, at + n)) for n in (3, 5)]
    prefix = _name_part(part(repetition, at + 4))
    return _joined((family, given, middle, prefix, " ".join(each for each in suffix if each)))


def _as_written(repetition: Repetition, at: int) -> str | None:
    """A name that the sender wrote as DICOM does, with its component groups, through HL7's components."""
    told = "^".join(part(repetition, number) for number in range(at, min(len(repetition), at + 15) + 1))
    groups = told.split("=")
    if not 2 <= len(groups) <= 3:
        return None
    return "=".join(_joined(map(_name_part, group.split("^")[:5])) for group in groups).rstrip("=")


def person_name(field: Field, at: int = 1) -> str:
    """PN of XPN repetitions (``at`` 1) or XCN repetitions (``at`` 2); empty when they name nobody.

    The first legal name counts, else the first of all. Repetitions of the same kind that differ in the representation
    (XPN.8, XCN.15: alphabetic, ideographic, phonetic) become the three component groups.
    """
    kind, representation = (7, 8) if at == 1 else (10, 15)
    named = [each for each in field if _given(each, at)]
    legal = [each for each in named if part(each, kind).upper() in ("L", "")] or named
    if not legal:
        return ""
    if (written := _as_written(legal[0], at)) is not None:
        return written
    groups = ["", "", ""]
    for each in legal:
        number = _GROUPS.get(part(each, representation).upper(), 0)
        groups[number] = groups[number] or _given(each, at)
    return "=".join(groups).rstrip("=")


def folded(name: str) -> tuple[str, ...]:
    """The component groups of a PN as they are compared: without case, accents and empty components at the end.

    PS3.4 section C.2.2.2.1 leaves both to the provider. Compatibility forms (half and full width) are the same.
    """
    found = []
    for group in name.split("=")[:3]:
        bare = unicodedata.normalize("NFKD", group)
        bare = "".join(sign for sign in bare if not unicodedata.combining(sign) or sign in "\u3099\u309a")
        compared = unicodedata.normalize("NFC", " ".join(bare.casefold().split()))[:_FOLDED].rstrip("^ ")
        if compared:
            found.append(compared)
    return tuple(found)


def character_set(values: Iterable[str], preferred: Sequence[str]) -> str:
    """The first of ``preferred`` that keeps every one of ``values``; empty for ASCII, UTF-8 when none of them does."""
    text = "\n".join(values)
    if text.isascii():
        return ""
    for name in preferred:
        if _keeps(text, CODECS[name]):
            return name
    return UTF8


def _keeps(text: str, codec: str) -> bool:
    try:
        encoded = text.encode(codec)
    except UnicodeEncodeError:
        return False
    return _SINGLE_SHIFT not in encoded and encoded.decode(codec) == text


def encoded(value: str, vr: str, charset: str) -> bytes:
    """``value`` in bytes; what ``charset`` lacks becomes ``?``, which ``character_set`` rules out."""
    if vr == "US":
        return int(value).to_bytes(2, "little") if value else b""
    codec = CODECS.get(charset, "ascii") if vr in _EXTENDED else "ascii"
    return value.encode(codec, "replace")
