"""A data set under construction, and what the key says of what was planted in it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from services.deid.domain.rules import Row
from tests.support.deid_corpus.fates import class_of, expected
from tests.support.deid_corpus.people import Maker, Patient

#: Words that name nothing, which a cleaner should leave where only a value is cleaned.
HARMLESS = "Chest"


@dataclass
class Planted:
    """One file: its data set, and its part of the key. ``trailing`` and ``preamble`` are written around it."""

    name: str
    kind: str
    patient: Patient
    number: int
    dataset: Dataset
    records: list[dict[str, Any]] = field(default_factory=list)
    keep: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    preamble: bytes = bytes(128)
    syntax: str = ExplicitVRLittleEndian

    @property
    def sop(self) -> str:
        return str(self.dataset.SOPInstanceUID)

    def record(
        self,
        where: str,
        path: str,
        vr: str,
        value: Any,
        needles: list[list[Any]],
        expect: dict[str, str],
        row: Row | None = None,
        **more: Any,
    ) -> None:
        """What the key says of one value."""
        self.records.append(
            {"file": self.name, "sop": self.sop, "kind": self.kind, "where": where, "path": path, "vr": vr,
             "class": class_of(vr), "value": value, "needles": needles, "row": row and row.tag,
             "basic": row and row.basic, "options": dict(row.options) if row else {}, "expect": expect, **more}
        )  # fmt: skip

    def stays(self, path: str, note: str) -> None:
        """A value that is to be what it was."""
        self.keep.append({"file": self.name, "sop": self.sop, "path": path, "value": "", "note": note, "unless": []})


def path_of(tag: int, above: str = "") -> str:
    """``(gggg,eeee)`` below ``above``."""
    return f"{above}({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Value(NamedTuple):
    """A value to plant, the needles in it, and whether it is too short to be searched for."""

    value: Any
    needles: list[list[Any]]
    weak: bool = False


def _date(maker: Maker, patient: Patient) -> Value:
    day = f"{maker.day():%Y%m%d}"
    return Value(day, [[day, "date", 0]])


def _moment(maker: Maker, patient: Patient) -> Value:
    moment = f"{maker.day():%Y%m%d}{_time_of_day(maker)}"
    return Value(moment, [[moment, "datetime", 1]])


def _time(maker: Maker, patient: Patient) -> Value:
    time = f"{_time_of_day(maker)}.{maker.digits(6)}"
    return Value(time, [[time, "time", 1]])


def _time_of_day(maker: Maker) -> str:
    return "".join(f"{maker.random.randrange(10, most)}" for most in (24, 60, 60))


def _age(maker: Maker, patient: Patient) -> Value:
    return Value(f"0{maker.random.randrange(91, 99)}Y", [], weak=True)


def _uid(maker: Maker, patient: Patient) -> Value:
    uid = maker.uid()
    return Value(uid, [[uid, "uid", 1]])


def _person(maker: Maker, patient: Patient) -> Value:
    name = maker.name()
    return Value(f"{name}^{maker.name()}", [[name, "person", 1]])


def _mark(maker: Maker, patient: Patient) -> Value:
    mark = maker.mark()
    return Value(mark, [[mark, "token", 1]])


def _number(maker: Maker, patient: Patient) -> Value:
    number = f"{maker.digits(2)}.{maker.digits(7)}"
    return Value(number, [[number, "token", 1]], weak=True)


def _count(maker: Maker, patient: Patient) -> Value:
    return Value(int(maker.digits(4)), [], weak=True)


def _bytes(maker: Maker, patient: Patient) -> Value:
    mark = maker.mark()
    content = f"{mark} {patient.family} ".encode()
    return Value(content + bytes(len(content) % 2), [[mark, "token", 1], [patient.family, "name", 0]])


def _address(maker: Maker, patient: Patient) -> Value:
    mark = maker.mark().lower()
    return Value(f"https://{mark}.example/x", [[mark, "token", 1]])


def _text(maker: Maker, patient: Patient) -> Value:
    mark = maker.mark()
    return Value(f"{HARMLESS} {mark} {patient.family}", [[mark, "token", 1], [patient.family, "name", 0]])


def _retained(maker: Maker, patient: Patient) -> Value:
    """Where an option retains the value, the patient must not be in it."""
    mark = maker.mark()
    return Value(f"{HARMLESS} {mark}", [[mark, "token", 1]])


_VALUES: dict[str, Callable[[Maker, Patient], Value]] = {
    "DA": _date, "DT": _moment, "TM": _time, "AS": _age, "UI": _uid, "PN": _person, "AE": _mark, "CS": _mark,
    "SH": _mark, "DS": _number, "IS": _count, "US": _count, "OB": _bytes, "OW": _bytes, "UN": _bytes, "UR": _address,
}  # fmt: skip


def plant_row(target: Planted, dataset: Dataset, row: Row, maker: Maker, above: str = "", **more: Any) -> None:
    """A value for a row of the table, at top level or below ``above``."""
    tag = int(row.tag, 16)
    make = _VALUES.get(row.vr, _retained if "K" in row.options.values() else _text)
    value, needles, weak = make(maker, target.patient)
    dataset.add_new(tag, row.vr, value)
    told = {"weak": True} if weak else {}
    if HARMLESS in str(value):
        told["harmless"] = HARMLESS
    shown = value.hex() if isinstance(value, bytes) else str(value)
    target.record("attribute", path_of(tag, above), row.vr, shown, needles, expected(row, row.vr), row, **told, **more)


def image(maker: Maker, patient: Patient, study: str, series: str, number: int, **attributes: Any) -> Dataset:
    """A small CT slice of a patient, complete enough for its IOD (PS3.3 section A.3)."""
    dataset = Dataset()
    values: dict[str, Any] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": maker.uid(), "StudyInstanceUID": study,
        "SeriesInstanceUID": series, "FrameOfReferenceUID": maker.uid(), "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "Manufacturer": "Causeway tests", "StudyID": "", "StudyDate": "",
        "StudyTime": "", "AccessionNumber": "", "ReferringPhysicianName": "",
        "PatientBirthDate": f"{patient.born:%Y%m%d}", "PatientSex": "O",
        "PatientName": f"{patient.family}^{patient.given}",
        "PatientID": patient.patient_id,
        "SeriesNumber": 1, "InstanceNumber": number, "PositionReferenceIndicator": "", "KVP": 120,
        "AcquisitionNumber": 1, "SliceThickness": "1.25", "PixelSpacing": [0.5, 0.5], "PatientPosition": "HFS",
        "ImagePositionPatient": [0, 0, number], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": 16, "Columns": 16,
        "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "RescaleIntercept": -1024,
        "RescaleSlope": 1, **attributes,
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    if "Rows" in dataset and "PixelData" not in dataset:
        dataset.add_new("PixelData", "OW", maker.random.randbytes(2 * dataset.Rows * dataset.Columns))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


STAYS = (
    ("SOPClassUID", "(0008,0016)"), ("Modality", "(0008,0060)"), ("ImageType", "(0008,0008)"), ("KVP", "(0018,0060)"),
    ("SliceThickness", "(0018,0050)"), ("PixelSpacing", "(0028,0030)"), ("Rows", "(0028,0010)"),
    ("RescaleSlope", "(0028,1053)"), ("ImageOrientationPatient", "(0020,0037)"), ("InstanceNumber", "(0020,0013)"),
)  # fmt: skip


def keep_acquisition(target: Planted) -> None:
    """What a file must not lose."""
    for keyword, path in STAYS:
        if keyword in target.dataset:
            target.stays(path, keyword)
