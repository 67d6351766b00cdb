"""Specific Character Set: from bytes to text and back (PS3.5 section 6.1, PS3.3 section C.12.1.1.2).

What no set explains becomes U+FFFD, which no reader of this package takes for understood.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from services.deid.domain.dataset import Element

SPECIFIC_CHARACTER_SET = 0x00080005
UNKNOWN = "\ufffd"

_ESCAPE = b"\x1b"
#: Whole-value encodings that no escape sequence leaves (PS3.3 Table C.12-5).
_WHOLE = {"192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}


class _Set(NamedTuple):
    """One coded character set: where it is invoked (0 = below 0x80, 1 = above), its bytes per character, its codec."""

    area: int
    width: int
    codec: str
    escape: bytes
    prefix: bytes = b""


_ASCII = _Set(0, 1, "ascii", b"\x1b(B")
_ROMAJI = _Set(0, 1, "ascii", b"\x1b(J")
#: By registration number (PS3.3 Tables C.12-2 to C.12-4); most have ASCII below.
_SETS = {
    "6": _ASCII,
    "100": _Set(1, 1, "iso8859_1", b"\x1b-A"),
    "101": _Set(1, 1, "iso8859_2", b"\x1b-B"),
    "109": _Set(1, 1, "iso8859_3", b"\x1b-C"),
    "110": _Set(1, 1, "iso8859_4", b"\x1b-D"),
    "144": _Set(1, 1, "iso8859_5", b"\x1b-L"),
    "127": _Set(1, 1, "iso8859_6", b"\x1b-G"),
    "126": _Set(1, 1, "iso8859_7", b"\x1b-F"),
    "138": _Set(1, 1, "iso8859_8", b"\x1b-H"),
    "148": _Set(1, 1, "iso8859_9", b"\x1b-M"),
    "203": _Set(1, 1, "iso8859_15", b"\x1b-b"),
    "166": _Set(1, 1, "tis_620", b"\x1b-T"),
    "13": _Set(1, 1, "shift_jis", b"\x1b)I"),
    "87": _Set(0, 2, "euc_jp", b"\x1b$B"),
    "159": _Set(0, 2, "euc_jp", b"\x1b$(D", b"\x8f"),
    "149": _Set(1, 2, "euc_kr", b"\x1b$)C"),
    "58": _Set(1, 2, "gb2312", b"\x1b$)A"),
}
#: Those that are there with code extensions alone (Table C.12-4).
_EXTENSIONS = frozenset(("87", "159", "149", "58"))
_ESCAPES = {each.escape: each for each in (*_SETS.values(), _ROMAJI)} | {b"\x1b$@": _SETS["87"]}
#: An escape sequence has intermediate bytes and one that ends it (ISO/IEC 2022).
_SEQUENCE = re.compile(rb"\x1b[ -/]{0,3}[0-~]")
#: Where the initial sets are active again (PS3.5 section 6.1.2.5.3); ^ and = divide names, the backslash values.
_DELIMITERS = re.compile(rb"([\t\n\f\r\\^=])")
_NUMBER = re.compile(r"\d+$")


def charsets_of(elements: Iterable[Element], inherited: tuple[str, ...]) -> tuple[str, ...]:
    """The character sets of a data set or an item: its own, else those of what it stands in."""
    for element in elements:
        if element.tag == SPECIFIC_CHARACTER_SET:
            return tuple(each.strip(" \0") for each in element.value.decode("latin-1").split("\\"))
    return inherited


def as_defined(value: bytes) -> bytes | None:
    """Specific Character Set in the standard's own terms, however a sender wrote them; None when one is no set."""
    written = value.decode("latin-1").split("\\")
    terms = [term for each in written if (term := _as_defined(each.strip(" \0").upper())) is not None]
    return "\\".join(terms).encode() if len(terms) == len(written) else None


def _as_defined(name: str) -> str | None:
    """A Defined Term of PS3.3 Tables C.12-2 to C.12-5; "" is the default repertoire."""
    term = _term(name) if name else ""
    if term in _WHOLE and term.isalnum() and not term.isdigit():
        return term
    if term and term not in _SETS and term not in _WHOLE:
        return None
    return f"{'ISO 2022 IR' if '2022' in name or term in _EXTENSIONS else 'ISO_IR'} {term}" if term else ""


def decode(value: bytes, charsets: tuple[str, ...]) -> str:
    """The text of ``value`` (() = default repertoire); U+FFFD for what is not in the sets. Never raises."""
    if value.isascii() and _ESCAPE not in value:
        return value.decode("ascii")
    terms = _terms(charsets)
    if codec := _WHOLE.get(terms[0]):
        return value.decode(codec, "replace")
    return "".join(_decoded(value, _initial(terms)))


def encode(text: str, charsets: tuple[str, ...]) -> bytes:
    """``text`` in the sets, with escape sequences where it needs more than the first; "?" for what is in none."""
    if text.isascii():
        return text.encode("ascii")
    terms = _terms(charsets)
    if codec := _WHOLE.get(terms[0]):
        return text.encode(codec, "replace")
    return b"".join(_encoded(text, _initial(terms), [_SETS[each] for each in terms if each in _SETS]))


@lru_cache(256)
def _terms(charsets: tuple[str, ...]) -> tuple[str, ...]:
    """Registration numbers; senders write ISO-IR, ISO IR and ISO_IR, and UTF-8 for 192."""
    return tuple(map(_term, charsets)) or ("6",)


def _term(charset: str) -> str:
    name = charset.strip().upper()
    if name in ("UTF-8", "UTF8"):
        return "192"
    number = _NUMBER.search(name) if "IR" in name else None
    return number.group() if number else (name or "6")


def _initial(terms: tuple[str, ...]) -> tuple[_Set, _Set | None]:
    """What the value begins with below and above 0x80."""
    first = _SETS.get(terms[0], _ASCII)
    below = first if first.area == 0 else _ASCII
    return below, first if first.area == 1 else None


def _decoded(value: bytes, initial: tuple[_Set, _Set | None]) -> Iterator[str]:
    active = list(initial)
    at = 0
    for found in _SEQUENCE.finditer(value):
        yield from _run(value[at : found.start()], active, initial[1])
        at = found.end()
        chosen = _ESCAPES.get(found.group())
        if chosen is None:
            yield UNKNOWN
        else:
            active[chosen.area] = chosen
    yield from _run(value[at:], active, initial[1])


def _run(run: bytes, active: list[_Set | None], first: _Set | None) -> Iterator[str]:
    """Bytes between escape sequences; where nothing is active at first above 0x80, what was active remains."""
    below = active[0]
    if below is not None and below.width == 2:
        yield from _mixed(run, active)
        return
    for piece in _DELIMITERS.split(run):
        yield from _mixed(piece, active)
        if first is not None and _DELIMITERS.fullmatch(piece):
            active[1] = first


def _mixed(piece: bytes, active: list[_Set | None]) -> Iterator[str]:
    """Runs below and above 0x80 by the set that is active there; control characters stand for themselves."""
    for found in re.finditer(rb"[\x00-\x20\x7f]+|[\x21-\x7e]+|[\x80-\xff]+", piece):
        run = found.group()
        chosen = active[run[0] >> 7]
        if run[0] <= 0x20 or run[0] == 0x7F:
            yield run.decode("ascii").replace("\x1b", UNKNOWN)
        elif chosen is None:
            yield UNKNOWN * len(run)
        else:
            yield _of_set(run, chosen)


def _of_set(run: bytes, chosen: _Set) -> str:
    if chosen.width == 1:
        if chosen.codec == "shift_jis":  # one byte each: its other half belongs to characters of two
            return "".join(bytes((each,)).decode("shift_jis", "replace") for each in run)
        return run.decode(chosen.codec, "replace")
    pairs = (bytes(each | 0x80 for each in run[at : at + 2]) for at in range(0, len(run), 2))
    return "".join((chosen.prefix + pair).decode(chosen.codec, "replace") for pair in pairs)


def _encoded(text: str, initial: tuple[_Set, _Set | None], sets: list[_Set]) -> Iterator[bytes]:
    active = list(initial)
    for character in text:
        if character in "\t\n\f\r\\^=":
            yield b"" if active[0] in initial else initial[0].escape
            active = list(initial)
        chosen, coded = _choice(character, active, sets)
        if active[chosen.area] != chosen:
            yield chosen.escape
            active[chosen.area] = chosen
        yield coded
    if active[0] != initial[0]:
        yield initial[0].escape


def _choice(character: str, active: list[_Set | None], sets: list[_Set]) -> tuple[_Set, bytes]:
    """The set that is active, else the first that has the character, and its bytes there; ASCII's "?" where none."""
    if character.isascii():
        return _ASCII, character.encode("ascii")
    for chosen in (*(each for each in active if each is not None), *sets):
        if coded := _in_set(character, chosen):
            return chosen, coded
    return _ASCII, b"?"


def _in_set(character: str, chosen: _Set) -> bytes:
    """The bytes of ``character`` in the set, b"" when it is not in it."""
    try:
        coded = character.encode(chosen.codec)
    except UnicodeEncodeError:
        return b""
    if chosen.prefix and not coded.startswith(chosen.prefix):
        return b""
    coded = coded[len(chosen.prefix) :]
    if len(coded) != chosen.width or (chosen.codec == "euc_jp" and coded[0] == 0x8E):
        return b""
    return coded if chosen.area else bytes(each & 0x7F for each in coded)
