"""Which attributes a search may match and which it returns, per level (PS3.18 tables 10.6.1-5 and 10.6.3-3 to 5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache


class Level(Enum):
    """What a search looks for, from the whole to the part."""

    STUDY = 1
    SERIES = 2
    INSTANCE = 3


@dataclass(frozen=True)
class Key:
    """An attribute that can be matched: ``column`` names it in the index, ``sequence`` the one it is in, if any."""

    tag: str
    keyword: str
    vr: str
    level: Level
    column: str
    sequence: tuple[str, str] | None = None

    def names(self) -> Iterator[str]:
        """What queries call it: by tag or by keyword, and within a sequence by a path of them (PS3.18 8.3.4.1)."""
        for own in (self.tag, self.keyword):
            yield from (f"{outer}.{own}" for outer in self.sequence) if self.sequence else (own,)


REQUEST = ("00400275", "RequestAttributesSequence")

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
    Key("00400009", "ScheduledProcedureStepID", "SH", Level.SERIES, "step_id", REQUEST),
    Key("00401001", "RequestedProcedureID", "SH", Level.SERIES, "procedure_id", REQUEST),
    Key("00080018", "SOPInstanceUID", "UI", Level.INSTANCE, "sop_uid"),
    Key("00080016", "SOPClassUID", "UI", Level.INSTANCE, "sop_class"),
    Key("00200013", "InstanceNumber", "IS", Level.INSTANCE, "instance_number"),
)

BY_NAME: dict[str, Key] = {name: key for key in KEYS for name in key.names()}

#: What is kept of a header beside the keys, and returned: the standard's attributes and those that viewers ask for.
_BESIDE: dict[Level, dict[str, str]] = {
    Level.STUDY: {
        "00080005": "SpecificCharacterSet",
        "00080201": "TimezoneOffsetFromUTC",
        "00081080": "AdmittingDiagnosesDescription",
        "00101010": "PatientAge",
        "00101020": "PatientSize",
        "00101030": "PatientWeight",
    },
    Level.SERIES: {
        "00080021": "SeriesDate",
        "00080031": "SeriesTime",
        "00080070": "Manufacturer",
        "00081090": "ManufacturerModelName",
        "00081070": "OperatorsName",
        "00180050": "SliceThickness",
        "00181030": "ProtocolName",
        "00200052": "FrameOfReferenceUID",
        "00200060": "Laterality",
    },
    Level.INSTANCE: {
        "00080008": "ImageType",
        "00080023": "ContentDate",
        "00080033": "ContentTime",
        "00200012": "AcquisitionNumber",
        "00200032": "ImagePositionPatient",
        "00200037": "ImageOrientationPatient",
        "00280002": "SamplesPerPixel",
        "00280004": "PhotometricInterpretation",
        "00280008": "NumberOfFrames",
        "00280010": "Rows",
        "00280011": "Columns",
        "00280030": "PixelSpacing",
        "00280100": "BitsAllocated",
        "00280301": "BurnedInAnnotation",
        "0040A043": "ConceptNameCodeSequence",
        "0040A491": "CompletionFlag",
        "0040A493": "VerificationFlag",
    },
}

#: What is found out when it is asked for, at this level alone.
_COMPUTED: dict[Level, dict[str, str]] = {
    Level.STUDY: {
        "00080061": "ModalitiesInStudy",
        "00201206": "NumberOfStudyRelatedSeries",
        "00201208": "NumberOfStudyRelatedInstances",
    },
    Level.SERIES: {"00201209": "NumberOfSeriesRelatedInstances"},
    Level.INSTANCE: {"00083002": "AvailableTransferSyntaxUID"},
}

_ALWAYS = {"00080056": "InstanceAvailability", "00081190": "RetrieveURL"}


def kept_tags(level: Level) -> tuple[str, ...]:
    """The attributes of a header that the index keeps at ``level`` as they are."""
    keys = (key.tag for key in KEYS if key.level is level and not key.sequence and key.tag not in _COMPUTED[level])
    return (*keys, *_BESIDE[level])


def is_returned(level: Level, field: str) -> bool:
    """Whether answers at ``level`` hold ``field`` (``all``, a tag, a keyword, or a path of them), asked for or not."""
    outer = field.partition(".")[0]
    # Of a request only the keys are kept; of another sequence everything.
    names = (field,) if outer in REQUEST else (field, outer)
    return field == "all" or any(name in _returned(level) or name.upper() in _returned(level) for name in names)


@cache
def _returned(level: Level) -> frozenset[str]:
    levels = [each for each in Level if each.value <= level.value]
    beside = (pair for each in levels for pair in _BESIDE[each].items())
    request = [REQUEST] if Level.SERIES in levels else []
    pairs = [*_ALWAYS.items(), *_COMPUTED[level].items(), *beside, *request]
    only_studies = _COMPUTED[Level.STUDY]
    keys = (key for key in KEYS if key.level in levels and (level is Level.STUDY or key.tag not in only_studies))
    return frozenset(name for names in (*pairs, *(key.names() for key in keys)) for name in names)
