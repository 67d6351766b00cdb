"""What in a profile contradicts itself, its legal basis, or what can be done (PS3.15 section E.3, 45 CFR 164.514)."""

from collections.abc import Iterator
from typing import NamedTuple

from services.deid.domain.content.contents import BY_CONTENT
from services.deid.domain.dictionary import known_vr
from services.deid.domain.keywords import shown
from services.deid.domain.options import Option
from services.deid.domain.pictures.policy import PicturePolicy
from services.deid.domain.profile import OLDEST_AGE, Dates, LegalBasis, Profile, SiteRule, Wish
from services.deid.domain.replacing import REPLACEABLE
from services.deid.domain.rules import Rules
from services.deid.domain.values import TEMPORAL

#: Without these an object is none, or the result could not be told from its original (PS3.3 section C.12.1).
OBLIGATORY = frozenset({0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00080005})
#: Set by de-identification itself.
OWN = frozenset({0x00100010, 0x00100020, 0x00120062, 0x00120063, 0x00120064, 0x00280303})
#: The pixels themselves are read by these (PS3.3 section C.7.6.3): samples and their bits, size, frames, palettes.
DESCRIBES_PIXELS = frozenset(
    (
        0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102,
        0x00280103, 0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222,
        0x00281223,
    )
)  # fmt: skip

_DATES = (Option.FULL_DATES, Option.MODIFIED_DATES)
#: Identifiers of 45 CFR 164.514(b)(2)(i) that an option would retain.
_HARBOR = {
    Option.FULL_DATES: "safe harbor allows years only (C)",
    Option.MODIFIED_DATES: "safe harbor allows years only (C), moved dates are dates still",
    Option.RETAIN_UIDS: "a UID of the original is a unique identifying number (R)",
    Option.DEVICE_IDENTITY: "device identifiers and serial numbers are listed (M)",
    Option.INSTITUTION_IDENTITY: "an institution's address is a subdivision smaller than a state (B)",
}


class Contradiction(NamedTuple):
    """What is wrong; ``about``: keys of the profile, options or tags that it is about, the nearest first."""

    text: str
    about: tuple[object, ...]


def contradictions(profile: Profile, rules: Rules) -> Iterator[Contradiction]:
    """Everything that is, in no order."""
    yield from _of_options(profile)
    if profile.legal_basis is LegalBasis.SAFE_HARBOR:
        yield from _of_safe_harbor(profile)
    for tag, rule in profile.attributes.items():
        for text in _of_attribute(tag, rule, profile, rules):
            yield Contradiction(text, (tag, "attributes"))
    if profile.private and not profile.has(Option.SAFE_PRIVATE):
        yield Contradiction("'safe_private' counts with the option retain_safe_private only", ("safe_private",))
    if profile.pictures != PicturePolicy() and not profile.has(Option.CLEAN_PIXEL_DATA):
        yield Contradiction("'pictures' counts with the option clean_pixel_data only", ("pictures",))


def _of_options(profile: Profile) -> Iterator[Contradiction]:
    if all(profile.has(option) for option in _DATES):
        yield Contradiction(
            "retain_longitudinal_full_dates keeps dates and retain_longitudinal_modified_dates moves them: choose one",
            (Option.MODIFIED_DATES,),
        )
    if profile.dates is Dates.YEARS and any(profile.has(option) for option in _DATES):
        yield Contradiction("'dates: years' leaves years only, an option retains more: choose one", ("dates",))
    if not 1 <= profile.oldest_age <= 150:
        yield Contradiction("'oldest_age' must be between 1 and 150 years", ("oldest_age",))


def _of_safe_harbor(profile: Profile) -> Iterator[Contradiction]:
    for option, why in _HARBOR.items():
        if profile.has(option):
            yield Contradiction(f"{option} contradicts legal_basis safe_harbor: {why}", (option, "legal_basis"))
    if profile.oldest_age > OLDEST_AGE:
        yield Contradiction(
            "'oldest_age' may be 90 at most with legal_basis safe_harbor: all ages over 89 are one category (C)",
            ("oldest_age",),
        )


def _of_attribute(tag: int, rule: SiteRule, profile: Profile, rules: Rules) -> Iterator[str]:
    name, vr = shown(tag), known_vr(tag)
    if tag >> 16 & 1:
        yield f"{name} is private: it can stay with 'safe_private' only"
    elif rules.goes_always(tag):
        yield f"{name} is removed whatever a profile says (tables/supplement.yaml)"
    elif tag in BY_CONTENT and rule.wish in (Wish.KEEP, Wish.CLEAN):
        yield f"{name} is cleaned by what it is: an option may say how (docs/adr/0034)"
    elif tag in OWN:
        yield f"{name} is set by de-identification itself"
    elif tag in OBLIGATORY:
        yield f"{name} must be there and be what it is: no rule of a site's is possible"
    elif tag in DESCRIBES_PIXELS and rule.wish is not Wish.KEEP:
        yield f"{name} says how pixels are stored, which nobody could read without it: '{rule.wish}' is not possible"
    elif (rule.wish is Wish.REPLACE and vr not in REPLACEABLE) or (rule.wish is Wish.CLEAN and vr in ("UI", "PN")):
        yield f"{name} has VR {vr}: '{rule.wish}' is not possible"
    elif rule.wish in (Wish.KEEP, Wish.CLEAN):
        yield from _of_kept(tag, rule, profile, rules)


def _of_kept(tag: int, rule: SiteRule, profile: Profile, rules: Rules) -> Iterator[str]:
    name, vr, row = shown(tag), known_vr(tag) or "", rules.rows.get(tag)
    columns = row.options if row else {}
    if vr == "PN" or (tag in rules.identifying and "K" not in columns.values()):
        yield f"{name} names the patient, a person or the case: no profile keeps it"
    elif vr in TEMPORAL and vr != "AS" and profile.has(Option.MODIFIED_DATES) and rule.wish is Wish.KEEP:
        yield f"{name} may not be kept where dates move: one date that stays gives the others away"
    elif profile.legal_basis is LegalBasis.SAFE_HARBOR:
        if vr in TEMPORAL and vr != "AS" and (rule.wish is Wish.KEEP or profile.dates is not Dates.YEARS):
            yield f"{name} may not be kept with legal_basis safe_harbor: years only ('dates: years')"
        refused = sorted(option for option in columns if Option(option) in _HARBOR and vr not in TEMPORAL)
        if refused:
            yield f"{name} may not be kept with legal_basis safe_harbor: {_HARBOR[Option(refused[0])]}"
