"""A computed tomography study that belongs to nobody, and the order it was made for.

The phantom is a water cylinder with three rods whose size changes from slice to slice, so that no two slices are alike.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE = 512
_AIR, _WATER, _ROD = -1000, 0, 700
_RADIUS = 200
_RODS = ((150, 200), (256, 330), (370, 200))


@dataclass(frozen=True)
class Order:
    """What the order and the images have in common; invented."""

    patient_id: str = "DEMO-0001"
    patient_name: str = "Phantom^Water"
    accession: str = "DEMO-A-0001"
    study_uid: str = generate_uid(entropy_srcs=["causeway", "demo", "study"])


def order_message(order: Order) -> bytes:
    """The ORM^O01 message (HL7 v2.5.1 chapter 4) that orders the study."""
    filler = f"{order.accession}^RIS"
    segments = (
        "MSH|^~\\&|RIS|DEMO|CAUSEWAY|DEMO|20260131080000||ORM^O01^ORM_O01|DEMO-MSG-0001|P|2.5.1||||||UNICODE UTF-8",
        f"PID|1||{order.patient_id}^^^DEMO^MR||{order.patient_name}||19700101|O",
        "PV1|1|O",
        f"ORC|NW|{filler}|{filler}||SC||^^^20260131090000^^R",
        f"OBR|1|{filler}|{filler}|CTABD^CT abdomen^L" + "|" * 14 + f"{order.accession}||||||CT|||^^^^^R",
        f"ZDS|{order.study_uid}^Causeway^Application^DICOM",
    )
    return "\r".join(segments).encode() + b"\r"


def slices(folder: Path, order: Order, count: int) -> Iterator[Path]:
    """Write ``count`` slices of 512 × 512 pixels of 16 bits into ``folder``, one Part 10 file each."""
    series_uid = generate_uid(entropy_srcs=["causeway", "demo", "series"])
    for number in range(1, count + 1):
        path = folder / f"ct-{number:04d}.dcm"
        _slice(order, series_uid, number, count).save_as(path, enforce_file_format=True)
        yield path


def _slice(order: Order, series_uid: str, number: int, count: int) -> Dataset:
    image = Dataset()
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = generate_uid(entropy_srcs=["causeway", "demo", "slice", str(number)])
    image.StudyInstanceUID, image.SeriesInstanceUID = order.study_uid, series_uid
    image.PatientName, image.PatientID, image.IssuerOfPatientID = order.patient_name, order.patient_id, "DEMO"
    image.PatientBirthDate, image.PatientSex = "19700101", "O"
    image.AccessionNumber, image.StudyID = order.accession, "1"
    image.StudyDate = image.SeriesDate = image.ContentDate = "20260131"
    image.StudyTime = image.SeriesTime = image.ContentTime = "090000"
    image.Modality, image.Manufacturer, image.StationName = "CT", "Causeway", "DEMO-CT"
    image.StudyDescription, image.SeriesDescription = "CT abdomen", "Phantom"
    image.BodyPartExamined, image.ReferringPhysicianName = "ABDOMEN", ""
    image.SeriesNumber, image.InstanceNumber = 1, number
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.FrameOfReferenceUID = generate_uid(entropy_srcs=["causeway", "demo", "frame"])
    image.PositionReferenceIndicator = ""
    image.ImagePositionPatient, image.ImageOrientationPatient = [-256, -256, number], [1, 0, 0, 0, 1, 0]
    image.SliceThickness, image.PixelSpacing, image.KVP, image.AcquisitionNumber = 1, [1, 1], 120, 1
    image.BurnedInAnnotation = "NO"
    _set_pixels(image, _pixels(number / count))
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image


def _set_pixels(image: Dataset, pixels: bytes) -> None:
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows = image.Columns = SIZE
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.RescaleIntercept, image.RescaleSlope = 0, 1
    image.PixelData = pixels


def _pixels(place: float) -> bytes:
    """Row by row: runs of air, water and rod at ``place`` (0 to 1) along the cylinder."""
    rods = [(x, y, 20 + 25 * abs(place - 0.2 - 0.3 * index)) for index, (x, y) in enumerate(_RODS)]
    noise = int(place * 199)
    rows = array("h")
    for y in range(SIZE):
        row = array("h", [_AIR]) * SIZE
        _run(row, y, (SIZE / 2, SIZE / 2, _RADIUS), _WATER + noise)
        for rod in rods:
            _run(row, y, rod, _ROD - noise)
        rows += row
    return rows.tobytes()


def _run(row: "array[int]", y: int, circle: tuple[float, float, float], value: int) -> None:
    x, centre, radius = circle
    inside = radius**2 - (y - centre) ** 2
    if inside > 0:
        begin, end = int(x - inside**0.5), int(x + inside**0.5)
        row[begin:end] = array("h", [value]) * (end - begin)
