"""What becomes of a content item by its concept: Table E.3.4-1 of PS3.15 (Clean Structured Content Option)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from services.deid.domain.options import Option
from services.deid.domain.profile import Profile


class Concept(NamedTuple):
    """A concept name with the value type of its item; the same concept may name several."""

    scheme: str
    code: str
    kind: str


class Fate(Enum):
    """What becomes of the value of a content item."""

    KEEP = "K"  # an option retains it
    CLEAN = "C"  # harmless words stay, dates as the profile says
    DUMMY = "D"
    UNLISTED = ""  # the table says nothing: by the value type


@dataclass(frozen=True)
class Concepts:
    """The table, as option codes by concept."""

    options: Mapping[Concept, Mapping[str, str]]

    def fate(self, concept: Concept, profile: Profile) -> Fate:
        """Remove (X) is a dummy too: items are referred to by their place in the tree (PS3.3 section C.17.3.2.5)."""
        row = self.options.get(concept)
        if row is None:
            return Fate.UNLISTED
        codes = {code for option, code in row.items() if profile.has(Option(option))}
        return Fate.KEEP if "K" in codes else Fate.CLEAN if "C" in codes else Fate.DUMMY


@cache
def standard_concepts() -> Concepts:
    """The table that ships with the service, read once."""
    table = json.loads((files("services.deid.domain") / "tables" / "content_concepts.json").read_text("utf-8"))
    return Concepts({Concept(row["scheme"], row["code"], row["type"]): row["options"] for row in table["rows"]})
