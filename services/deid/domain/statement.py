"""The de-identification statement that PS3.15 section E.1 asks of a conformance statement, made from a profile."""

from collections.abc import Iterable, Iterator

from services.deid.domain.content.told import told
from services.deid.domain.keywords import names, shown
from services.deid.domain.marks import PIXEL_OPTIONS, PSEUDONYMS, modified_dates
from services.deid.domain.options import BASIC, Option
from services.deid.domain.profile import Dates, LegalBasis, Profile
from services.deid.domain.pseudonyms import LONGEST_SHIFT
from services.deid.domain.rules import BASIC as BASIC_COLUMN
from services.deid.domain.rules import Row, Rules, standard_rules
from services.deid.domain.values import DUMMIES

_BASES = {
    LegalBasis.SAFE_HARBOR: "safe harbor, 45 CFR 164.514(b)(2): the identifiers listed there are removed",
    LegalBasis.EXPERT: "expert determination, 45 CFR 164.514(b)(1): valid with the expert's report only",
    LegalBasis.PSEUDONYMISED: "pseudonymisation, GDPR article 4(5): the output is personal data still",
}
_CODES = {
    "X": "removed",
    "Z": "emptied; a dummy where Type 1",
    "D": "replaced by a dummy",
    "U": "replaced by a new UID",
    "K": "kept; items of sequences cleaned",
    "C": "cleaned",
    "Z/D": "emptied, or a dummy where Type 1",
    "X/Z": "removed, or emptied where Type 2",
    "X/D": "removed, or a dummy where Type 1 or 2",
    "X/Z/D": "removed, emptied where Type 2, a dummy where Type 1",
    "X/Z/U*": "removed, emptied where Type 2, UIDs in the items replaced where Type 1",
}
_DATES = {
    "REMOVED": "Dates and times are removed, emptied or dummies, as the Type of each attribute asks.",
    "UNMODIFIED": "Dates and times stay as they were. The birth date is removed.",
    "MODIFIED": f"All dates of a patient move back by the same number of whole weeks, 1 to {LONGEST_SHIFT}, derived "
    "from the pseudonym under the project's key: intervals, days of the week and times of day stay. The birth date is "
    "removed.",
}
_YEARS = (
    "Dates are reduced to 1 January of their year, date-times to the year; times are removed. So is the birth date."
)
_KEYED = (
    "Patient ID and Patient's Name become one pseudonym, `P` and 15 hexadecimal digits of the HMAC-SHA-256 of (issuer, "
    "Patient ID); patients without an ID are told apart by their study. UIDs become `2.25.` and 128 bits of an HMAC."
)
_RANDOM = (
    "Patient ID and Patient's Name become one pseudonym, and UIDs new ones, that are random and derived from nothing: "
    "only the site's map, which is encrypted and stays there, knows what they stand for (45 CFR 164.514(c)(1))."
)
_NEW_UIDS = "replaced at every depth; those of the standard stay"
_RETAINED_UIDS = (
    "kept, but for those whose components tell a date that does not stay: they are replaced, by the same one everywhere"
)
_SCOPE = (
    "One project: the same original has the same replacement in every object, study and run, whatever process or "
    "machine does it; two projects have none in common."
)


def statement_of(profile: Profile, rules: Rules | None = None) -> str:
    """The statement in Markdown, without a heading of the first level."""
    rules = rules or standard_rules()
    parts = [
        f"## Profile {profile.name}, version {profile.version}",
        _table(("", ""), _facts(profile, rules)),
        "### Options",
        _table(("option of PS3.15 section E.3", "code (CID 7050)", "carried out on"), _options(profile)),
        "### Beyond the standard",
        "\n".join(f"* {line}" for line in _restrictions(profile, rules)),
        "### What becomes of each attribute",
        _table(("what", "by", "number", "attributes"), _attributes(rules.under(profile), profile)),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(profile: Profile, rules: Rules) -> Iterator[tuple[str, ...]]:
    yield "Rules", f"DICOM PS3.15 {rules.edition}, {BASIC.meaning} (Table E.1-1)"
    yield "Legal basis", _BASES[profile.legal_basis]
    yield "Pseudonyms", _RANDOM if profile.random_ids else _KEYED
    yield "Scope of consistency", _SCOPE
    yield "UIDs", _RETAINED_UIDS if profile.has(Option.RETAIN_UIDS) else _NEW_UIDS
    yield "Dates", _YEARS if profile.dates is Dates.YEARS else _DATES[modified_dates(profile)]
    yield "(0028,0303)", modified_dates(profile)
    ages = f"kept below {profile.oldest_age} years, `{profile.oldest_age:03d}Y` from there on"
    yield "Ages", ages if profile.has(Option.PATIENT_CHARACTERISTICS) else "removed"
    yield "Dummies", ", ".join(f"{vr} `{value.decode()}`" for vr, value in sorted(DUMMIES.items())) + "; numbers 0"


def _options(profile: Profile) -> Iterator[tuple[str, ...]]:
    yield BASIC.meaning, BASIC.value, "header"
    for option in Option:
        if profile.has(option):
            on = "pixels, where the object says so" if option in PIXEL_OPTIONS else "header and content"
            yield option.code.meaning, option.code.value, on


def _restrictions(profile: Profile, rules: Rules) -> Iterator[str]:
    always = ", ".join(_named(tag) for tag in sorted(rules.removed) if tag < 0x7FE00000)
    groups = ", ".join(sorted({_group(group) for group in rules.removed_groups}))
    yield f"Removed whatever an option says: {always}; groups {groups}."
    yield "File meta and preamble are made anew."
    yield from told(profile)
    yield (
        "Text, dates and bytes that the table does not list stay only where `tables/supplement.yaml` vouches for the "
        "attribute and the value looks harmless; attributes that no dictionary knows are removed."
    )
    yield (
        "Codes stay where they look like those of a published scheme, check digits too, or are technical; meanings "
        "where PS3.16 has them so, else their harmless words. What people fill in has technical words only."
    )
    yield "What names this patient in the header is searched for in all that stays; a find withholds the object."
    if profile.has(Option.CLEAN_DESCRIPTORS):
        yield "Cleaned text keeps words that are known to be harmless and are nobody's name, and nothing else."
    if profile.has(Option.SAFE_PRIVATE):
        yield (
            f"{len(rules.under(profile).safe_private)} private elements stay, by creator, where they name nobody; of "
            "what the object itself declares safe in (0008,0300) numbers and the harmless words of texts. Private "
            "bytes (OB, OW) go: nobody can look into them."
        )
    else:
        yield "All private attributes are removed."
    yield from _of_pictures(profile)
    yield _of_faces(profile)
    if profile.held_classes:
        yield f"SOP classes that do not go out: {', '.join(sorted(profile.held_classes))}."


def _of_faces(profile: Profile) -> str:
    """What becomes of what may show a face: nothing is cut out of pixels to hide one."""
    if not profile.holds_faces:
        return "Images that may show a face go out: faces are not removed."
    held = "Images that may show a face, by class and by the body part that they tell of, are held for a decision"
    if not profile.has(Option.CLEAN_VISUAL_FEATURES):
        return f"{held}."
    return (
        f"{held}; so are captures, segmentations and structure sets that do not tell another part, and photographs of "
        "eyes. Images and documents that go out say NO to Recognizable Visual Features (0028,0302)."
    )


def _of_pictures(profile: Profile) -> Iterator[str]:
    """What part ``pictures`` of the profile asks beyond the option, without which no picture with a risk goes out."""
    if not profile.has(Option.CLEAN_PIXEL_DATA):
        yield (
            "Pixels are not cleaned: images whose class, kind or Burned In Annotation (0028,0301) tells of text in "
            "them do not go out."
        )
        return
    asked = profile.pictures
    if asked.known_devices_only:
        yield "Pictures with a risk of burned-in text only go out where the catalogue knows their device."
    else:
        yield "Pictures of devices that the catalogue does not know are searched for text like others, and go out."
    if not asked.secondary_capture:
        yield "Secondary captures do not go out."
    if asked.only_ultrasound_regions:
        yield "Of ultrasound, what lies outside of Sequence of Ultrasound Regions (0018,6011) is blanked unseen."


def _attributes(rules: Rules, profile: Profile) -> Iterator[tuple[str, ...]]:
    grouped: dict[tuple[str, str], list[Row]] = {}
    for _, row in sorted(rules.rows.items()):
        what = f"replaced by `{row.text}`" if row.text else _what(row, profile)
        grouped.setdefault((row.source, what), []).append(row)
    for (source, what), rows in sorted(grouped.items(), key=lambda each: (each[0][0] != BASIC_COLUMN, each[0])):
        listed = ", ".join(_named(int(row.tag, 16), row.name) for row in rows)
        yield what, "the Basic Profile" if source == BASIC_COLUMN else f"`{source}`", str(len(rows)), listed


def _group(group: int) -> str:
    """A group, or a repeating one as the standard writes it (PS3.5 section 7.6)."""
    return f"{group >> 8:02X}xx" if group >= 0x5000 else f"{group:04X}"


def _what(row: Row, profile: Profile) -> str:
    if int(row.tag, 16) in PSEUDONYMS:
        return "replaced by the pseudonym"
    if row.vr == "AS" and row.code == "K":
        return f"kept below {profile.oldest_age} years"
    if row.code == "C" and row.vr in ("DA", "DT", "TM"):
        return "reduced to the year" if profile.dates is Dates.YEARS else "moved"
    return _CODES[row.code]


def _named(tag: int, name: str = "") -> str:
    return f"{name or names().get(tag, '')} {shown(tag)}".strip()


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
