"""Headers that break the standard, as pydicom reads them: slow, forgiving, and only for what our walk refused."""

import warnings
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from services.dicom_ingest.domain.elements import Encoding
from services.dicom_ingest.domain.json_model import finite
from services.dicom_ingest.domain.vrs import PIXEL_DATA
from services.dicom_ingest.domain.window import Malformed

#: No more of an irregular data set is looked at, bytes.
LENIENT_LIMIT = 1024 * 1024
_MAX_VALUE = 16 * 1024


def _is_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) in PIXEL_DATA


def read_leniently(data: bytes, transfer_syntax: str) -> dict[str, dict[str, Any]]:
    """DICOM JSON of what can be read; Malformed when that is nothing."""
    encoding = Encoding.of(transfer_syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = read_dataset(BytesIO(data), encoding.implicit, encoding.order == "<", stop_when=_is_pixels)
            header = _render(dataset)
        except Exception:
            raise Malformed("header-unreadable") from None
    if not header:
        raise Malformed("header-unreadable")
    return header


def _render(dataset: Dataset) -> dict[str, dict[str, Any]]:
    header: dict[str, dict[str, Any]] = {}
    for tag in sorted(dataset.keys()):
        try:
            header[f"{int(tag):08X}"] = _element(dataset[tag])
        except Exception:
            header[f"{int(tag):08X}"] = {"vr": "UN"}
    return header


def _element(element: DataElement) -> dict[str, Any]:
    told: dict[str, Any] = element.to_json_dict(lambda _: "", _MAX_VALUE)
    return {name: _known(value) for name, value in told.items() if name in ("vr", "Value")}


def _known(value: Any) -> Any:
    """The same, with text for numbers that JSON does not know."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, list):
        return [_known(each) for each in value]
    return {name: _known(each) for name, each in value.items()} if isinstance(value, dict) else value
