"""Attributes as people name them: by keyword (PS3.6 chapter 6) or by tag."""

import json
import re
from functools import cache
from importlib.resources import files

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?")


@cache
def keywords() -> dict[str, int]:
    """Tags by keyword; read where a profile is read or described, not where objects are cleaned."""
    table = json.loads((files("services.deid.domain") / "tables" / "keywords.json").read_text("utf-8"))
    return {keyword: int(tag, 16) for keyword, tag in table["keywords"].items()}


@cache
def names() -> dict[int, str]:
    """Keywords by tag."""
    return {tag: keyword for keyword, tag in keywords().items()}


def tag_of(text: str) -> int | None:
    """The tag that ``text`` names: ``PatientSize``, ``(0010,1020)`` or ``0010,1020``; None when it names none."""
    parts = _TAG.fullmatch(text)
    return int(parts[1] + parts[2], 16) if parts else keywords().get(text)


def shown(tag: int) -> str:
    """The tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
