"""Text of a data set as its Specific Character Set says (PS3.3 section C.12.1.1.2)."""

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


def _codec(charsets: tuple[str, ...]) -> str:
    return _CODECS.get(charsets[0], "ascii") if len(charsets) == 1 else "ascii"


def decode(value: bytes, charsets: tuple[str, ...]) -> str:
    """The text of ``value``; what the character set does not have becomes U+FFFD."""
    return value.decode(_codec(charsets), "replace")


def encode(text: str, charsets: tuple[str, ...]) -> bytes:
    """``text`` as encoded; what the character set does not have becomes a question mark."""
    return text.encode(_codec(charsets), "replace")
