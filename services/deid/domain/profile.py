"""What a project's de-identification is to do: options over the Basic Profile, and on which legal basis."""

from dataclasses import dataclass
from enum import StrEnum

from services.deid.domain.options import Option


class LegalBasis(StrEnum):
    """Under what law the output counts as what; the statement repeats it."""

    SAFE_HARBOR = "safe_harbor"  # 45 CFR 164.514(b)(2)
    EXPERT = "expert"  # 45 CFR 164.514(b)(1)
    PSEUDONYMISED = "gdpr_pseudonymised"  # GDPR article 4(5)


@dataclass(frozen=True)
class Profile:
    """One profile: ``name`` and ``version`` tell it from others in reports and recalls."""

    name: str
    version: str = "1"
    options: frozenset[Option] = frozenset()
    legal_basis: LegalBasis = LegalBasis.PSEUDONYMISED

    def has(self, option: Option) -> bool:
        """Whether the option is chosen."""
        return option in self.options


#: The Basic Profile without an option.
BASIC_PROFILE = Profile("basic")
