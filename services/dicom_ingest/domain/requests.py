"""Requests that pydicom parses: an element costs it some 5 µs and 200 bytes, so a long request is counted before."""

from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.elements import Encoding, Walk
from services.dicom_ingest.domain.window import Malformed, Window

#: No request of so many bytes has more elements than may be.
_SURELY_FEW = 256 * 1024
_ELEMENTS = 120_000


def is_within_bounds(data_set: bytes, transfer_syntax: str, items: int) -> bool:
    """Whether a data set has no more than so many items, and not too many elements; a long one must be readable."""
    if len(data_set) <= _SURELY_FEW:
        return True
    bounds = Bounds(elements=_ELEMENTS, items=items, told=len(data_set))
    walk = Walk(Window.over(data_set), Encoding.of(transfer_syntax), bounds)
    try:
        for element in walk.header():
            if element.vr == "SQ":
                walk.enter(element)
    except (Malformed, LookupError, ValueError, RecursionError):
        return False
    return not walk.has_left_out
