"""Attributes as people name them: by keyword (PS3.6 chapter 6) or by tag."""

import re
from functools import cache
from typing import Any

from services.deid.domain.tables import shipped

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?")


@cache
def keywords() -> dict[str, int]:
    """Tags by keyword; read where a profile is read or described, not where objects are cleaned."""
    return {keyword: int(tag, 16) for keyword, tag in _table()["keywords"].items()}


@cache
def names() -> dict[int, str]:
    """Keywords by tag."""
    return {tag: keyword for keyword, tag in keywords().items()}


def multiplicity_of(tag: int) -> str:
    """How many values an attribute of a VR of characters has, as PS3.6 writes it: 1, 1-3, 2-n, 2-2n."""
    return _multiplicities().get(tag, "1")


@cache
def _multiplicities() -> dict[int, str]:
    """Those that are not 1."""
    listed = _table()["multiplicities"].items()
    return {int(tag, 16): multiplicity for multiplicity, lines in listed for tag in " ".join(lines).split()}


def _table() -> dict[str, Any]:
    found: dict[str, Any] = shipped("keywords.json")
    return found


def tag_of(text: str) -> int | None:
    """The tag that ``text`` names: ``PatientSize``, ``(0010,1020)`` or ``0010,1020``; None when it names none."""
    parts = _TAG.fullmatch(text)
    return int(parts[1] + parts[2], 16) if parts else keywords().get(text)


def shown(tag: int) -> str:
    """The tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
