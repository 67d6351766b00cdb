"""What becomes of a content item by its concept: Table E.3.4-1 of PS3.15 (Clean Structured Content), and our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import NamedTuple

from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import Identity
from services.deid.domain.tables import shipped


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


class About(Enum):
    """What of the Patient Module a concept says."""

    NOTHING = ""
    AGE = "age"
    CHARACTERISTIC = "characteristic"
    IDENTITY = "identity"


#: What the values are that an option retains.
_IDENTITIES = {Option.DEVICE_IDENTITY: Identity.NUMBER, Option.INSTITUTION_IDENTITY: Identity.PLACE}


@dataclass(frozen=True)
class Concepts:
    """The table, as option codes by concept; ``patient`` has what else speaks of the patient, by scheme and code."""

    options: Mapping[Concept, Mapping[str, str]]
    patient: Mapping[tuple[str, str], About]

    def about(self, concept: Concept) -> About:
        """What of the patient an item says, whatever its value type."""
        return self.patient.get((concept.scheme, concept.code), About.NOTHING)

    def fate(self, concept: Concept, profile: Profile) -> Fate:
        """Remove (X) is a dummy too: items are referred to by their place in the tree (PS3.3 section C.17.3.2.5)."""
        about = self.about(concept)
        if about is not About.NOTHING:
            is_kept = about is not About.IDENTITY and profile.has(Option.PATIENT_CHARACTERISTICS)
            return Fate.KEEP if is_kept else Fate.DUMMY
        row = self.options.get(concept)
        if row is None:
            return Fate.UNLISTED
        codes = {code for option, code in row.items() if profile.has(Option(option))}
        return Fate.KEEP if "K" in codes else Fate.CLEAN if "C" in codes else Fate.DUMMY

    def identity(self, concept: Concept, profile: Profile) -> Identity:
        """What a value is there to identify that an option of ``profile`` retains."""
        row = self.options.get(concept, {})
        kept = (found for option, found in _IDENTITIES.items() if row.get(option) == "K" and profile.has(option))
        return next(kept, Identity.NONE)


@cache
def standard_concepts() -> Concepts:
    """The tables that ship with the service, read once."""
    table = shipped("content_concepts.json")
    patient = shipped("patient_concepts.yaml")
    return Concepts(
        {Concept(row["scheme"], row["code"], row["type"]): row["options"] for row in table["rows"]},
        {
            (scheme, code): About(kind)
            for kind, schemes in patient.items()
            for scheme, codes in schemes.items()
            for code in codes
        },
    )
