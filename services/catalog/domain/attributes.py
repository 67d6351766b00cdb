"""Which attributes a search may match and which it returns, per level (PS3.18 tables 10.6.1-5 and 10.6.3-3 to 5)."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """What a search looks for, from the whole to the part."""

    STUDY = 1
    SERIES = 2
    INSTANCE = 3


@dataclass(frozen=True)
class Key:
    """An attribute that can be matched: ``column`` names it in the index."""

    tag: str
    keyword: str
    vr: str
    level: Level
    column: str


KEYS: tuple[Key, ...] = (
    Key("0020000D", "StudyInstanceUID", "UI", Level.STUDY, "study_uid"),
    Key("00080020", "StudyDate", "DA", Level.STUDY, "study_date"),
    Key("00080030", "StudyTime", "TM", Level.STUDY, "study_time"),
    Key("00080050", "AccessionNumber", "SH", Level.STUDY, "accession"),
    Key("00080061", "ModalitiesInStudy", "CS", Level.STUDY, "modalities"),
    Key("00080090", "ReferringPhysicianName", "PN", Level.STUDY, "referring"),
    Key("00081030", "StudyDescription", "LO", Level.STUDY, "description"),
    Key("00100010", "PatientName", "PN", Level.STUDY, "patient_name"),
    Key("00100020", "PatientID", "LO", Level.STUDY, "patient_id"),
    Key("00100021", "IssuerOfPatientID", "LO", Level.STUDY, "patient_issuer"),
    Key("00100030", "PatientBirthDate", "DA", Level.STUDY, "birth_date"),
    Key("00100040", "PatientSex", "CS", Level.STUDY, "sex"),
    Key("00200010", "StudyID", "SH", Level.STUDY, "study_id"),
    Key("0020000E", "SeriesInstanceUID", "UI", Level.SERIES, "series_uid"),
    Key("00080060", "Modality", "CS", Level.SERIES, "modality"),
    Key("00200011", "SeriesNumber", "IS", Level.SERIES, "series_number"),
    Key("0008103E", "SeriesDescription", "LO", Level.SERIES, "series_description"),
    Key("00180015", "BodyPartExamined", "CS", Level.SERIES, "body_part"),
    Key("00081010", "StationName", "SH", Level.SERIES, "station"),
    Key("00400244", "PerformedProcedureStepStartDate", "DA", Level.SERIES, "step_date"),
    Key("00400245", "PerformedProcedureStepStartTime", "TM", Level.SERIES, "step_time"),
    Key("00080018", "SOPInstanceUID", "UI", Level.INSTANCE, "sop_uid"),
    Key("00080016", "SOPClassUID", "UI", Level.INSTANCE, "sop_class"),
    Key("00200013", "InstanceNumber", "IS", Level.INSTANCE, "instance_number"),
)

BY_NAME: dict[str, Key] = {name: key for key in KEYS for name in (key.tag, key.keyword)}

#: What is kept of a header at each level, and returned: the standard's attributes and those that viewers ask for.
STUDY_TAGS = (
    *(key.tag for key in KEYS if key.level is Level.STUDY and key.tag != "00080061"),
    "00080005",
    "00080201",
    "00081080",
    "00101010",
    "00101020",
    "00101030",
    "00201208",
)
SERIES_TAGS = (
    *(key.tag for key in KEYS if key.level is Level.SERIES),
    "00080021",
    "00080031",
    "00080070",
    "00081090",
    "00081070",
    "00180050",
    "00181030",
    "00200052",
    "00200060",
    "00400275",
)
INSTANCE_TAGS = (
    *(key.tag for key in KEYS if key.level is Level.INSTANCE),
    "00080008",
    "00080023",
    "00080033",
    "00200012",
    "00200032",
    "00200037",
    "00280002",
    "00280004",
    "00280008",
    "00280010",
    "00280011",
    "00280030",
    "00280100",
    "00280301",
    "0040A043",
    "0040A491",
    "0040A493",
)
