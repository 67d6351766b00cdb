"""The standard's dictionary: value representations of attributes (PS3.6 chapter 6) and registered UIDs (annex A).

A table made from pydicom's, because importing pydicom costs more memory than everything else in this domain.
"""

import re
from functools import cache
from typing import NamedTuple

from services.deid.domain.tables import shipped

#: Where the dictionary leaves a choice, the VR that takes any bytes of that kind.
_CHOICES = {"US or SS": "US", "US or OW": "OW", "US or SS or OW": "OW", "OB or OW": "OW"}


class Pattern(NamedTuple):
    """Tags of a repeating group (PS3.5 section 7.6): those that equal ``value`` under ``mask``."""

    mask: int
    value: int
    vr: str


class Dictionary(NamedTuple):
    """VRs by tag, patterns by the first byte of their tags, UIDs."""

    vrs: dict[int, str]
    patterns: dict[int, list[Pattern]]
    uids: frozenset[str]


def known_vr(tag: int) -> str | None:
    """The VR of a standard attribute, None for one that the dictionary does not know (private ones among them)."""
    found = _dictionary()
    vr = found.vrs.get(tag)
    if vr is None and not tag >> 16 & 1:
        patterns = found.patterns.get(tag >> 24, ())
        vr = next((pattern.vr for pattern in patterns if tag & pattern.mask == pattern.value), None)
    return vr


@cache
def tags_of(vr: str) -> frozenset[int]:
    """Every attribute of a VR, but for repeating groups."""
    return frozenset(tag for tag, known in _dictionary().vrs.items() if known == vr)


def is_registered(uid: str) -> bool:
    """True for UIDs that the standard itself assigns, among them the well-known instances."""
    return uid in _dictionary().uids


@cache
def _dictionary() -> Dictionary:
    """The table that ships with the service, read once."""
    table = shipped("dictionary.json")
    vrs = {int(tag, 16): _CHOICES.get(vr, vr) for vr, lines in table["vrs"].items() for tag in " ".join(lines).split()}
    patterns: dict[int, list[Pattern]] = {}
    for text, vr in table["repeating"].items():
        mask = int(re.sub("[0-9A-F]", "F", text).replace("x", "0"), 16)
        pattern = Pattern(mask, int(text.replace("x", "0"), 16), _CHOICES.get(vr, vr))
        patterns.setdefault(int(text[:2], 16), []).append(pattern)
    return Dictionary(vrs, patterns, frozenset(" ".join(table["uids"]).split()))
