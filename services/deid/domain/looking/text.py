"""Text as a reader of the second look sees it: decoded by the data set's character sets, in lower case."""

from services.deid.domain.looking.reader import Leaf

#: Defined terms of Specific Character Set (PS3.3 section C.12.1.1.2) and Python's names of them.
_CODECS = {
    "ISO_IR 100": "latin_1", "ISO_IR 101": "iso8859_2", "ISO_IR 109": "iso8859_3", "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5", "ISO_IR 127": "iso8859_6", "ISO_IR 126": "iso8859_7", "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9", "ISO_IR 203": "iso8859_15", "ISO_IR 13": "shift_jis", "ISO_IR 166": "iso8859_11",
    "ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk", "ISO 2022 IR 149": "euc_kr", "ISO 2022 IR 58": "gb2312",
    "ISO 2022 IR 87": "iso2022_jp_2", "ISO 2022 IR 159": "iso2022_jp_2",
}  # fmt: skip
_WIDE = ("utf_16_le", "utf_16_be")
_G1_ESCAPES = (b"\x1b$)C", b"\x1b$)A")


def decoded(data: bytes, leaf: Leaf) -> str:
    """The value of ``leaf``, as well as it can be read."""
    return decode(data[leaf.start : leaf.stop], leaf.charsets)


def decode(value: bytes, charsets: tuple[str, ...]) -> str:
    """``value`` in lower case; bytes that the character sets do not explain are read as Latin-1."""
    names = [term.strip().upper() for term in charsets if term.strip()]
    for name in (*reversed(names), "ISO_IR 192"):
        codec = _CODECS.get(name) or _CODECS.get(name.replace("ISO 2022 IR", "ISO_IR"), "latin_1")
        plain = value
        if codec in ("euc_kr", "gb2312"):
            for escape in _G1_ESCAPES:
                plain = plain.replace(escape, b"")
        try:
            return plain.decode(codec).strip(" \0").casefold()
        except UnicodeDecodeError:
            continue
    return value.decode("latin_1").strip(" \0").casefold()


def spellings(text: str) -> set[bytes]:
    """How ``text``, in lower case, may be written in bytes that were made lower case where they are ASCII."""
    codecs = ("utf_8", *_WIDE) if text.isascii() else (*dict.fromkeys(_CODECS.values()), *_WIDE)
    found = set()
    for codec in codecs:
        for each in {text, text.upper()} if not text.isascii() else {text}:
            try:
                found.add(each.encode(codec).lower())
            except UnicodeEncodeError:
                continue
    return found
