"""Data sets as bytes, and pydicom's view of them."""

import struct
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_files
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from services.dicom_ingest.domain.header import Reading, read_header


@dataclass(frozen=True)
class Sample:
    """A data set of a real file, its syntax, and what pydicom reads in it."""

    path: Path
    transfer_syntax: str
    data: bytes
    dataset: pydicom.Dataset

    def reading(self) -> Reading:
        """What ingest reads."""
        return read(self.data, self.transfer_syntax)


def read(data: bytes, transfer_syntax: str) -> Reading:
    """``read_header`` over bytes."""
    return read_header(lambda offset, count: data[offset : offset + count], len(data), transfer_syntax)


@cache
def shipped_samples() -> tuple[Sample, ...]:
    """Every file that ships inside pydicom, has file meta information and is read by pydicom; read once."""
    paths = [Path(name) for name in sorted(set(get_testdata_files("**/*")))]
    return tuple(sample for path in paths if path.is_file() and (sample := _sample(path)) is not None)


def _sample(path: Path) -> Sample | None:
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        try:
            read_preamble(file, False)
            meta = _read_file_meta_info(file)
            syntax, at = str(meta.TransferSyntaxUID), file.tell()
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:
            return None
    return Sample(path, syntax, path.read_bytes()[at:], dataset)


def encode(dataset: pydicom.Dataset, transfer_syntax: str) -> bytes:
    """``dataset`` without file meta information, as pydicom writes it."""
    syntax = UID(transfer_syntax)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax.is_implicit_VR
    buffer.is_little_endian = syntax.is_little_endian
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element in explicit VR little endian, its declared length a lie where ``length`` is given."""
    told = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + struct.pack("<HI", 0, told) + value
    return head + struct.pack("<H", told) + value


def without_bulk(header: dict[str, Any]) -> dict[str, Any]:
    """DICOM JSON of pydicom as ours is: no bulk data, null for what is empty among values, no empty sequence."""
    return {tag: _plain(told) for tag, told in header.items() if not tag.startswith("7FE0")}


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    vr, values = str(told["vr"]), told.get("Value")
    if not values:
        return {"vr": vr}
    if vr == "SQ":
        return {"vr": vr, "Value": [without_bulk(item) for item in values]}
    stripped = [value.rstrip() if isinstance(value, str) and vr == "CS" else value for value in values]
    return {"vr": vr, "Value": [None if value == "" else value for value in stripped]}


__all__ = ["Sample", "element", "encode", "read", "shipped_samples", "without_bulk"]
