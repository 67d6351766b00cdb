"""What the benchmarks share: input, the machine, medians, and the form of a result."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

MB = 1_000_000
_ACQUISITION: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SeriesDate": "20260131",
    "AcquisitionDate": "20260131",
    "ContentDate": "20260131",
    "SeriesTime": "090010",
    "InstitutionName": "Bench Hospital",
    "ReferringPhysicianName": "Refer^Ring",
    "PerformingPhysicianName": "Per^Forming",
    "OperatorsName": "Op^Erator",
    "StationName": "CT1",
    "ManufacturerModelName": "Bench 1",
    "DeviceSerialNumber": "4711",
    "SoftwareVersions": "1.0",
    "PatientSex": "O",
    "PatientAge": "056Y",
    "PatientSize": "1.75",
    "PatientWeight": "75",
    "ContrastBolusAgent": "None",
    "ScanOptions": "HELICAL MODE",
    "SliceThickness": "1",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "ProtocolName": "Chest",
    "ReconstructionDiameter": "360",
    "DistanceSourceToDetector": "949.147",
    "DistanceSourceToPatient": "541",
    "GantryDetectorTilt": "0",
    "TableHeight": "151.5",
    "RotationDirection": "CW",
    "ExposureTime": "800",
    "XRayTubeCurrent": "260",
    "Exposure": "208",
    "FilterType": "BODY FILTER",
    "GeneratorPower": "31200",
    "FocalSpots": "1.2",
    "ConvolutionKernel": "STANDARD",
    "PatientPosition": "FFS",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.1",
    "PositionReferenceIndicator": "SN",
    "ImagesInAcquisition": "320",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
    "StudyID": "1",
    "RequestedProcedureDescription": "CT Chest",
    "PerformedProcedureStepStartDate": "20260131",
    "PerformedProcedureStepStartTime": "090000",
    "PerformedProcedureStepID": "1",
    "PerformedProcedureStepDescription": "CT Chest",
}


def ct_series(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` CT slices of 512 × 512 × 16 bits (525 kB) of one new study; no two have the same pixels."""
    return series(folder, count, seed, rows=512, frames=1)


def series(folder: Path, count: int, seed: int, *, rows: int, frames: int) -> list[Path]:
    """``count`` CT images of ``frames`` frames of ``rows`` × ``rows`` × 16 bits of one new study, all different."""
    random = np.random.default_rng(seed)
    study, name = generate_uid(), generate_uid()
    noise = random.integers(-1000, 2000, size=(frames, rows, rows), dtype=np.int16)
    return [_image(folder, number, study, name, noise + np.int16(number)) for number in range(1, count + 1)]


def small(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` CT images of 16 × 16 pixels of one new study, alike but for their SOP Instance UIDs: soon written."""
    (first,) = series(folder, 1, seed, rows=16, frames=1)
    content, uid = first.read_bytes(), str(dcmread(first, stop_before_pixels=True).SOPInstanceUID).encode()
    return [_another(folder, content, uid, number) for number in range(1, count + 1)]


def _another(folder: Path, content: bytes, uid: bytes, number: int) -> Path:
    path = folder / f"{number:05d}.dcm"
    path.write_bytes(content.replace(uid, uid[:-7] + b"%07d" % number))
    return path


def _image(folder: Path, number: int, study: str, series: str, pixels: "np.ndarray[Any, Any]") -> Path:
    frames, rows, _columns = pixels.shape
    sop_class = CTImageStorage if frames == 1 else EnhancedCTImageStorage
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = sop_class, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = study, series
    image.PatientName, image.PatientID, image.PatientBirthDate = "Bench^Mark", "BENCH-1", "19700101"
    image.Modality, image.StudyDate, image.StudyTime, image.AccessionNumber = "CT", "20260131", "090000", "B1"
    image.SeriesNumber, image.InstanceNumber, image.BodyPartExamined = 1, number, "CHEST"
    image.StudyDescription, image.SeriesDescription, image.Manufacturer = "Benchmark", "Noise", "Causeway"
    image.Rows = image.Columns = rows
    if frames > 1:
        image.NumberOfFrames = frames
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.PixelSpacing, image.ImagePositionPatient = [1, 1], [0, 0, number]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    _describe_acquisition(image, number)
    image.PixelData = pixels.tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = sop_class
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    path = folder / f"{number:05d}.dcm"
    image.save_as(path, enforce_file_format=True)
    return path


def _describe_acquisition(image: Dataset, number: int) -> None:
    """What a scanner says besides, so that a header is as long as theirs are: some hundred elements."""
    for keyword, value in _ACQUISITION.items():
        setattr(image, keyword, value)
    image.SliceLocation = image.AcquisitionNumber = number
    image.ContentTime = image.AcquisitionTime = f"0901{number % 60:02d}.{number:06d}"
    image.WindowCenter, image.WindowWidth = [40, 300], [400, 1500]
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24627-2", "LN", "CT Chest"
    image.ProcedureCodeSequence = [code]
    for name in ("ReferencedStudySequence", "ReferencedImageSequence", "ReferencedPerformedProcedureStepSequence"):
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, image.StudyInstanceUID
        setattr(image, name, [reference])
    block = image.private_block(0x0019, "CAUSEWAY BENCH", create=True)
    for element in range(30):
        block.add_new(element, "DS", f"{number}.{element}")


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def machine() -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine."""
    model = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "python_loop_ms": round(_loop_ms(), 1),
    }


def _loop_ms() -> float:
    """Processor time of bytecode and nothing else: builds without optimisation by profile take half as much again."""
    begun, kept = time.process_time(), {0: 1}
    for number in range(200_000):
        kept[number & 255] = len(str(kept.get(number >> 1 & 255, 7) % 1000)) + number % 7
    return 1000 * (time.process_time() - begun)


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a plain table."""
    lines = [tuple(columns), *(tuple(_cell(value) for value in row) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


def result(name: str, ratios: Mapping[str, float], figures: Mapping[str, Any]) -> None:
    """Print the last line: one JSON document."""
    rounded = {key: round(value, 3) for key, value in ratios.items()}
    print(json.dumps({"bench": name, "ratios": rounded, "figures": figures, "machine": machine()}), flush=True)


def verdict(name: str, goals: Mapping[str, bool]) -> int:
    """The exit status of a benchmark: 1 when one of its goals was missed, each of which is told on standard error."""
    missed = [goal for goal, is_reached in goals.items() if not is_reached]
    for goal in missed:
        print(f"{name}: missed: {goal}", file=sys.stderr)
    return int(bool(missed))
