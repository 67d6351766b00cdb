"""The option profiles of PS3.15 annex E.3, by the names of their columns in Table E.1-1, and their codes (CID 7050)."""

from enum import StrEnum
from typing import NamedTuple


class Code(NamedTuple):
    """A concept of the DICOM terminology (PS3.16): coding scheme DCM."""

    value: str
    meaning: str


BASIC = Code("113100", "Basic Application Confidentiality Profile")


class Option(StrEnum):
    """An option of the Basic Application Level Confidentiality Profile (PS3.15 section E.3)."""

    CLEAN_PIXEL_DATA = "clean_pixel_data"
    CLEAN_VISUAL_FEATURES = "clean_recognizable_visual_features"
    CLEAN_GRAPHICS = "clean_graphics"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    CLEAN_DESCRIPTORS = "clean_descriptors"
    FULL_DATES = "retain_longitudinal_full_dates"
    MODIFIED_DATES = "retain_longitudinal_modified_dates"
    PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    DEVICE_IDENTITY = "retain_device_identity"
    INSTITUTION_IDENTITY = "retain_institution_identity"
    RETAIN_UIDS = "retain_uids"
    SAFE_PRIVATE = "retain_safe_private"

    @property
    def code(self) -> Code:
        """What De-identification Method Code Sequence (0012,0064) says of it."""
        return _CODES[self]


_CODES = {
    Option.CLEAN_PIXEL_DATA: Code("113101", "Clean Pixel Data Option"),
    Option.CLEAN_VISUAL_FEATURES: Code("113102", "Clean Recognizable Visual Features Option"),
    Option.CLEAN_GRAPHICS: Code("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: Code("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: Code("113105", "Clean Descriptors Option"),
    Option.FULL_DATES: Code("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    Option.MODIFIED_DATES: Code("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Option.PATIENT_CHARACTERISTICS: Code("113108", "Retain Patient Characteristics Option"),
    Option.DEVICE_IDENTITY: Code("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: Code("113110", "Retain UIDs Option"),
    Option.SAFE_PRIVATE: Code("113111", "Retain Safe Private Option"),
    Option.INSTITUTION_IDENTITY: Code("113112", "Retain Institution Identity Option"),
}
