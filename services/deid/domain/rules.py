"""What becomes of each attribute: Table E.1-1 of PS3.15, the Types of PS3.3, and our supplement, as one lookup."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache, cached_property, lru_cache
from typing import Any

from services.deid.domain.codes import Schemes
from services.deid.domain.dataset import PIXEL_DATA
from services.deid.domain.dictionary import known_vr
from services.deid.domain.options import Option
from services.deid.domain.profile import Dates, Profile, SiteRule, Wish
from services.deid.domain.tables import shipped


class Identity(Enum):
    """What a retained text identifies by intention, and so may look like."""

    NONE = ""
    NUMBER = "number"  # of a device
    PLACE = "place"


class Action(Enum):
    """What is done to an element (PS3.15 Table E.1-1a); EXAMINE is for what the table does not list."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    NEW_UIDS = "U"
    CLEAN_ITEMS = "U*"
    KEEP = "K"
    CLEAN = "C"
    EXAMINE = ""

    #: Members are single objects; the hash of the base class is computed anew each time.
    __hash__ = object.__hash__


@lru_cache(maxsize=256)
def resolve(code: str, kind: str | None) -> Action:
    """The action of a code of Table E.1-1 for an attribute of Type ``kind`` (1, 1C, 2, 2C; None for 3 or unknown).

    Compound codes take the first that keeps the object conformant. Z on a Type 1 attribute is a dummy, because an empty
    value is none (PS3.5 section 7.4.1), and so is X: some listed attributes must be there (Presentation Creation Date).
    References stay with new UIDs (U*) wherever the code has the choice, because other attributes count on them
    (Referenced Series Sequence of a segmentation).
    """
    choices = code.split("/")
    if code in ("K", "C"):
        return Action(code)
    if "U*" in choices:
        return Action.CLEAN_ITEMS
    if kind in ("1", "1C"):
        absent = "X" if code == "X" and kind == "1C" else "D"
        return Action(next((each for each in ("D", "U") if each in choices), absent))
    if kind in ("2", "2C") or choices[0] == "Z":
        return Action(next((each for each in ("Z", "D") if each in choices), choices[0]))
    return Action(choices[0])


#: Where a rule comes from: the column of the Basic Profile, the name of an option, the site's profile.
BASIC, SITE = "basic", "profile"
_TEMPORAL = frozenset(["DA", "DT", "TM"])
_WISHES = {Wish.KEEP: "K", Wish.CLEAN: "C", Wish.REMOVE: "X", Wish.EMPTY: "Z", Wish.REPLACE: "D"}


@dataclass(frozen=True)
class Row:
    """One row of Table E.1-1; ``options`` are the columns of the option profiles, ``identity`` is the supplement's.

    ``code`` is what the row says under a profile and ``source`` why; ``text`` is a dummy of the site's.
    """

    tag: str
    name: str
    vr: str
    basic: str
    options: Mapping[str, str] = field(default_factory=dict)
    chosen: str | None = None
    source: str = BASIC
    text: str = ""
    identity: Identity = Identity.NONE

    @property
    def code(self) -> str:
        """The code that counts."""
        return self.chosen or self.basic

    def under(self, profile: Profile) -> "Row":
        """The row with the options of ``profile``.

        Of several options that speak of a value, modified dates win over a K, since one date that stays gives the
        shift away; then K over C, as the one who retains an identity wants it as it is.
        """
        codes = {option: self.options[option] for option in sorted(profile.options) if option in self.options}
        if self.vr in _TEMPORAL and Option.MODIFIED_DATES in codes:
            return replace(self, chosen="C", source=Option.MODIFIED_DATES)
        if codes:
            source = next((option for option, code in codes.items() if code == "K"), next(iter(codes)))
            return replace(self, chosen=codes[source], source=source)
        if profile.dates is Dates.YEARS and self.vr in _TEMPORAL and Option.MODIFIED_DATES in self.options:
            return replace(self, chosen="C", source=f"dates: {Dates.YEARS}")
        return self


@dataclass(frozen=True)
class Rules:
    """All rules by tag. ``types`` holds Types by (IOD, tag) at top level and by (sequence, tag) below;
    ``technical_text`` are the attributes of ``safe_text`` that people fill in; of ``places`` words are searched for."""

    edition: str
    rows: Mapping[int, Row]
    removed: frozenset[int]
    removed_groups: frozenset[int]
    safe_text: frozenset[int]
    technical_text: frozenset[int]
    typed_codes: frozenset[int]
    safe_dates: frozenset[int]
    safe_binary: frozenset[int]
    class_uids: frozenset[int]
    identifying: frozenset[int]
    places: frozenset[int]
    public_schemes: Schemes
    common_words: frozenset[str]
    technical_words: frozenset[str]
    iods: Mapping[str, str]
    types: Mapping[tuple[str | int, int], str]
    safe_private: Mapping[tuple[int, str, int], str] = field(default_factory=dict)

    @cached_property
    def searched(self) -> frozenset[int]:
        """Attributes that are searched for, or words of them."""
        return self.identifying | self.places

    def under(self, profile: Profile) -> "Rules":
        """The rules as the options and the site's own rules in ``profile`` make them.

        What is retained is no longer searched for: it stands in the object by intention.
        """
        rows = {tag: row.under(profile) for tag, row in self.rows.items()}
        for tag, rule in profile.attributes.items():
            rows[tag] = _site_row(tag, rule, rows.get(tag))
        kept = {tag for tag, row in rows.items() if row.code == "K"}
        safe = {**self.safe_private, **profile.private} if profile.has(Option.SAFE_PRIVATE) else {}
        identifying, places = self.identifying - kept, self.places - kept
        return replace(self, rows=rows, identifying=identifying, places=places, safe_private=safe)

    def site_removes(self, tag: int) -> bool:
        """True for an attribute that the site's own profile has removed, emptied or replaced."""
        row = self.rows.get(tag)
        return row is not None and row.source == SITE and row.code not in ("K", "C")

    def goes_always(self, tag: int) -> bool:
        """True for private attributes, group lengths and what the supplement removes."""
        group = tag >> 16
        return bool(group & 1) or not tag & 0xFFFF or group in self.removed_groups or tag in self.removed

    def action(self, tag: int, kind: str | None) -> Action:
        """What is done to the attribute when its Type is ``kind``."""
        row = self.rows.get(tag)
        return resolve(row.code, kind) if row else Action.EXAMINE

    def kind(self, where: str | int, tag: int) -> str | None:
        """The Type of ``tag`` in an IOD (by SOP class UID) or below a sequence (by its tag); None for 3 or unknown."""
        return self.types.get((self.iods.get(where, "") if isinstance(where, str) else where, tag))


@cache
def standard_rules() -> Rules:
    """The rules that ship with the service, read once."""
    profile = shipped("basic_profile.json")
    types = shipped("attribute_types.json")
    private = shipped("safe_private.json")
    supplement = shipped("supplement.yaml")
    return make_rules(profile, types, supplement, private)


def make_rules(
    profile: dict[str, Any], types: dict[str, Any], supplement: dict[str, Any], private: dict[str, Any]
) -> Rules:
    """Rules from the four documents in ``tables``. Raises KeyError or ValueError where one is malformed."""
    identities = {tag: kind for kind, tags in supplement["identities"].items() for tag in tags}
    rows = [Row(**row, identity=Identity(identities.get(row["tag"], ""))) for row in profile["rows"]]
    return Rules(
        edition=profile["edition"],
        rows={int(row.tag, 16): row for row in rows if "x" not in row.tag},
        removed=_tags(supplement["removed"]) | PIXEL_DATA,
        removed_groups=frozenset(group for pattern in supplement["removed_groups"] for group in _groups(pattern)),
        safe_text=_tags(supplement["safe_text"]) | _tags(supplement["technical_text"]),
        technical_text=_tags(supplement["technical_text"]),
        typed_codes=_tags(supplement["typed_codes"]),
        safe_dates=_tags(supplement["safe_dates"]),
        safe_binary=_tags(supplement["safe_binary"]),
        class_uids=_tags(supplement["class_uids"]),
        identifying=_tags(supplement["identifying"]),
        places=_tags(supplement["places"]),
        public_schemes={name: re.compile(shape) for name, shape in supplement["public_schemes"].items()},
        common_words=frozenset(supplement["common_words"]),
        technical_words=frozenset((*supplement["common_words"], *supplement["technical_words"])),
        iods=types["sop_classes"],
        types=_types(types),
        safe_private=_safe_private(private, supplement["unsafe_private"]),
    )


def _site_row(tag: int, rule: SiteRule, row: Row | None) -> Row:
    """A site's rule in place of a row's; where the value may not be kept, the row's own rule counts."""
    own = row or Row(f"{tag:08X}", "", known_vr(tag) or "UN", "X")
    return replace(own, chosen=_WISHES[rule.wish], source=SITE, text=rule.text)


def _safe_private(table: dict[str, Any], unsafe: dict[str, Any]) -> dict[tuple[int, str, int], str]:
    """VRs of private elements by group, creator and element; without those that the supplement takes out."""
    found: dict[tuple[int, str, int], str] = {}
    for creator, elements in table["elements"].items():
        for element, vr in elements.items():
            group, number = element.split(",")
            if element not in unsafe.get(creator, {}):
                found[int(group, 16), creator, int(number, 16)] = vr
    return found


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
