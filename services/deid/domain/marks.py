"""The attributes by which a de-identified object says what was done to it (PS3.15 section E.1.1 and E.3)."""

from services.deid.domain.dataset import Element, Elements
from services.deid.domain.options import BASIC, Code, Option
from services.deid.domain.profile import Dates, LegalBasis, Profile

CODE_VALUE, CODING_SCHEME, CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
#: Patient's Name and Patient ID hold the pseudonym, whatever the table and a profile say of them.
PSEUDONYMS = {0x00100010: "PN", 0x00100020: "LO"}
#: What ``marks`` writes, in place of whatever stood there.
MARKS = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280303))
BURNED_IN, VISUAL_FEATURES = 0x00280301, 0x00280302
#: What no header alone can carry out, and the attribute that says NO where it was (PS3.15 sections E.3.1 and E.3.2).
PIXEL_OPTIONS = {Option.CLEAN_PIXEL_DATA: BURNED_IN, Option.CLEAN_VISUAL_FEATURES: VISUAL_FEATURES}
#: LO holds so many characters (PS3.5 section 6.2).
_LONGEST = 64

_BASES = {
    LegalBasis.SAFE_HARBOR: "45 CFR 164.514(b)(2) safe harbor",
    LegalBasis.EXPERT: "45 CFR 164.514(b)(1) expert determination",
    LegalBasis.PSEUDONYMISED: "GDPR article 4(5) pseudonymised",
}


def marks(edition: str, profile: Profile, carried_out: frozenset[Option]) -> Elements:
    """Patient Identity Removed, the methods as text and codes, and what became of dates.

    ``carried_out`` are the options whose work was really done to this object.
    """
    method = "\\".join(text[:_LONGEST] for text in _methods(edition, profile, carried_out))
    codes = (BASIC, *(option.code for option in Option if option in carried_out))
    return (
        Element(0x00120062, "CS", b"YES"),
        Element(0x00120063, "LO", method.encode()),
        Element(0x00120064, "SQ", items=tuple(_item(code) for code in codes)),
        Element(0x00280303, "CS", modified_dates(profile).encode()),
    )


def with_options_told(
    elements: Elements, edition: str, profile: Profile, seen: frozenset[Option], *, shows: bool
) -> Elements:
    """A cleaned data set that also says which ``PIXEL_OPTIONS`` were carried out on it: those ``seen`` to be.

    ``shows``: it has pixels, or a document that may be looked at; another object has no attribute to say NO with,
    unless one is there (PS3.3 sections C.7.6.1 and C.24.2).
    """
    kept = {element.tag: element for element in elements}
    carried_out = profile.options - PIXEL_OPTIONS.keys() | seen
    kept.update((element.tag, element) for element in marks(edition, profile, carried_out))
    flags = (PIXEL_OPTIONS[option] for option in seen)
    kept.update((tag, Element(tag, "CS", b"NO")) for tag in flags if shows or tag in kept)
    return tuple(kept[tag] for tag in sorted(kept))


def modified_dates(profile: Profile) -> str:
    """Longitudinal Temporal Information Modified (PS3.3 section C.7.6.1)."""
    if profile.has(Option.MODIFIED_DATES) or profile.dates is Dates.YEARS:
        return "MODIFIED"
    return "UNMODIFIED" if profile.has(Option.FULL_DATES) else "REMOVED"


def _methods(edition: str, profile: Profile, carried_out: frozenset[Option]) -> tuple[str, ...]:
    what = BASIC.meaning if Option.CLEAN_PIXEL_DATA in carried_out else f"{BASIC.meaning}, header only"
    return (
        f"Causeway: PS3.15 {edition} Table E.1-1",
        what,
        f"Profile {profile.name}, version {profile.version}",
        _BASES[profile.legal_basis],
    )


def _item(code: Code) -> Elements:
    return (
        Element(CODE_VALUE, "SH", code.value.encode()),
        Element(CODING_SCHEME, "SH", b"DCM"),
        Element(CODE_MEANING, "LO", code.meaning[:_LONGEST].encode()),
    )
