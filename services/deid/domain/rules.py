"""What becomes of each attribute: Table E.1-1 of PS3.15, the Types of PS3.3, and our supplement, as one lookup."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from services.deid.domain.dataset import PIXEL_DATA

PROFILE_CODE, PROFILE_NAME = "113100", "Basic Application Confidentiality Profile"


class Action(Enum):
    """What is done to an element (PS3.15 Table E.1-1a); EXAMINE is for what the table does not list."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    NEW_UIDS = "U"
    CLEAN_ITEMS = "U*"
    EXAMINE = ""


def resolve(code: str, kind: str | None) -> Action:
    """The action of a code of Table E.1-1 for an attribute of Type ``kind`` (1, 1C, 2, 2C; None for 3 or unknown).

    Compound codes take the first that keeps the object conformant; Z on a Type 1 attribute is a dummy, because an
    empty value is none (PS3.5 section 7.4.1).
    """
    choices = code.split("/")
    if kind in ("1", "1C"):
        return Action(next((each for each in ("D", "U*", "U") if each in choices), "X" if code == "X" else "D"))
    if kind in ("2", "2C") or choices[0] == "Z":
        return Action(next((each for each in ("Z", "D") if each in choices), choices[0]))
    return Action(choices[0])


@dataclass(frozen=True)
class Row:
    """One row of Table E.1-1; ``options`` are the columns of the option profiles, for later."""

    tag: str
    name: str
    vr: str
    basic: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """All rules by tag. ``types`` holds Types by (IOD, tag) at top level and by (sequence, tag) below."""

    edition: str
    rows: Mapping[int, Row]
    removed: frozenset[int]
    removed_groups: frozenset[int]
    safe_text: frozenset[int]
    safe_dates: frozenset[int]
    safe_binary: frozenset[int]
    class_uids: frozenset[int]
    identifying: frozenset[int]
    public_schemes: frozenset[str]
    common_words: frozenset[str]
    iods: Mapping[str, str]
    types: Mapping[tuple[str | int, int], str]

    def goes_always(self, tag: int) -> bool:
        """True for private attributes, group lengths and what the supplement removes."""
        group = tag >> 16
        return bool(group & 1) or not tag & 0xFFFF or group in self.removed_groups or tag in self.removed

    def action(self, tag: int, kind: str | None) -> Action:
        """What is done to the attribute when its Type is ``kind``."""
        row = self.rows.get(tag)
        return resolve(row.basic, kind) if row else Action.EXAMINE

    def kind(self, where: str | int, tag: int) -> str | None:
        """The Type of ``tag`` in an IOD (by SOP class UID) or below a sequence (by its tag); None for 3 or unknown."""
        return self.types.get((self.iods.get(where, "") if isinstance(where, str) else where, tag))


@cache
def standard_rules() -> Rules:
    """The rules that ship with the service, read once."""
    folder = files("services.deid.domain") / "tables"
    profile = json.loads((folder / "basic_profile.json").read_text("utf-8"))
    types = json.loads((folder / "attribute_types.json").read_text("utf-8"))
    return make_rules(profile, types, yaml.safe_load((folder / "supplement.yaml").read_text("utf-8")))


def make_rules(profile: dict[str, Any], types: dict[str, Any], supplement: dict[str, Any]) -> Rules:
    """Rules from the three documents in ``tables``. Raises KeyError or ValueError where one is malformed."""
    rows = [Row(**row) for row in profile["rows"]]
    return Rules(
        edition=profile["edition"],
        rows={int(row.tag, 16): row for row in rows if "x" not in row.tag},
        removed=_tags(supplement["removed"]) | PIXEL_DATA,
        removed_groups=frozenset(group for pattern in supplement["removed_groups"] for group in _groups(pattern)),
        safe_text=_tags(supplement["safe_text"]),
        safe_dates=_tags(supplement["safe_dates"]),
        safe_binary=_tags(supplement["safe_binary"]),
        class_uids=_tags(supplement["class_uids"]),
        identifying=_tags(supplement["identifying"]),
        public_schemes=frozenset(map(str, supplement["public_schemes"])),
        common_words=frozenset(supplement["common_words"]),
        iods=types["sop_classes"],
        types=_types(types),
    )


def _tags(listed: Iterable[str]) -> frozenset[int]:
    return frozenset(int(tag, 16) for tag in listed)


def _groups(pattern: str) -> Iterable[int]:
    """The groups of ``60xx``: repeating groups are the even ones from xx00 to xxFF (PS3.5 section 7.6)."""
    if pattern.endswith("xx"):
        return range(int(pattern[:2] + "00", 16), int(pattern[:2] + "FF", 16) + 1)
    return (int(pattern, 16),)


def _types(document: dict[str, Any]) -> dict[tuple[str | int, int], str]:
    found: dict[tuple[str | int, int], str] = {}
    for iod, kinds in document["iods"].items():
        found.update({(iod, int(tag, 16)): kind for kind, lines in kinds.items() for tag in " ".join(lines).split()})
    for kind, lines in document["nested"].items():
        for key in " ".join(lines).split():
            sequence, tag = key.split("/")
            found[int(sequence, 16), int(tag, 16)] = kind
    return found
