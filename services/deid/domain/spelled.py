"""Identifiers as bytes of an encoded header: what parts it for the search, and what counts as finding one."""

import re
from collections.abc import Iterator

from services.deid.domain.known_values import SHORTEST

#: More bytes of identifiers than this name no patient: a pattern takes a hundred times its length in memory.
MOST = 4096
#: So much of a header is folded at a time; two pieces share what an identifier may take.
WINDOW = 1024 * 1024

_SEPARATORS = re.compile(rb"[^a-z0-9\x80-\xff]+")
_LETTERS = re.compile(rb"[a-z]+")
#: The digits of new UIDs are random, and those of the standard's own are nobody's.
_NO_ONES_UID = re.compile(rb"2\.25\.\d{1,39}|1\.2\.840\.10008(?:\.\d{1,9}){1,12}")
_FRACTION = re.compile(rb"(?:^|[^\d.])\d+\.$")


def pieces(header: bytes, made: bytes) -> Iterator[bytes]:
    """All that stands between what is made of a key and spells anything by chance: new UIDs, and ``made``; folded."""
    start = 0
    random = re.compile(_NO_ONES_UID.pattern + b"|" + re.escape(made)) if made else _NO_ONES_UID
    for found in random.finditer(header):
        yield from _windows(header, start, found.start())
        start = found.end()
    yield from _windows(header, start, len(header))


def _windows(header: bytes, start: int, end: int) -> Iterator[bytes]:
    """Bytes ``start`` to ``end`` in pieces of bounded size, each identifier whole in one, with what is around it."""
    while start < end:
        stop = min(end, start + WINDOW)
        yield header[start:stop].lower()
        start = stop if stop == end else stop - MOST - 2


def stands_alone(uid: bytes, header: bytes) -> bool:
    """True when ``uid`` is in ``header`` and not only as part of a longer one."""
    at = header.find(uid)
    while at >= 0:
        around = header[at - 1 : at] + header[at + len(uid) : at + len(uid) + 1]
        if not any(each in b".0123456789" for each in around):
            return True
        at = header.find(uid, at + 1)
    return False


def expression(value: bytes) -> bytes:
    """Digits must not be part of a longer number, zeros before them apart, and four letters not of a longer word."""
    escaped = re.escape(value)
    if value.isdigit():
        return rb"(?<!\d)0*" + escaped + rb"(?!\d)"
    if len(value) == SHORTEST and _LETTERS.fullmatch(value):
        return rb"(?<![a-z])" + escaped + rb"(?![a-z])"
    return escaped


def counts(folded: bytes, found: re.Match[bytes]) -> bool:
    """False for up to seven digits that are the fraction of a decimal."""
    text, start = found.group().lstrip(b"0"), found.start()
    return len(text) > 7 or not text.isdigit() or _FRACTION.search(folded[max(0, start - 40) : start]) is None


def squeezed(value: bytes) -> bytes:
    """Letters and digits alone: 12-345/67 is the same number as 1234567."""
    return _SEPARATORS.sub(b"", value)
