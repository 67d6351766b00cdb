"""Small valid DICOM objects, made afresh, for tests that must not depend on any file."""

from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Any

import pytest
from pydicom import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@dataclass(frozen=True)
class Canary:
    """Direct identifiers that no log, span, metric, subject, key or payload may ever show."""

    name: str = "CANARYNAME^PLANTED"
    patient_id: str = "CANARYID4711"
    birth_date: str = "19340228"
    accession: str = "CANARYACC0815"

    @property
    def values(self) -> tuple[str, ...]:
        """Every planted value, and the parts of the name by themselves."""
        return (self.name, *self.name.split("^"), self.patient_id, self.birth_date, self.accession)


CANARY = Canary()


def uid() -> str:
    """A new unique identifier under 2.25 (PS3.5 annex B.2)."""
    return str(generate_uid(prefix=None))


def make_instances(
    count: int = 3,
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    rows: int = 16,
    seed: int = 0,
    canary: Canary | None = None,
    **attributes: Any,
) -> list[Dataset]:
    """``count`` slices of one CT series, Explicit VR Little Endian, ``rows`` × ``rows`` pixels of 16 bits.

    ``canary`` plants direct identifiers; ``attributes`` are set by keyword on every slice.
    """
    shared = {
        "StudyInstanceUID": study_uid or uid(),
        "SeriesInstanceUID": series_uid or uid(),
        "FrameOfReferenceUID": uid(),
        **_patient(canary or Canary("Test^Ct", "T1", "19700101", "A1")),
        **_ct(rows),
        **attributes,
    }
    noise = Random(seed)
    return [_slice(number, shared, noise.randbytes(2 * rows * rows)) for number in range(1, count + 1)]


def _patient(person: Canary) -> dict[str, Any]:
    return {
        "PatientName": person.name,
        "PatientID": person.patient_id,
        "PatientBirthDate": person.birth_date,
        "PatientSex": "O",
        "AccessionNumber": person.accession,
    }


def _ct(rows: int) -> dict[str, Any]:
    """The CT image IOD's obligatory attributes that do not change from slice to slice (PS3.3 section A.3)."""
    return {
        "Modality": "CT",
        "SOPClassUID": CTImageStorage,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "StudyDate": "20200102",
        "StudyTime": "101112",
        "StudyID": "1",
        "SeriesNumber": 1,
        "ReferringPhysicianName": "",
        "Manufacturer": "Causeway tests",
        "BodyPartExamined": "CHEST",
        "StationName": "CT1",
        "PatientPosition": "HFS",
        "PositionReferenceIndicator": "",
        "KVP": 120,
        "AcquisitionNumber": 1,
        "PixelSpacing": [1, 1],
        "SliceThickness": 1,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": rows,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
    }


def _slice(number: int, shared: dict[str, Any], pixels: bytes) -> Dataset:
    dataset = Dataset()
    for keyword, value in shared.items():
        setattr(dataset, keyword, value)
    dataset.SOPInstanceUID = uid()
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [0, 0, number]
    dataset.add_new("PixelData", "OW", pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def as_file(dataset: Dataset) -> bytes:
    """``dataset`` as a DICOM Part 10 file (PS3.10 section 7)."""
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture
def canary() -> Canary:
    """The planted identifiers."""
    return CANARY
