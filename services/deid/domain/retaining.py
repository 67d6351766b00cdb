"""What of a value may stay when an option retains it (code K) or has it cleaned (code C), by its VR."""

import re
from dataclasses import dataclass
from functools import cached_property

from services.deid.domain.charset import UNKNOWN, decode, encode
from services.deid.domain.dataset import LONG, NUMERIC, Element
from services.deid.domain.dates import capped, is_offset, is_temporal, shift, to_years
from services.deid.domain.designations import leads_elsewhere
from services.deid.domain.free_text import FreeText
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.options import Option
from services.deid.domain.profile import Dates, Profile
from services.deid.domain.rules import Action, Identity, Row
from services.deid.domain.technical import are_designations
from services.deid.domain.values import (
    BINARY,
    NUMBERS,
    TEMPORAL,
    WIDTHS,
    is_coded,
    is_harmless,
    is_number,
    spells_text,
)

#: VRs with free text, several values of which are parted by backslashes, and one alone (PS3.5 section 6.2).
SEVERAL, SINGLE = frozenset(["AE", "LO", "SH", "UC"]), frozenset(["LT", "ST", "UR", "UT"])
WORDS = SEVERAL | SINGLE
TIMEZONE_OFFSET = 0x00080201
#: The number of a device: one word with a digit, maybe after what says so.
_SERIAL = re.compile(r"(?:(?:s/?n|serial|no|nr)[ .:#]{1,3})?(?=\S{0,250}\d)[^\s@^]{1,250}", re.IGNORECASE)
#: A value of a patient or a device that is retained has so many words at most.
_DESIGNATION = 4
#: A value with a 16-bit length field holds so many bytes.
_SHORT = 0xFFFE


@dataclass(frozen=True)
class Retaining:
    """Decides on values of one data set; ``days`` is by how much its patient's dates move.

    Every method gives the value that stays, or None when nothing of it may: then the Basic Profile's rule counts.
    """

    profile: Profile
    names: Identifiers
    days: int

    @cached_property
    def _words(self) -> FreeText:
        return FreeText(self.names)

    @cached_property
    def _meanings(self) -> dict[tuple[bytes, tuple[str, ...]], bytes | None]:
        return {}

    def of(self, element: Element, row: Row, action: Action, charsets: tuple[str, ...]) -> bytes | None:
        """What a row of code K or C leaves of its attribute, whatever VR that has in the data set."""
        value = element.value
        if element.tag == TIMEZONE_OFFSET and value.strip(b" \0"):
            if is_offset(value):
                return value
            # What is none may stay as a code does, by its digits: no word, and not where dates move.
            if action is not Action.KEEP or not any(0x30 <= each <= 0x39 for each in value):
                return None
        if action is Action.KEEP:
            return self.kept(value, row.vr, charsets, row.identity)
        return self.cleaned(value, row.vr, charsets)

    def kept(
        self, value: bytes, vr: str, charsets: tuple[str, ...], identity: Identity = Identity.NONE
    ) -> bytes | None:
        """A value that is retained as it is, unless it is none of its VR; of a text that names the patient, says more
        than a name of a thing does, or has the shape of somebody's data, what can be cleaned.

        ``identity``: what the value is there to identify.
        """
        if not value.strip(b" \0"):
            return value
        if vr == "AS":
            return capped(value, self.profile.oldest_age)
        if vr in WORDS:
            kept = value if self._is_designation(value, charsets, identity) else self.words(value, vr, charsets)
            return self._fits(kept, vr)
        return value if self._is_of(value, vr) else None

    def _is_designation(self, value: bytes, charsets: tuple[str, ...], identity: Identity) -> bool:
        text = decode(value, charsets).strip(" \0")
        if self.names.in_value(value, charsets):
            return False
        if identity is Identity.PLACE:
            return True
        if identity is Identity.NUMBER and _SERIAL.fullmatch(text):
            return not leads_elsewhere(text)
        return UNKNOWN not in text and are_designations(text, _DESIGNATION)

    def meaning(self, value: bytes, charsets: tuple[str, ...]) -> bytes | None:
        """The harmless words of a Code Meaning; objects repeat them, so each is cleaned once."""
        key = value, charsets
        if key not in self._meanings:
            self._meanings[key] = self.words(value, "LO", charsets)
        return self._meanings[key]

    def cleaned(self, value: bytes, vr: str, charsets: tuple[str, ...]) -> bytes | None:
        """A value of similar meaning that identifies nobody."""
        if not value.strip(b" \0"):
            return value
        if vr in TEMPORAL:
            return self.date(value, vr)
        if vr in WORDS:
            return self._fits(self.words(value, vr, charsets), vr)
        return value if vr == "CS" and self.words(value, vr, charsets) == value.strip(b" \0") else None

    def safe(self, value: bytes, vr: str, charsets: tuple[str, ...], vouched: bool = True) -> bytes | None:
        """A private value that is said to be safe: kept when it looks so, else what can be cleaned.

        ``vouched``: the standard or the site lists it. On the word of the object alone no text stays as it is.
        """
        if not vouched and (vr in WORDS or vr == "CS"):
            return self.cleaned(value, vr, charsets)
        if vr in WORDS and value.strip(b" \0"):
            harmless = is_harmless(value) and are_designations(value.rstrip(b" \0").decode("ascii"))
            harmless = harmless and not self.names.in_value(value, charsets)
            return self._fits(value if harmless else self.words(value, vr, charsets), vr)
        if vr in TEMPORAL:
            return self.date(value, vr)
        return self.kept(value, vr, charsets) if vr not in ("PN", "UN") else None

    def date(self, value: bytes, vr: str) -> bytes | None:
        """A date, time or age as the profile wants it; None where it wants none."""
        if vr == "AS":
            return capped(value, self.profile.oldest_age) if self._has(Option.PATIENT_CHARACTERISTICS) else None
        if self._has(Option.MODIFIED_DATES):
            return shift(value, vr, self.days)
        if self._has(Option.FULL_DATES):
            return value if is_temporal(value, vr) else None
        return to_years(value, vr) if self.profile.dates is Dates.YEARS else None

    def words(self, value: bytes, vr: str, charsets: tuple[str, ...]) -> bytes | None:
        """The harmless words of a text; None when there are none."""
        text = decode(value, charsets).strip(" \0")
        parts = text.split("\\") if vr in SEVERAL else [text]
        cleaned = "\\".join(self._words.clean(part) for part in parts)
        return encode(cleaned, charsets) if cleaned.strip("\\ ") else None

    def _is_of(self, value: bytes, vr: str) -> bool:
        """Whether ``value`` is what its VR may hold, and spells nothing of the patient."""
        if vr in NUMERIC | BINARY:
            whole = not len(value) % WIDTHS.get(vr, 1)
            return whole and not self.names.in_numbers(value, vr) and not spells_text(value, vr)
        if vr in TEMPORAL:
            return is_temporal(value, vr)
        if vr in NUMBERS:
            return is_number(value) and not self.names.in_decimals(value)
        return vr == "CS" and is_coded(value) and not self.names.in_value(value)

    def _has(self, option: Option) -> bool:
        return self.profile.has(option)

    def _fits(self, value: bytes | None, vr: str) -> bytes | None:
        return value if value is not None and (vr in LONG or len(value) <= _SHORT) else None
