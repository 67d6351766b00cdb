"""Text of a data set as its Specific Character Set says (PS3.3 section C.12.1.1.2)."""

from collections.abc import Iterable

from services.deid.domain.dataset import Element

SPECIFIC_CHARACTER_SET = 0x00080005

_CODECS = {
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 203": "iso8859-15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "tis-620",
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}


def charsets_of(elements: Iterable[Element], inherited: tuple[str, ...]) -> tuple[str, ...]:
    """The character sets of a data set or an item: its own, else those of what it stands in."""
    for element in elements:
        if element.tag == SPECIFIC_CHARACTER_SET:
            return tuple(each.strip(" \0") for each in element.value.decode("latin-1").split("\\"))
        if element.tag > SPECIFIC_CHARACTER_SET:
            break
    return inherited


def _codec(charsets: tuple[str, ...]) -> str:
    return _CODECS.get(charsets[0], "ascii") if len(charsets) == 1 else "ascii"


def decode(value: bytes, charsets: tuple[str, ...]) -> str:
    """The text of ``value``; what the character set does not have becomes U+FFFD."""
    return value.decode(_codec(charsets), "replace")


def encode(text: str, charsets: tuple[str, ...]) -> bytes:
    """``text`` as encoded; what the character set does not have becomes a question mark."""
    return text.encode(_codec(charsets), "replace")
