"""What a project's de-identification is to do: options over the Basic Profile, and on which legal basis."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from services.deid.domain.options import Option
from services.deid.domain.pictures.policy import PicturePolicy

#: Ages from here on are one category (45 CFR 164.514(b)(2)(i)(C)), in years.
OLDEST_AGE = 90


class LegalBasis(StrEnum):
    """Under what law the output counts as what; the statement repeats it."""

    SAFE_HARBOR = "safe_harbor"  # 45 CFR 164.514(b)(2)
    EXPERT = "expert"  # 45 CFR 164.514(b)(1)
    PSEUDONYMISED = "gdpr_pseudonymised"  # GDPR article 4(5)


class Dates(StrEnum):
    """What becomes of dates where no option retains them."""

    REMOVED = "removed"
    YEARS = "years"


class Wish(StrEnum):
    """What a site wants done to a single attribute."""

    KEEP = "keep"
    CLEAN = "clean"
    REMOVE = "remove"
    EMPTY = "empty"
    REPLACE = "replace"


class SiteRule(NamedTuple):
    """A site's rule for one attribute; ``text`` is what replaces its value."""

    wish: Wish
    text: str = ""


@dataclass(frozen=True)
class Profile:
    """One profile: ``name`` and ``version`` tell it from others in reports and recalls.

    ``attributes`` are rules of the site by tag; ``private`` are VRs of elements that the site knows to be safe, by
    group, creator and the last two digits of the element; ages of ``oldest_age`` years and more become that age.
    """

    name: str
    version: str = "1"
    options: frozenset[Option] = frozenset()
    legal_basis: LegalBasis = LegalBasis.PSEUDONYMISED
    dates: Dates = Dates.REMOVED
    oldest_age: int = OLDEST_AGE
    attributes: Mapping[int, SiteRule] = field(default_factory=dict)
    private: Mapping[tuple[int, str, int], str] = field(default_factory=dict)
    held_classes: frozenset[str] = frozenset()
    hold_faces: bool = False
    pictures: PicturePolicy = field(default_factory=PicturePolicy)

    def has(self, option: Option) -> bool:
        """Whether the option is chosen."""
        return option in self.options

    @property
    def holds_faces(self) -> bool:
        """Whether what may show a face waits for a decision: it is asked for, or an option can't be met otherwise."""
        return self.hold_faces or self.has(Option.CLEAN_VISUAL_FEATURES)

    @property
    def random_ids(self) -> bool:
        """Whether pseudonyms may not be derived from what they stand for (45 CFR 164.514(c)(1))."""
        return self.legal_basis is LegalBasis.SAFE_HARBOR


#: The Basic Profile without an option.
BASIC_PROFILE = Profile("basic")
