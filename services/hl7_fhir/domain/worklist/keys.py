"""What a worklist can be asked: return keys and their types (PS3.4 table K.6-1), matching keys, VRs (PS3.6)."""

from dataclasses import dataclass

#: The sequence that holds the step itself.
STEP = 0x00400100

_CODE = {0x00080100: "SH", 0x00080102: "SH", 0x00080103: "SH", 0x00080104: "LO", 0x00080119: "UC"}
_REFERENCE = {0x00081150: "UI", 0x00081155: "UI"}
_ISSUER = {0x00400031: "UT", 0x00400032: "UT", 0x00400033: "CS"}

#: VR of everything that an answer may hold; tags of sequences are those of ``SEQUENCES``.
VRS: dict[int, str] = {
    0x00080005: "CS",
    0x00080050: "SH",
    0x00080051: "SQ",
    0x00080060: "CS",
    0x00080090: "PN",
    0x00081110: "SQ",
    0x00081120: "SQ",
    0x00100010: "PN",
    0x00100020: "LO",
    0x00100021: "LO",
    0x00100022: "CS",
    0x00100024: "SQ",
    0x00100030: "DA",
    0x00100040: "CS",
    0x00101002: "SQ",
    0x00101020: "DS",
    0x00101030: "DS",
    0x00101040: "LO",
    0x00102000: "LO",
    0x00102110: "LO",
    0x001021C0: "US",
    0x00104000: "LT",
    0x0020000D: "UI",
    0x00321032: "PN",
    0x00321060: "LO",
    0x00321064: "SQ",
    0x00321070: "LO",
    0x00380010: "LO",
    0x00380014: "SQ",
    0x00380050: "LO",
    0x00380300: "LO",
    0x00380500: "LO",
    0x00400001: "AE",
    0x00400002: "DA",
    0x00400003: "TM",
    0x00400006: "PN",
    0x00400007: "LO",
    0x00400008: "SQ",
    0x00400009: "SH",
    0x00400010: "SH",
    0x00400011: "SH",
    0x00400012: "LO",
    0x00400020: "CS",
    0x00400026: "SQ",
    0x00400027: "SQ",
    0x00400100: "SQ",
    0x00400400: "LT",
    0x00401001: "SH",
    0x00401002: "LO",
    0x00401003: "SH",
    0x00401004: "LO",
    0x0040100A: "SQ",
    0x00401400: "LT",
    0x00402016: "LO",
    0x00402017: "LO",
    0x00403001: "LO",
    **_CODE,
    **_REFERENCE,
    **_ISSUER,
}
SEQUENCES = frozenset(tag for tag, vr in VRS.items() if vr == "SQ")

#: What stands in the item of the step's sequence; every other key stands at the top.
IN_STEP = frozenset(
    (
        0x00080060,
        0x00321070,
        0x00400001,
        0x00400002,
        0x00400003,
        0x00400006,
        0x00400007,
        0x00400008,
        0x00400009,
        0x00400010,
        0x00400011,
        0x00400012,
        0x00400020,
        0x00400400,
    )
)


@dataclass(frozen=True)
class Key:
    """A matching key: the column that narrows a search, and how values are compared."""

    column: str
    kind: str


#: Matching keys at the top and in the step's item. Kinds: text, name (folded, see ``names``), uid, date, time, station.
MATCHING: dict[int, Key] = {
    0x00080050: Key("accession", "text"),
    0x00080060: Key("modality", "text"),
    0x00080090: Key("referring", "name"),
    0x00100010: Key("patient_name", "name"),
    0x00100020: Key("patient_id", "text"),
    0x00100021: Key("patient_issuer", "text"),
    0x00100030: Key("birth_date", "date"),
    0x00100040: Key("sex", "text"),
    0x0020000D: Key("study_uid", "uid"),
    0x00321032: Key("requesting", "name"),
    0x00380010: Key("admission_id", "text"),
    0x00400001: Key("station", "station"),
    0x00400002: Key("date", "date"),
    0x00400003: Key("time", "time"),
    0x00400006: Key("performing", "name"),
    0x00400009: Key("step_id", "text"),
    0x00400020: Key("state", "text"),
    0x00401001: Key("procedure_id", "text"),
    0x00402016: Key("placer_number", "text"),
    0x00402017: Key("filler_number", "text"),
}

#: Attributes whose values identify something and are never cut (see ``step.py``).
IDENTIFIERS = frozenset((0x00080050, 0x00100020, 0x00380010, 0x00400009, 0x00401001, 0x00402016, 0x00402017))

#: The longest value by VR in characters (PS3.5 table 6.2-1); of PN that is each component group.
LENGTHS = {"AE": 16, "CS": 16, "DS": 16, "LO": 64, "LT": 10240, "PN": 64, "SH": 16, "ST": 1024, "UI": 64}
